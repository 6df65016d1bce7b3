//! Blob: a short byte string that is cheap to clone.

use std::borrow::Borrow;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::ops::Deref;
use std::sync::Arc;

const INLINE_BYTES_MAX: usize = 22;

/// An immutable, binary-safe byte string: up to 22 bytes inline, static text by reference, longer
/// ones shared. Cloning never allocates.
#[derive(Clone)]
pub struct Blob(Repr);

#[derive(Clone)]
enum Repr {
    Inline { len: u8, bytes: [u8; INLINE_BYTES_MAX] },
    Static(&'static [u8]),
    Shared(Arc<[u8]>),
}

impl Blob {
    /// The empty string.
    pub const EMPTY: Blob = Blob(Repr::Static(b""));

    /// Text known at compile time; never copied.
    pub const fn from_static(bytes: &'static [u8]) -> Self {
        Blob(Repr::Static(bytes))
    }

    /// Copies `bytes`.
    pub fn copy_from(bytes: &[u8]) -> Self {
        if bytes.len() > INLINE_BYTES_MAX {
            return Blob(Repr::Shared(bytes.into()));
        }
        let mut inline = [0; INLINE_BYTES_MAX];
        inline[..bytes.len()].copy_from_slice(bytes);
        Blob(Repr::Inline { len: bytes.len() as u8, bytes: inline })
    }

    /// The decimal form of `number`.
    pub fn from_int(number: i64) -> Self {
        let mut digits = [0u8; INLINE_BYTES_MAX];
        let mut at = INLINE_BYTES_MAX;
        let mut rest = number.unsigned_abs();
        loop {
            at -= 1;
            digits[at] = b'0' + (rest % 10) as u8;
            rest /= 10;
            if rest == 0 {
                break;
            }
        }
        if number < 0 {
            at -= 1;
            digits[at] = b'-';
        }
        Blob::copy_from(&digits[at..])
    }

    /// The bytes.
    pub fn as_bytes(&self) -> &[u8] {
        match &self.0 {
            Repr::Inline { len, bytes } => &bytes[..usize::from(*len)],
            Repr::Static(bytes) => bytes,
            Repr::Shared(bytes) => bytes,
        }
    }

    /// The number that the whole text spells in strict decimal, as Redis's `string2ll` reads it: no
    /// spaces, no plus sign, no leading zeros.
    pub fn to_int(&self) -> Option<i64> {
        let bytes = self.as_bytes();
        let digits = bytes.strip_prefix(b"-").unwrap_or(bytes);
        match digits {
            [b'0'] => (bytes.len() == 1).then_some(0),
            [b'1'..=b'9', ..] if digits.len() <= 19 => {
                digits.iter().all(u8::is_ascii_digit).then_some(())?;
                std::str::from_utf8(bytes).ok()?.parse().ok()
            }
            _ => None,
        }
    }

    /// The text, with bytes that are not UTF-8 replaced.
    pub fn to_text(&self) -> std::borrow::Cow<'_, str> {
        String::from_utf8_lossy(self.as_bytes())
    }
}

impl Deref for Blob {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        self.as_bytes()
    }
}

impl AsRef<[u8]> for Blob {
    fn as_ref(&self) -> &[u8] {
        self.as_bytes()
    }
}

impl Borrow<[u8]> for Blob {
    fn borrow(&self) -> &[u8] {
        self.as_bytes()
    }
}

impl Default for Blob {
    fn default() -> Self {
        Blob::EMPTY
    }
}

impl PartialEq for Blob {
    fn eq(&self, other: &Self) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl Eq for Blob {}

impl PartialOrd for Blob {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Blob {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        #[cfg(feature = "nodes")]
        crate::names::note_comparison(self, other);
        self.as_bytes().cmp(other.as_bytes())
    }
}

impl Hash for Blob {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_bytes().hash(state);
    }
}

impl fmt::Debug for Blob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.to_text())
    }
}

impl fmt::Display for Blob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_text())
    }
}

impl From<&'static str> for Blob {
    fn from(text: &'static str) -> Self {
        Blob::from_static(text.as_bytes())
    }
}

impl From<&'static [u8]> for Blob {
    fn from(bytes: &'static [u8]) -> Self {
        Blob::from_static(bytes)
    }
}

impl From<String> for Blob {
    fn from(text: String) -> Self {
        Blob::copy_from(text.as_bytes())
    }
}

impl From<&String> for Blob {
    fn from(text: &String) -> Self {
        Blob::copy_from(text.as_bytes())
    }
}

impl From<Vec<u8>> for Blob {
    fn from(bytes: Vec<u8>) -> Self {
        Blob::copy_from(&bytes)
    }
}

impl From<&Blob> for Blob {
    fn from(blob: &Blob) -> Self {
        blob.clone()
    }
}

impl From<i64> for Blob {
    fn from(number: i64) -> Self {
        Blob::from_int(number)
    }
}

impl From<u64> for Blob {
    fn from(number: u64) -> Self {
        match i64::try_from(number) {
            Ok(number) => Blob::from_int(number),
            Err(_) => Blob::copy_from(number.to_string().as_bytes()),
        }
    }
}

impl serde::Serialize for Blob {
    /// As text; bytes that are not UTF-8 are replaced.
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.to_text())
    }
}

impl<'de> serde::Deserialize<'de> for Blob {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Blob::from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_are_read_as_strictly_as_redis_reads_them() {
        fn check(text: &'static str, expected: Option<i64>) {
            assert_eq!(Blob::from(text).to_int(), expected, "{text:?}");
        }
        check("0", Some(0));
        check("-0", None);
        check("-1", Some(-1));
        check("007", None);
        check("+1", None);
        check(" 1", None);
        check("", None);
        check("-", None);
        check("9223372036854775807", Some(i64::MAX));
        check("9223372036854775808", None);
        check("-9223372036854775808", Some(i64::MIN));
    }

    #[test]
    fn numbers_round_trip() {
        for number in [0, 1, -1, 10, i64::MAX, i64::MIN] {
            assert_eq!(Blob::from_int(number).to_text(), number.to_string());
            assert_eq!(Blob::from_int(number).to_int(), Some(number));
        }
    }

    #[test]
    fn equality_ignores_the_representation() {
        let long = "a text of more than twenty-two bytes";
        assert_eq!(Blob::from(long), Blob::copy_from(long.as_bytes()));
        assert_eq!(Blob::from("short"), Blob::copy_from(b"short"));
    }
}
