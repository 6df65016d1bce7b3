//! Properties: what must hold, one oracle a file.
//!
//! An oracle looks at the state of the system each time something happens and says what is wrong.
//! Three of them are kept apart on purpose: *grant* (two owners by the servers' own state), *belief*
//! (two clients that both think they hold the lock) and *effect* (a write of a client that no
//! longer holds reaches the guarded resource). A pause makes overlapping belief unavoidable for any
//! lease; fencing must still keep the effect clean.

mod belief;
mod bounded_wait;
mod continuity;
mod deadlock;
mod effect;
mod fencing_order;
mod foreign_release;
mod free_lock;
mod grant;
mod idle_lock;
mod leak;
mod memory;
mod queue_order;
mod sometimes;
mod stale_read;

use crate::history::{Event, Fact, Hold, HoldOrder, Holds, Tells};
use crate::port::{Blob, Instant};
use std::fmt;
use std::sync::Arc;

pub use belief::Belief;
pub use bounded_wait::BoundedWait;
pub use continuity::Continuity;
pub use deadlock::Deadlock;
pub use doublehold_models::{Ends, Holder};
pub use effect::Effect;
pub use fencing_order::FencingOrder;
pub use foreign_release::ForeignRelease;
pub use free_lock::FreeLock;
pub use grant::Grant;
pub use idle_lock::IdleLock;
pub use leak::Leak;
pub use memory::Memory;
pub use queue_order::QueueOrder;
pub use sometimes::Sometimes;
pub use stale_read::StaleRead;

/// The name of what the simulated world demands at its horizon: that every client has ended.
pub const CONVERGENCE: &str = "convergence";

/// The name under which it is told that a model does not have what was asked of it: a verdict would be worth nothing.
pub const NOT_MODELLED: &str = "not-modelled";

/// The name under which it is told that code does something else when it is told the same again.
pub const NONDETERMINISM: &str = "nondeterminism";

/// The properties that never found anything: of those that judge, or of those that must be seen. `looked` has a bit for
/// each property that did.
pub fn silent(
    properties: &[Arc<dyn Property>],
    looked: u64,
    must_be_seen: bool,
) -> impl Iterator<Item = &Arc<dyn Property>> {
    let silent = move |(at, property): &(usize, &Arc<dyn Property>)| {
        property.must_be_seen() == must_be_seen && looked & (1 << (*at).min(63)) == 0
    };
    properties.iter().enumerate().filter(silent).map(|(_, property)| property)
}

/// Something that must hold in every state.
pub trait Property: Send + Sync + fmt::Debug {
    /// Its name in verdicts and on the command line.
    fn name(&self) -> &'static str;

    /// What it demands, in one sentence.
    fn demands(&self) -> &'static str;

    /// True if it says nothing about an execution in which no lock is acquired.
    fn is_about_locks(&self) -> bool {
        false
    }

    /// True if a verdict says nothing where it found nothing to look at.
    fn must_be_seen(&self) -> bool {
        false
    }

    /// What it remembers at the start of an execution; nothing by default.
    fn memory(&self) -> Memory {
        Memory::default()
    }

    /// Judges now that `moment` has come. The holds of `view` are those before it.
    ///
    /// Moments come in the order of the execution. What the property needs of earlier ones it keeps in its `memory`, nowhere
    /// else: the explorer goes back and forth between executions.
    fn check(&self, memory: &mut Memory, view: &dyn View, moment: &Moment) -> Judged;
}

/// What a property says to a moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Judged {
    /// Nothing: the moment is none that it judges.
    Silent,
    /// It has looked, and all is well.
    Fine,
    /// What is wrong.
    Broken(String),
}

impl Judged {
    /// Broken if something is wrong, else fine.
    pub fn broken(wrong: Option<String>) -> Judged {
        wrong.map_or(Judged::Fine, Judged::Broken)
    }
}

/// What an oracle can see: the state of a simulated system, or a history from the real world. Of a simulated system all of it
/// is in the fingerprint.
pub trait View {
    /// Who holds what, by the clients' own events.
    fn holds(&self) -> &Holds;

