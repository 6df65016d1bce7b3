//! IDs of stream entries: milliseconds and a sequence number within them.

use crate::Blob;
use crate::redis::reply::{Failure, c_string};
use crate::resp::Value;

/// More bytes than this are no ID.
const ID_BYTES_MAX: usize = 127;
const INVALID: &str = "ERR Invalid stream ID specified as stream command argument";

/// The ID of an entry.
#[derive(Clone, Copy, Debug, Default, Hash, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::redis) struct StreamId {
    pub ms: u64,
    pub seq: u64,
}

impl StreamId {
    pub(super) const ZERO: StreamId = StreamId { ms: 0, seq: 0 };
    pub(super) const MAX: StreamId = StreamId { ms: u64::MAX, seq: u64::MAX };

    /// The next one; `None` behind the last.
    pub(super) fn next(self) -> Option<Self> {
        match self.seq.checked_add(1) {
            Some(seq) => Some(StreamId { seq, ..self }),
            None => Some(StreamId { ms: self.ms.checked_add(1)?, seq: 0 }),
        }
    }

    fn previous(self) -> Option<Self> {
        match self.seq.checked_sub(1) {
            Some(seq) => Some(StreamId { seq, ..self }),
            None => Some(StreamId { ms: self.ms.checked_sub(1)?, seq: u64::MAX }),
        }
    }

    pub(super) fn to_value(self) -> Value {
        Value::Bulk(format!("{}-{}", self.ms, self.seq).into())
    }
}

/// An ID as XADD takes it: one that leaves the sequence number to the server has an asterisk in its place.
#[derive(Clone, Copy)]
pub(super) enum Given {
    Whole(StreamId),
    Milliseconds(u64),
}

/// Reads an ID. Without a sequence number it is `missing_seq`. `-` and `+` are no IDs here.
pub(super) fn strict(word: &Blob, missing_seq: u64) -> Result<StreamId, Failure> {
    match parse(word, missing_seq)? {
        Given::Whole(id) if !is_bound(word) => Ok(id),
        _ => Err(INVALID.into()),
    }
}

/// Reads the ID of a new entry.
pub(super) fn given(word: &Blob) -> Result<Given, Failure> {
    if is_bound(word) { Err(INVALID.into()) } else { parse(word, 0) }
}

/// Reads an ID, or the first (`-`) or last (`+`) there is.
pub(super) fn any(word: &Blob, missing_seq: u64) -> Result<StreamId, Failure> {
    match c_string(word, usize::MAX) {
        _ if word.len() > ID_BYTES_MAX => Err(INVALID.into()),
        b"-" => Ok(StreamId::ZERO),
        b"+" => Ok(StreamId::MAX),
        _ => strict(word, missing_seq),
    }
}

/// Reads where a range starts; a parenthesis leaves out the ID itself.
pub(super) fn start(word: &Blob) -> Result<StreamId, Failure> {
    match exclusive(word) {
        Some(id) => strict(&id, 0)?.next().ok_or_else(|| "ERR invalid start ID for the interval".into()),
        None => any(word, 0),
    }
}

/// Reads where a range ends, likewise.
pub(super) fn end(word: &Blob) -> Result<StreamId, Failure> {
    match exclusive(word) {
        Some(id) => strict(&id, u64::MAX)?.previous().ok_or_else(|| "ERR invalid end ID for the interval".into()),
        None => any(word, u64::MAX),
    }
}

fn exclusive(word: &Blob) -> Option<Blob> {
    word.strip_prefix(b"(").filter(|id| !id.is_empty()).map(Blob::copy_from)
}

fn is_bound(word: &Blob) -> bool {
    matches!(c_string(word, usize::MAX), b"-" | b"+")
}

fn parse(word: &Blob, missing_seq: u64) -> Result<Given, Failure> {
    let text = c_string(word, usize::MAX);
    let dash = text.iter().position(|byte| *byte == b'-');
    let ms = unsigned(&text[..dash.unwrap_or(text.len())]).filter(|_| word.len() <= ID_BYTES_MAX);
    let ms = ms.ok_or(INVALID)?;
    match dash.map(|dash| &text[dash + 1..]) {
        None => Ok(Given::Whole(StreamId { ms, seq: missing_seq })),
        Some(b"*") => Ok(Given::Milliseconds(ms)),
        Some(seq) => Ok(Given::Whole(StreamId { ms, seq: unsigned(seq).ok_or(INVALID)? })),
    }
}

/// What C's `strtoull` makes of the whole text, unless it is a negative number written plainly.
fn unsigned(text: &[u8]) -> Option<u64> {
    if Blob::copy_from(text).to_int().is_some_and(|number| number < 0) {
        return None;
    }
    let spaces = text.iter().take_while(|byte| matches!(byte, b' ' | b'\t'..=b'\r')).count();
    let (negative, digits) = match &text[spaces..] {
        [b'-', digits @ ..] => (true, digits),
        [b'+', digits @ ..] => (false, digits),
        digits => (false, digits),
    };
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let number: u64 = std::str::from_utf8(digits).ok()?.parse().ok()?;
    Some(if negative { number.wrapping_neg() } else { number })
}
