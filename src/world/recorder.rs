//! Recorder: writes down what happens in an execution, when somebody wants to read it.

use crate::history::Entry;
use serde::{Deserialize, Serialize};

/// One line of a trace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TraceEvent {
    /// True time, in microseconds since the start.
    pub at_us: u64,
    /// Who acts: `client-0`, `redis-1`, `time`.
    pub who: String,
    /// What its own clock shows: a client's monotonic clock, a node's wall clock; in microseconds.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub own_us: Option<i64>,
    /// What it does, and to whom.
    pub what: String,
    /// The clients that believe after it that they hold a lock.
    pub holders: Vec<usize>,
}

/// Writes down decisions and events, or nothing.
#[derive(Default)]
pub struct Recorder {
    pub(super) on: bool,
    /// The names of the choices made.
    pub decisions: Vec<String>,
    /// What happened.
    pub events: Vec<TraceEvent>,
    /// What the clients did and learnt.
    pub history: Vec<Entry>,
}

impl Recorder {
    /// Writes everything down.
    pub fn on() -> Self {
        Recorder { on: true, ..Recorder::default() }
    }

    /// Writes nothing down.
    pub fn off() -> Self {
        Recorder::default()
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.decisions.clear();
        self.events.clear();
        self.history.clear();
    }

    /// A client's code has come to its end.
    pub(crate) fn finished(&mut self, at_us: u64, client: usize) {
        if self.on {
            let holders = self.events.last().map(|last| last.holders.clone()).unwrap_or_default();
            let who = format!("client-{client}");
            self.events.push(TraceEvent { at_us, who, own_us: None, what: "ends".to_owned(), holders });
        }
    }
}
