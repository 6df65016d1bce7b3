//! RESP: the commands and replies of Redis, as plain data.

use crate::Blob;
use std::fmt;

/// A command with its arguments, as it goes over the wire.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Command(Vec<Blob>);

/// The words of a common command: enough that building one allocates once.
const WORDS_USUAL: usize = 6;

impl Command {
    /// A command without arguments yet.
    pub fn new(name: &'static str) -> Self {
        let mut words = Vec::with_capacity(WORDS_USUAL);
        words.push(Blob::from(name));
        Command(words)
    }

    /// A command from all of its words, its name first.
    pub fn from_words(words: impl IntoIterator<Item = Blob>) -> Self {
        Command(words.into_iter().collect())
    }

    /// Appends one argument.
    #[must_use]
    pub fn arg(mut self, word: impl Into<Blob>) -> Self {
        self.0.push(word.into());
        self
    }

    /// All words, the command's name first.
    pub fn words(&self) -> &[Blob] {
        &self.0
    }

    /// The command's name as it was written.
    pub fn name(&self) -> &Blob {
        &self.0[0]
    }
}

impl fmt::Display for Command {
    /// The words of the command; a script's body is shortened to its first line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, word) in self.0.iter().enumerate() {
            if at > 0 {
                f.write_str(" ")?;
            }
            let text = word.to_text();
            let is_script = |name: &Blob| name.eq_ignore_ascii_case(b"EVAL") || name.eq_ignore_ascii_case(b"EVAL_RO");
            if at == 1 && is_script(&self.0[0]) {
                let first = text.lines().next().unwrap_or_default();
                write!(f, "⟨{}⟩", first.trim_start_matches("-- "))?;
            } else if text.is_empty() || text.contains(char::is_whitespace) {
                write!(f, "{text:?}")?;
            } else {
                f.write_str(&text)?;
            }
        }
        Ok(())
    }
}

impl fmt::Debug for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{self}`")
    }
}

/// A reply of the server (RESP2).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Value {
    /// The null bulk string or null array.
    Nil,
    /// A signed integer.
    Int(i64),
    /// A binary-safe string.
    Bulk(Blob),
    /// A simple status such as `OK`.
    Status(Blob),
    /// A nested list.
    Array(Vec<Value>),
    /// An error, its code first (`WRONGTYPE Operation against …`).
    Error(Blob),
}

impl Value {
    /// The status reply `OK`.
    pub const OK: Value = Value::Status(Blob::from_static(b"OK"));

    /// An error reply with this text.
    pub fn error(text: impl Into<Blob>) -> Value {
        Value::Error(text.into())
    }

    /// The integer, if it is one.
    pub fn as_int(&self) -> Option<i64> {
        match self {
            Value::Int(number) => Some(*number),
            _ => None,
        }
    }

    /// The text, if the reply is a bulk string or a status.
    pub fn as_blob(&self) -> Option<&Blob> {
        match self {
            Value::Bulk(text) | Value::Status(text) => Some(text),
            _ => None,
        }
    }

    /// True for the status `OK`.
    pub fn is_ok(&self) -> bool {
        matches!(self, Value::Status(text) if text.as_bytes() == b"OK")
    }

    /// True for the null reply.
    pub fn is_nil(&self) -> bool {
        matches!(self, Value::Nil)
    }
}

impl From<Blob> for Value {
    fn from(text: Blob) -> Self {
        Value::Bulk(text)
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Nil => f.write_str("nil"),
            Value::Int(number) => write!(f, "{number}"),
            Value::Bulk(text) => write!(f, "{text:?}"),
            Value::Status(text) => write!(f, "{text}"),
            Value::Error(text) => write!(f, "error {text}"),
            Value::Array(items) => {
                f.write_str("[")?;
                for (at, item) in items.iter().enumerate() {
                    write!(f, "{}{item}", if at > 0 { ", " } else { "" })?;
                }
                f.write_str("]")
            }
        }
    }
}
