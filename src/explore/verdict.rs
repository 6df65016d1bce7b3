//! Verdict: what a search found, and what it covers.

use crate::world::memories::Violation;
use serde::Serialize;
use std::fmt;

/// What a search found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "verdict", rename_all = "kebab-case")]
pub enum Verdict {
    /// Everything within the stated limits was seen, and nothing was wrong.
    Holds,
    /// A property is broken.
    Violated(Violation),
    /// Nothing was wrong in what was seen, but not everything was seen.
    Unknown {
        /// What ended the search.
        cause: Cause,
    },
}

/// Why a search did not see everything.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Cause {
    /// Some execution was longer than allowed.
    Steps,
    /// As many executions as allowed were made.
    Executions,
    /// As many states as allowed were seen.
    States,
    /// The memory allowed was used.
    Memory,
    /// The time allowed was over.
    Time,
    /// The user ended it.
    Interrupted,
    /// The strategy samples: it never sees everything.
    Sampled,
    /// Clients' code goes on to name moments at which it would do something else.
    Moments,
    /// Nothing was wrong, and nothing was there to be wrong: no client ever acquired a lock.
    NoAcquisition,
    /// No client ever wanted a lock that another one wanted or held.
    NoContention,
    /// No probe ever saw a holder of one of the locks.
    NoHolder,
    /// No property found anything to judge.
    NothingJudged,
    /// Something never happened that must happen sometimes, or a fault of which there may be some never struck.
    NeverHappened,
}

impl Cause {
    /// True if everything was seen, and nothing that could have been wrong.
    pub fn is_vacuous(self) -> bool {
        matches!(
            self,
            Cause::NoAcquisition | Cause::NoContention | Cause::NoHolder | Cause::NothingJudged | Cause::NeverHappened
        )
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Cause::Steps => "some execution was cut at the limit of steps",
            Cause::Executions => "the limit of executions was reached",
            Cause::States => "the limit of states was reached",
            Cause::Memory => "the limit of memory was reached",
            Cause::Time => "the time allowed was over",
            Cause::Interrupted => "interrupted",
            Cause::Sampled => "sampled, not exhausted",
            Cause::Moments => "clients' code names ever more moments of its clocks at which it would do something else",
            Cause::NoAcquisition => {
                "vacuous: no client ever acquired a lock; let the workload record Acquiring, Acquired and Releasing, and let \
                 some client succeed"
            }
            Cause::NoContention => {
                "vacuous: no client ever wanted a lock that another one wanted or held; let clients ask for one lock at one time"
            }
            Cause::NoHolder => {
                "vacuous: no probe ever saw a holder of one of the locks; let its probe read what the lock puts on the servers"
            }
            Cause::NeverHappened => {
                "vacuous: something that must happen in some execution never did, or a fault with a budget never struck; allow \
                 more, or leave it out with `--except`"
            }
            Cause::NothingJudged => "vacuous: no property found anything to judge; name properties that look at this workload",
        })
    }
}

impl Verdict {
    /// The name in reports.
    pub fn name(&self) -> &'static str {
        match self {
            Verdict::Holds => "holds",
            Verdict::Violated(_) => "violated",
            Verdict::Unknown { .. } => "unknown",
        }
    }

    /// The exit code of the command line.
    pub fn exit_code(&self) -> u8 {
        match self {
            Verdict::Holds => 0,
            Verdict::Violated(_) => 1,
            Verdict::Unknown { .. } => 3,
        }
    }
}
