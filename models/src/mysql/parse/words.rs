//! Names, and the error for what is not modelled.

use crate::Blob;
use sqlparser::ast as sql;

/// What a text uses that the model does not have. That includes texts that the parser rejects: the real server's
/// grammar is wider, so it is unknown whether it would reject them too.
#[derive(Clone, Debug, PartialEq)]
pub(in super::super) struct NotModelled(pub String);

pub(super) type Parsed<T> = Result<T, NotModelled>;

pub(super) fn unknown<T>(what: impl std::fmt::Display) -> Parsed<T> {
    Err(NotModelled(what.to_string()))
}

/// Names are compared without regard to case, as columns are; so are tables here.
pub(super) fn ident(ident: &sql::Ident) -> Blob {
    Blob::from(ident.value.to_ascii_lowercase())
}

pub(super) fn name(name: &sql::ObjectName) -> Parsed<Blob> {
    match &name.0[..] {
        [sql::ObjectNamePart::Identifier(one)] => Ok(ident(one)),
        _ => unknown(format!("the qualified name {name}")),
    }
}
