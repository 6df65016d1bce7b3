//! `doublehold sim`.
use super::args::SimOptions;
use super::error::CliError;
use crate::scenario::Registry;
use std::sync::atomic::AtomicBool;
pub(super) fn run(_options: &SimOptions, _registry: &Registry, _stop: &AtomicBool) -> Result<u8, CliError> {
    Err(CliError::NotBuilt("sim", "sim"))
}
