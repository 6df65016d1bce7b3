//! Commands on keys of any type.

use super::args::{int, is};
use super::call::Call;
use super::reply::{Failure, Reply, SYNTAX, bulk_or_nil, c_string, not_modelled};
use crate::Blob;
use crate::resp::Value;

const NO_SUCH_KEY: Blob = Blob::from_static(b"ERR no such key");

pub(super) fn del(call: &mut Call, args: &[Blob]) -> Reply {
    Ok(Value::Int(args.iter().filter(|key| call.delete(key)).count() as i64))
}

pub(super) fn exists(call: &mut Call, args: &[Blob]) -> Reply {
    Ok(Value::Int(args.iter().filter(|key| call.exists(key)).count() as i64))
}

pub(super) fn type_of(call: &mut Call, args: &[Blob]) -> Reply {
    Ok(Value::Status(call.entry(&args[0]).map_or("none", |entry| entry.data.type_name()).into()))
}

pub(super) fn keys(call: &mut Call, args: &[Blob]) -> Reply {
    let now_ms = call.now_ms;
    let live = call.db().live_keys(now_ms).map(|(key, _)| key);
    Ok(Value::Array(
        live.filter(|key| args[0].as_bytes() == b"*" || glob(&args[0], key))
            .map(|key| Value::Bulk(key.clone()))
            .collect(),
    ))
}

/// Reads a cursor as C's `strtoul` does. None but 0 is ever given out here.
fn check_cursor(cursor: &Blob) -> Result<(), Failure> {
    let text = c_string(cursor, usize::MAX);
    let digits = text.strip_prefix(b"-").or_else(|| text.strip_prefix(b"+")).unwrap_or(text);
    let only_digits = digits.iter().all(u8::is_ascii_digit) && (!digits.is_empty() || text.is_empty());
    if !only_digits
        || std::str::from_utf8(digits).is_ok_and(|digits| !digits.is_empty() && digits.parse::<u64>().is_err())
    {
        return Err("ERR invalid cursor".into());
    }
    if digits.iter().any(|digit| *digit != b'0') {
        return not_modelled("SCAN with a cursor other than 0");
    }
    Ok(())
}

/// The whole key space in one go: the real server's order is not promised, so one page is a legal answer.
pub(super) fn scan(call: &mut Call, args: &[Blob]) -> Reply {
    check_cursor(&args[0])?;
    let (mut pattern, mut kind) = (None, None);
    for pair in args[1..].chunks(2) {
        let [option, value] = pair else { return Err(SYNTAX.into()) };
        match option {
            option if is(option, "MATCH") => pattern = Some(value),
            option if is(option, "TYPE") => kind = Some(value),
            option if is(option, "COUNT") => {
                if int(value)? < 1 {
                    return Err(SYNTAX.into());
                }
            }
            _ => return Err(SYNTAX.into()),
        }
    }
    let named = |key: &Blob| pattern.is_none_or(|pattern| pattern.as_bytes() == b"*" || glob(pattern, key));
    call.collect(named);
    let now_ms = call.now_ms;
    let found = call.db().live_keys(now_ms);
    let found = found.filter(|(key, entry)| named(key) && kind.is_none_or(|kind| is(kind, entry.data.type_name())));
    let found = found.map(|(key, _)| Value::Bulk(key.clone())).collect();
    Ok(Value::Array(vec![Value::Bulk("0".into()), Value::Array(found)]))
}

fn move_key(call: &mut Call, from: &Blob, to: &Blob) -> Result<(), Failure> {
    let entry = call.entry(from).cloned().ok_or(NO_SUCH_KEY)?;
    if from != to {
        call.delete(from);
        call.store(to, entry.data, entry.expire_at);
    }
    Ok(())
}

pub(super) fn rename(call: &mut Call, args: &[Blob]) -> Reply {
    move_key(call, &args[0], &args[1])?;
    Ok(Value::OK)
}

pub(super) fn renamenx(call: &mut Call, args: &[Blob]) -> Reply {
    if !call.exists(&args[0]) {
        return Err(NO_SUCH_KEY.into());
    }
    if call.exists(&args[1]) {
        return Ok(Value::Int(0));
    }
    move_key(call, &args[0], &args[1])?;
    Ok(Value::Int(1))
}

