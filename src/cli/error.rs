//! What can go wrong on the command line, and with which exit code it ends.

use crate::trace::TraceError;

/// Exit code: the command was called wrongly.
pub(super) const USAGE: u8 = 2;
/// Exit code: unknown, as the user ended the work.
pub(super) const INTERRUPTED: u8 = 3;
/// Exit code: the same input gave another result.
pub(super) const NONDETERMINISM: u8 = 4;
/// Exit code: something that the command needs is missing or does not answer.
pub(super) const ENVIRONMENT: u8 = 5;

/// Why the command could not answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum CliError {
    #[error("there is no scenario '{name}'; {}`doublehold list` shows all", did_you_mean(.nearest))]
    UnknownScenario { name: String, nearest: Option<String> },
    #[error("{0}")]
    Usage(String),
    #[error("{0}")]
    Environment(String),
    #[error("{0}")]
    Nondeterminism(String),
    #[error(transparent)]
    Trace(#[from] TraceError),
    #[error("'{0}' is not in this build; build it with `--features {1}`")]
    #[cfg_attr(feature = "real-redis", allow(dead_code, reason = "only said by builds without the feature"))]
    NotBuilt(String, &'static str),
    #[error("cannot write {path}: {source}")]
    Write { path: String, source: std::io::Error },
}

impl CliError {
    pub(super) fn exit_code(&self) -> u8 {
        match self {
            CliError::UnknownScenario { .. } | CliError::Usage(_) => USAGE,
            CliError::Environment(_) | CliError::NotBuilt(..) | CliError::Write { .. } => ENVIRONMENT,
            CliError::Nondeterminism(_) => NONDETERMINISM,
            CliError::Trace(problem) => match problem {
                TraceError::Io { .. } => ENVIRONMENT,
                TraceError::Foreign { .. } | TraceError::Version { .. } | TraceError::UnknownScenario(_) => USAGE,
                TraceError::Diverged { .. } | TraceError::Different { .. } => NONDETERMINISM,
            },
        }
    }
}

fn did_you_mean(nearest: &Option<String>) -> String {
    nearest.as_ref().map_or(String::new(), |nearest| format!("did you mean '{nearest}'? "))
}
