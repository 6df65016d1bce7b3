//! Shrink.