pub(super) fn copy(call: &mut Call, args: &[Blob]) -> Reply {
    let mut replace = false;
    let mut options = args[2..].iter();
    while let Some(option) = options.next() {
        if is(option, "REPLACE") {
            replace = true;
        } else if is(option, "DB") {
            super::server::check_database(int(options.next().ok_or(SYNTAX)?)?)?;
        } else {
            return Err(SYNTAX.into());
        }
    }
    if args[0] == args[1] {
        return Err("ERR source and destination objects are the same".into());
    }
    let Some(entry) = call.entry(&args[0]).cloned() else { return Ok(Value::Int(0)) };
    if call.exists(&args[1]) && !replace {
        return Ok(Value::Int(0));
    }
    call.store(&args[1], entry.data, entry.expire_at);
    Ok(Value::Int(1))
}

pub(super) fn dbsize(call: &mut Call, _args: &[Blob]) -> Reply {
    Ok(Value::Int(call.db().len() as i64))
}

/// The first key in byte order: any key is a legal answer.
pub(super) fn randomkey(call: &mut Call, _args: &[Blob]) -> Reply {
    let now_ms = call.now_ms;
    let first = call.db().live_keys(now_ms).next().map(|(key, _)| key.clone());
    // Keys that the choice falls on and that have expired are removed.
    call.collect(|key| first.as_ref().is_none_or(|first| key < first));
    Ok(bulk_or_nil(first))
}

pub(super) fn flush(call: &mut Call, args: &[Blob]) -> Reply {
    if !matches!(args, [] | [_]) || args.iter().any(|option| !is(option, "SYNC") && !is(option, "ASYNC")) {
        return Err(SYNTAX.into());
    }
    call.collect(|_| true);
    let now_ms = call.now_ms;
    let keys: Vec<Blob> = call.db().live_keys(now_ms).map(|(key, _)| key.clone()).collect();
    keys.iter().for_each(|key| call.touch(key));
    call.db().clear();
    Ok(Value::OK)
}

/// Redis's glob: `*`, `?`, `[abc]`, `[^a]`, `[a-z]`, backslash. Nothing but the empty pattern matches the empty text.
pub(super) fn glob(pattern: &[u8], text: &[u8]) -> bool {
    if text.is_empty() { pattern.is_empty() } else { glob_rest(pattern, text) }
}

fn glob_rest(pattern: &[u8], text: &[u8]) -> bool {
    match pattern {
        [] => text.is_empty(),
        [b'*', rest @ ..] => (0..=text.len()).any(|skip| glob_rest(rest, &text[skip..])),
        [b'?', rest @ ..] => !text.is_empty() && glob_rest(rest, &text[1..]),
        [b'[', rest @ ..] => {
            let Some((&byte, after)) = text.split_first() else { return false };
            let (matches, rest) = glob_class(rest, byte);
            matches && glob_rest(rest, after)
        }
        [b'\\', byte, rest @ ..] | [byte, rest @ ..] => text.first() == Some(byte) && glob_rest(rest, &text[1..]),
    }
}

/// Whether `byte` is in the class, and the pattern behind it.
fn glob_class(class: &[u8], byte: u8) -> (bool, &[u8]) {
    let (negated, mut rest) = match class {
        [b'^', rest @ ..] => (true, rest),
        rest => (false, rest),
    };
    let mut found = false;
    loop {
        rest = match rest {
            [] => return (found != negated, rest),
            [b']', rest @ ..] => return (found != negated, rest),
            [b'\\', one, rest @ ..] => {
                found |= *one == byte;
                rest
            }
            [from, b'-', to, rest @ ..] => {
                found |= (*from.min(to)..=*from.max(to)).contains(&byte);
                rest
            }
            [one, rest @ ..] => {
                found |= *one == byte;
                rest
            }
        };
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn glob_matches_as_redis_does() {
        fn check(pattern: &str, text: &str, expected: bool) {
            assert_eq!(super::glob(pattern.as_bytes(), text.as_bytes()), expected, "{pattern} {text}");
        }
        check("*", "", false);
        check("a*", "a", true);
        check("", "", true);
        check("lock:*", "lock:7", true);
        check("lock:?", "lock:", false);
        check("h[ae]llo", "hello", true);
        check("h[^e]llo", "hello", false);
        check("h[a-c]llo", "hbllo", true);
        check("\\*", "*", true);
        check("\\*", "a", false);
    }
}
