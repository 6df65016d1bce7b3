//! Replies and errors, with the texts that the server gives them.

use crate::Blob;
use crate::resp::Value;

/// Why a command has no ordinary reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// The command answers with this error.
    Error(Blob),
    /// The model does not have this. No client gets to see it, and no script catches it.
    NotModelled(String),
}

/// The reply, or why there is none.
pub(super) type Reply = Result<Value, Failure>;

impl From<Blob> for Failure {
    fn from(text: Blob) -> Self {
        Failure::Error(text)
    }
}

impl From<&'static str> for Failure {
    fn from(text: &'static str) -> Self {
        Failure::Error(text.into())
    }
}

/// The model does not have this.
pub(super) fn not_modelled<T>(what: impl Into<String>) -> Result<T, Failure> {
    Err(Failure::NotModelled(what.into()))
}

pub(super) const WRONG_TYPE: Blob =
    Blob::from_static(b"WRONGTYPE Operation against a key holding the wrong kind of value");
pub(super) const NOT_INTEGER: Blob = Blob::from_static(b"ERR value is not an integer or out of range");
pub(super) const SYNTAX: Blob = Blob::from_static(b"ERR syntax error");

/// The bytes of an unknown name that an error quotes.
pub(super) const QUOTED_BYTES_MAX: usize = 128;

/// An error reply with the text made up at run time.
pub(super) fn error(text: impl AsRef<str>) -> Blob {
    Blob::copy_from(text.as_ref().as_bytes())
}

/// An error reply that quotes `word` between two texts, as C prints it: up to its first zero byte or `max` bytes, on
/// one line.
pub(super) fn error_quoting(before: &str, word: &[u8], max: usize, after: &str) -> Blob {
    one_line(&[before.as_bytes(), c_string(word, max), after.as_bytes()].concat())
}

/// The bytes that C's `%.*s` prints.
pub(super) fn c_string(word: &[u8], max: usize) -> &[u8] {
    let word = &word[..word.len().min(max)];
    word.split(|byte| *byte == 0).next().unwrap_or_default()
}

/// Line ends at the end go, those within become spaces: they would break the protocol.
pub(super) fn one_line(text: &[u8]) -> Blob {
    let last = text.iter().rposition(|byte| !matches!(byte, b'\r' | b'\n'));
    spaces_for_line_ends(&text[..last.map_or(0, |last| last + 1)])
}

/// The text on one line.
pub(super) fn spaces_for_line_ends(text: &[u8]) -> Blob {
    text.iter().map(|byte| if matches!(byte, b'\r' | b'\n') { b' ' } else { *byte }).collect::<Vec<u8>>().into()
}

/// The error of a call with the wrong number of words.
pub(super) fn wrong_arity(name: &str) -> Blob {
    error(format!("ERR wrong number of arguments for '{}' command", name.to_lowercase()))
}

/// A bulk string, or nil.
pub(super) fn bulk_or_nil(value: Option<Blob>) -> Value {
    value.map_or(Value::Nil, Value::Bulk)
}
