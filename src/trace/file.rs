//! The trace file: JSON with a versioned schema.

use super::{TraceEvent, write_whole};
use crate::explore::follow::Diverged;
use crate::history::Entry;
use crate::scenario::{EXPLORED, Parameters, SIMULATED};
use crate::world::memories::Violation;
use serde::{Deserialize, Serialize};
use std::io::Read;
use std::path::Path;

/// What every trace file begins with.
pub const SCHEMA: &str = "doublehold-trace";
/// The version that this build writes and reads.
pub const VERSION: u32 = 1;
/// A larger file is not read: no trace is that long. Its length is not asked for, as an endless file has none.
const FILE_BYTES_MAX: u64 = 256 << 20;

/// One execution, as it is kept on disk.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Trace {
    /// Always [`SCHEMA`].
    pub schema: String,
    /// The version of the schema.
    pub version: u32,
    /// The scenario's name.
    pub scenario: String,
    /// The world that it was found in: `explored` or `simulated`.
    pub world: String,
    /// How the scenario was set up.
    pub parameters: Parameters,
    /// The seed; 0 in the explored world, where nothing is drawn but clients' retry delays.
    pub seed: u64,
    /// What broke, if anything.
    pub violation: Option<Violation>,
    /// The choices, by their stable names.
    pub schedule: Vec<String>,
    /// What happened, line by line.
    pub events: Vec<TraceEvent>,
    /// What the clients did and learnt.
    pub history: Vec<Entry>,
}

/// Why a trace file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TraceError {
    /// It cannot be read or written.
    #[error("cannot {verb} the trace {path}: {source}")]
    Io {
        /// `read` or `write`.
        verb: &'static str,
        /// The file.
        path: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// It is not a trace.
    #[error("{path} is not a doublehold trace: {why}")]
    Foreign {
        /// The file.
        path: String,
        /// What is wrong with it.
        why: String,
    },
    /// It is of another version.
    #[error("{path} is a trace of version {found}, this build reads version {VERSION}")]
    Version {
        /// The file.
        path: String,
        /// Its version.
        found: u64,
    },
    /// Its scenario is not known here.
    #[error("the trace is of scenario '{0}', which this build does not have")]
    UnknownScenario(String),
    /// The code does not do any more what the trace says.
    #[error("the trace does not fit the code any more, {0}")]
    Diverged(#[from] Diverged),
    /// The execution is the same, but what it says about it is not.
    #[error("the execution follows the trace, but {what} differ at line {line}: expected '{expected}', got '{got}'")]
    Different {
        /// What differs: `events`, `verdicts`.
        what: &'static str,
        /// The line, from 1.
        line: usize,
        /// What the trace says.
        expected: String,
        /// What happened.
        got: String,
    },
}

impl Trace {
    /// Reads a trace file.
    pub fn read(path: &Path) -> Result<Trace, TraceError> {
        let shown = path.display().to_string();
        let io = |source| TraceError::Io { verb: "read", path: shown.clone(), source };
        let mut bytes = Vec::new();
        let mut file = std::fs::File::open(path).map_err(io)?.take(FILE_BYTES_MAX + 1);
        file.read_to_end(&mut bytes).map_err(io)?;
        if bytes.len() as u64 > FILE_BYTES_MAX {
            let why = format!("it has more than {FILE_BYTES_MAX} bytes, more than any trace");
            return Err(TraceError::Foreign { path: shown, why });
        }
        Trace::parse(&bytes, &shown)
    }

    /// Reads a trace from JSON; `path` is for the error's text.
    pub fn parse(bytes: &[u8], path: &str) -> Result<Trace, TraceError> {
        let foreign = |why: String| TraceError::Foreign { path: path.to_owned(), why };
        let json: serde_json::Value = serde_json::from_slice(bytes).map_err(|problem| foreign(problem.to_string()))?;
        match json.get("schema").and_then(serde_json::Value::as_str) {
            Some(SCHEMA) => {}
            _ => return Err(foreign(format!("it does not say \"schema\": \"{SCHEMA}\""))),
        }
        let version = json.get("version").and_then(serde_json::Value::as_u64);
        match version {
            Some(found) if found == u64::from(VERSION) => {}
            Some(found) => return Err(TraceError::Version { path: path.to_owned(), found }),
            None => return Err(foreign("it has no version".to_owned())),
        }
        let trace: Trace = serde_json::from_value(json).map_err(|problem| foreign(problem.to_string()))?;
        trace.parameters.check().map_err(foreign)?;
        if ![EXPLORED, SIMULATED].contains(&trace.world.as_str()) {
            return Err(foreign(format!("there is no world '{}': it is {EXPLORED} or {SIMULATED}", trace.world)));
        }
        Ok(trace)
    }

    /// The file's bytes: the same for the same execution in every build.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = serde_json::to_vec_pretty(self).expect("a trace is plain data");
        bytes.push(b'\n');
        bytes
    }

    /// Writes the trace file, whole or not at all.
    pub fn write(&self, path: &Path) -> Result<(), TraceError> {
        let io = |source| TraceError::Io { verb: "write", path: path.display().to_string(), source };
        write_whole(path, &self.to_bytes()).map_err(io)
    }
}
