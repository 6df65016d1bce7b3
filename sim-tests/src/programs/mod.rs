//! Programs that attack the checker: small clients, and what a search must find in them.

pub mod host;
