//! Collation: which texts are equal. Spaces at the end make no difference.

use super::wire::Value;
use crate::Blob;

/// A text as it compares: without the spaces at its end.
pub(super) fn trimmed(text: &Blob) -> &[u8] {
    let end = text.iter().rposition(|byte| *byte != b' ').map_or(0, |last| last + 1);
    &text[..end]
}

/// A value as it stands in keys: texts that compare as equal are the same.
pub(super) fn key_value(value: &Value) -> Value {
    match value {
        Value::Text(text) if text.last() == Some(&b' ') => Value::Text(Blob::copy_from(trimmed(text))),
        other => other.clone(),
    }
}
