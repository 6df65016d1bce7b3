//! `doublehold real`.