    /// What a client's monotonic clock shows now, in microseconds; `None` if the client has ended.
    fn client_mono_us(&self, client: usize) -> Option<u64>;

    /// How many clients there are.
    fn clients(&self) -> usize;

    /// True if the client's process ended before its code did.
    fn has_crashed(&self, client: usize) -> bool;

    /// True if a partition has once been between the client and a server.
    fn was_cut_off(&self, client: usize) -> bool;

    /// The clients that have not come to their end.
    fn waiting_clients(&self) -> Vec<usize>;

    /// The locks' names and the places of the services that keep them.
    fn locks(&self) -> Vec<(Blob, Vec<usize>)>;

    /// A service's name.
    fn service_name(&self, service: usize) -> String;

    /// Who holds a lock by the state of one service; nobody on one that is down.
    fn holder_on(&self, lock: usize, service: usize) -> Option<Holder>;

    /// The tokens that have a lock's quorum.
    fn owners(&self, lock: usize) -> Vec<Blob>;

    /// The client that put this token of a lock on the servers, or that has told that it holds by it.
    fn owner_of(&self, lock: usize, token: &Blob) -> Option<usize>;

    /// True if this token of a lock was put on the servers by a request that its client had given up: the connection had
    /// broken before it was served.
    fn came_late(&self, lock: usize, token: &Blob) -> bool;
}

impl dyn View + '_ {
    /// The holds on this lock that their clients believe in.
    pub fn believers(&self, lock: &Blob) -> impl Iterator<Item = (usize, &Hold)> {
        let believes = move |(client, hold): &(usize, &Hold)| {
            let Some(now_us) = self.client_mono_us(*client) else { return false };
            let valid = hold.valid_until.is_none_or(|until| Instant::from_micros(now_us) < until);
            hold.lock == *lock && valid
        };
        self.holds().iter().filter(believes)
    }
}

/// Something that happened.
pub enum Moment<'a> {
    /// A client did or learnt something.
    Recorded {
        /// The client.
        client: usize,
        /// What.
        event: &'a Event,
    },
    /// A client's process is about to end before its code does.
    Crashed {
        /// The client.
        client: usize,
    },
    /// A service shows another holder of a lock than before.
    LockChanged {
        /// The client whose request changed it; `None` if it was time, a crash, a restart.
        by: Option<usize>,
        /// The service.
        service: usize,
        /// The lock, by its place in the setup.
        lock: usize,
        /// Who held it on that node before.
        before: &'a Option<Holder>,
        /// Who holds it there now.
        after: &'a Option<Holder>,
    },
    /// The guarded resource has changed at the request of a client.
    ResourceWritten {
        /// The client whose request it was.
        client: usize,
        /// The resource.
        resource: Blob,
        /// The hold on the resource's lock under which it was sent.
        hold: HoldOrder,
        /// The latest hold that the resource had seen before.
        latest: HoldOrder,
        /// What the client wrote over, and what it wrote.
        change: (String, String),
    },
    /// Every client has ended, and an auditor has asked the servers.
    Audited(&'a Fact),
    /// Every client has ended, and nothing is in flight.
    Quiescent,
    /// Some client waits, and nothing can ever happen again.
    Stuck,
}

impl Moment<'_> {
    /// What an auditor has found, if it is of this type.
    pub fn audited<T: Tells>(&self) -> Option<T> {
        match self {
            Moment::Audited(fact) => fact.get(),
            _ => None,
        }
    }
}

/// The properties of locks.
pub fn all() -> Vec<Arc<dyn Property>> {
    vec![
        Arc::new(Grant),
        Arc::new(Belief),
        Arc::new(Effect),
        Arc::new(ForeignRelease),
        Arc::new(FencingOrder),
        Arc::new(QueueOrder),
        Arc::new(Leak),
        Arc::new(Deadlock),
        Arc::new(BoundedWait { slack_us: BoundedWait::SLACK_US }),
        Arc::new(FreeLock),
    ]
}
