//! Arguments: how the server reads the words behind a command's name.

use super::reply::{Failure, NOT_INTEGER};
use crate::Blob;

/// Reads an integer argument as the server does.
pub(super) fn int(word: &Blob) -> Result<i64, Failure> {
    word.to_int().ok_or(Failure::Error(NOT_INTEGER))
}

/// True if `word` is `option`, in any case.
pub(super) fn is(word: &Blob, option: &str) -> bool {
    word.eq_ignore_ascii_case(option.as_bytes())
}

/// The index range `[start, stop]` of a list of `len`, negative numbers counting from the end; `None` when it is empty.
pub(super) fn range(start: i64, stop: i64, len: usize) -> Option<(usize, usize)> {
    let len = len as i64;
    let start = if start < 0 { (len + start).max(0) } else { start };
    let stop = if stop < 0 { len + stop } else { stop.min(len - 1) };
    (start <= stop && start < len && stop >= 0).then_some((start as usize, stop as usize))
}

/// The same for the bytes of a string, where a stop before the beginning means the first byte.
pub(super) fn byte_range(start: i64, stop: i64, len: usize) -> Option<(usize, usize)> {
    if start < 0 && stop < 0 && start > stop {
        return None;
    }
    let stop = if stop < 0 { (len as i64 + stop).max(0) } else { stop };
    range(start, stop, len)
}

/// Reads a count that may not be negative.
pub(super) fn count(word: &Blob) -> Result<i64, Failure> {
    let count = word.to_int().filter(|count| *count >= 0);
    count.ok_or_else(|| "ERR value is out of range, must be positive".into())
}
