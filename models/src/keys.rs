//! Keys: where they are among the words of a Redis command.

use crate::Blob;

/// The keys among the words of a Redis command; of one that is not among the simulated server's, the first word behind
/// its name. As in the real server, a command whose words are wrong has none.
pub fn keys(words: &[Blob]) -> impl Iterator<Item = &Blob> {
    let (first, count, step) = words.first().map_or((0, 0, 1), |name| places(&name.to_ascii_uppercase(), words));
    words.iter().skip(first).step_by(step).take(count)
}

/// The place of the first key, how many there are, and from each to the next.
fn places(name: &[u8], words: &[Blob]) -> (usize, usize, usize) {
    let behind_name = words.len() - 1;
    match name {
        b"PING" | b"ECHO" | b"TIME" | b"SELECT" | b"WAIT" | b"ROLE" | b"SAVE" | b"BGSAVE" | b"SCRIPT" | b"MULTI"
        | b"EXEC" | b"DISCARD" | b"UNWATCH" | b"SUBSCRIBE" | b"UNSUBSCRIBE" | b"PSUBSCRIBE" | b"PUNSUBSCRIBE"
        | b"PUBLISH" | b"PUBSUB" | b"KEYS" | b"SCAN" | b"DBSIZE" | b"RANDOMKEY" | b"FLUSHALL" | b"FLUSHDB"
        | b"CLUSTER" | b"READONLY" | b"READWRITE" => (0, 0, 1),
        b"DEL" | b"UNLINK" | b"EXISTS" | b"TOUCH" | b"MGET" | b"WATCH" | b"SINTER" | b"SUNION" | b"SDIFF" => {
            (1, behind_name, 1)
        }
        b"MSET" | b"MSETNX" => (1, behind_name.div_ceil(2), 2),
        b"RENAME" | b"RENAMENX" | b"COPY" | b"LMOVE" | b"RPOPLPUSH" | b"SMOVE" => (1, 2, 1),
        b"XGROUP" => (2, 1, 1),
        b"EVAL" | b"EVALSHA" | b"EVAL_RO" | b"EVALSHA_RO" => {
            let count = words.get(2).map_or(0, |count| usize::try_from(atoi(count)).unwrap_or_default());
            (3, if count + 3 <= words.len() { count } else { 0 }, 1)
        }
        b"XREAD" | b"XREADGROUP" => match streams(words) {
            Some(first) if (words.len() - first).is_multiple_of(2) => (first, (words.len() - first) / 2, 1),
            _ => (0, 0, 1),
        },
        _ => (1, 1, 1),
    }
}

/// C's `atoi` on a 64-bit machine, by which the real server reads the number of keys here: what follows the digits does
/// not count, and only the lowest 32 bits do.
fn atoi(text: &[u8]) -> i32 {
    let text = text.trim_ascii_start();
    let (sign, digits) = match text {
        [b'-', digits @ ..] => (-1, digits),
        [b'+', digits @ ..] => (1, digits),
        digits => (1, digits),
    };
    let digits = digits.iter().take_while(|digit| digit.is_ascii_digit());
    let number =
        digits.fold(0i64, |number, digit| number.saturating_mul(10).saturating_add(sign * i64::from(digit - b'0')));
    number as i32
}

/// The place behind the word STREAMS among the options of XREAD and XREADGROUP.
fn streams(words: &[Blob]) -> Option<usize> {
    let mut at = 1;
    loop {
        let word = words.get(at)?;
        at += match word {
            _ if is(word, b"STREAMS") => return Some(at + 1),
            _ if is(word, b"BLOCK") || is(word, b"COUNT") => 2,
            _ if is(word, b"GROUP") => 3,
            _ if is(word, b"NOACK") => 1,
            _ => return None,
        };
    }
}

fn is(word: &[u8], keyword: &[u8]) -> bool {
    word.eq_ignore_ascii_case(keyword)
}
