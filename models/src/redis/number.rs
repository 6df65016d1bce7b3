//! Floating-point numbers as the server reads and writes them.

use super::reply::{Failure, c_string, not_modelled};
use crate::Blob;

/// Reads a score: decimal, `inf`, `+inf`, `-inf`, `infinity`; not NaN, and not a number too large or too small.
pub(super) fn parse(bytes: &[u8], otherwise: Blob) -> Result<f64, Failure> {
    let number = strtod(bytes, &otherwise)?;
    let named = bytes.last().is_some_and(|byte| byte.is_ascii_alphabetic());
    let overflow = number.is_infinite() && !named;
    let mantissa = bytes.split(|byte| matches!(byte, b'e' | b'E')).next().unwrap_or_default();
    let underflow = number == 0.0 && mantissa.iter().any(|byte| matches!(byte, b'1'..=b'9'));
    if overflow || underflow { Err(otherwise.into()) } else { Ok(number) }
}

/// Reads the bound of a range, which is less strict: nothing is 0, space may come first, a zero byte ends it.
pub(super) fn parse_bound(bytes: &[u8], otherwise: Blob) -> Result<f64, Failure> {
    let text = c_string(bytes, usize::MAX);
    if text.is_empty() {
        return Ok(0.0);
    }
    let spaces = text.iter().take_while(|byte| matches!(byte, b' ' | b'\t'..=b'\r')).count();
    strtod(&text[spaces..], &otherwise)
}

/// What C's `strtod` makes of the whole text, unless it is NaN.
fn strtod(bytes: &[u8], otherwise: &Blob) -> Result<f64, Failure> {
    let digits = bytes.strip_prefix(b"-").or_else(|| bytes.strip_prefix(b"+")).unwrap_or(bytes);
    if digits.len() > 2 && digits[..2].eq_ignore_ascii_case(b"0x") {
        return not_modelled("a hexadecimal score");
    }
    let number = std::str::from_utf8(bytes).ok().and_then(|text| text.parse::<f64>().ok());
    number.filter(|number| !number.is_nan()).ok_or_else(|| otherwise.clone().into())
}

/// Writes a number as C's `%.17g` does, which is what redis-server 7.0 answers.
pub(super) fn format(number: f64) -> Blob {
    if number.is_nan() {
        return if number.is_sign_negative() { "-nan".into() } else { "nan".into() };
    }
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
