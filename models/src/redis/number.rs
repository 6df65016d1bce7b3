//! Floating-point numbers as the server reads and writes them.

use crate::Blob;

/// Reads a score: decimal, `inf`, `+inf`, `-inf`, `infinity`; not NaN.
pub(super) fn parse(bytes: &[u8]) -> Option<f64> {
    let text = std::str::from_utf8(bytes).ok()?;
    if text.is_empty() || text.starts_with(char::is_whitespace) || text.ends_with(char::is_whitespace) {
        return None;
    }
    text.parse::<f64>().ok().filter(|number| !number.is_nan())
}

/// Writes a score as C's `%.17g` does, which is what redis-server 7.0 answers.
pub(super) fn format(number: f64) -> Blob {
    if number.is_infinite() {
        return if number > 0.0 { "inf".into() } else { "-inf".into() };
    }
    if number == number.trunc() && number.abs() < 1e17 {
        let negative_zero = number == 0.0 && number.is_sign_negative();
        return if negative_zero { "-0".into() } else { Blob::from_int(number as i64) };
    }
    let scientific = format!("{number:.16e}");
    let (digits, exponent) = scientific.split_once('e').expect("scientific notation has an exponent");
    let exponent: i32 = exponent.parse().expect("an exponent is an integer");
    if (-4..17).contains(&exponent) {
        let decimals = usize::try_from(16 - exponent).expect("the exponent is below 17");
        let text = format!("{number:.decimals$}");
        return text.trim_end_matches('0').trim_end_matches('.').to_owned().into();
    }
    let digits = digits.trim_end_matches('0').trim_end_matches('.');
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{digits}e{sign}{:02}", exponent.abs()).into()
}

#[cfg(test)]
mod tests {
    #[test]
    fn scores_are_written_with_seventeen_digits() {
        fn check(number: f64, expected: &str) {
            assert_eq!(super::format(number).to_text(), expected);
        }
        check(0.1, "0.10000000000000001");
        check(1.5, "1.5");
        check(3.0, "3");
        check(-2.25, "-2.25");
        check(1e20, "1e+20");
        check(1.5e-7, "1.4999999999999999e-07");
        check(f64::INFINITY, "inf");
    }
}
