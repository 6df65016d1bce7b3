//! Keys: where they are among the words of a command.

use super::super::args::is;
use super::super::call::Spec;
use super::super::commands;
use crate::Blob;
use crate::resp::Command;

/// The keys that a command names; none if it is none of the table, or too short.
pub fn keys(command: &Command) -> Vec<Blob> {
    let words = command.words();
    commands::resolve(words).map_or_else(|_| Vec::new(), |spec| keys_of(spec, words).cloned().collect())
}

/// The keys among a command's words. As in the real server, a command whose words are wrong has none.
pub(super) fn keys_of<'a>(spec: &Spec, words: &'a [Blob]) -> impl Iterator<Item = &'a Blob> + use<'a> {
    let (first, count, step) = places(spec.name, words);
    words.iter().skip(first).step_by(step).take(count)
}

/// The place of the first key, how many there are, and from each to the next.
fn places(name: &str, words: &[Blob]) -> (usize, usize, usize) {
    let behind_name = words.len() - 1;
    match name {
        "PING" | "ECHO" | "TIME" | "SELECT" | "WAIT" | "ROLE" | "SAVE" | "BGSAVE" | "SCRIPT" | "MULTI" | "EXEC"
        | "DISCARD" | "UNWATCH" | "SUBSCRIBE" | "UNSUBSCRIBE" | "PSUBSCRIBE" | "PUNSUBSCRIBE" | "PUBLISH"
        | "PUBSUB" | "KEYS" | "SCAN" | "DBSIZE" | "RANDOMKEY" | "FLUSHALL" | "FLUSHDB" | "CLUSTER" | "READONLY"
        | "READWRITE" => (0, 0, 1),
        "DEL" | "UNLINK" | "EXISTS" | "TOUCH" | "MGET" | "WATCH" | "SINTER" | "SUNION" | "SDIFF" => (1, behind_name, 1),
        "MSET" | "MSETNX" => (1, behind_name.div_ceil(2), 2),
        "RENAME" | "RENAMENX" | "COPY" | "LMOVE" | "RPOPLPUSH" | "SMOVE" => (1, 2, 1),
        "XGROUP" => (2, 1, 1),
        "EVAL" | "EVALSHA" => {
            let count = usize::try_from(atoi(&words[2])).unwrap_or_default();
            (3, if count <= words.len() - 3 { count } else { 0 }, 1)
        }
        "XREAD" | "XREADGROUP" => match streams(words) {
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
            _ if is(word, "STREAMS") => return Some(at + 1),
            _ if is(word, "BLOCK") || is(word, "COUNT") => 2,
            _ if is(word, "GROUP") => 3,
            _ if is(word, "NOACK") => 1,
            _ => return None,
        };
    }
}
