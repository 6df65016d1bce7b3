//! Properties: what must hold, one oracle a file.
//!
//! An oracle looks at the state of the system each time something happens and says what is wrong.
//! Three of them are kept apart on purpose: *grant* (two owners by the servers' own state), *belief*
//! (two clients that both think they hold the lock) and *effect* (a write of a client that no
//! longer holds reaches the guarded resource). A pause makes overlapping belief unavoidable for any
//! lease; fencing must still keep the effect clean.

mod belief;
mod bounded_wait;
mod deadlock;
mod effect;
mod fencing_order;
mod foreign_release;
mod grant;
mod leak;

use crate::history::Event;
use crate::world::link::HoldOrder;
use crate::world::setup::Holder;
use crate::world::system::System;
use std::fmt;
use std::sync::Arc;

pub use belief::Belief;
pub use bounded_wait::BoundedWait;
pub use deadlock::Deadlock;
pub use effect::Effect;
pub use fencing_order::FencingOrder;
pub use foreign_release::ForeignRelease;
pub use grant::Grant;
pub use leak::Leak;

/// The name of what the simulated world demands at its horizon: that every client has ended.
pub const CONVERGENCE: &str = "convergence";

/// Something that must hold in every state.
pub trait Property: Send + Sync + fmt::Debug {
    /// Its name in verdicts and on the command line.
    fn name(&self) -> &'static str;

    /// What it demands, in one sentence.
    fn demands(&self) -> &'static str;

    /// What is wrong, if anything, now that `moment` has come. The holds of `system` are those before it.
    fn check(&self, system: &System, moment: &Moment) -> Option<String>;
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
    /// A node that keeps a lock has served a request.
    LockServed {
        /// The client whose request it was.
        client: usize,
        /// The node.
        node: usize,
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
        /// The hold under which it was sent.
        hold: HoldOrder,
        /// The latest hold that the resource had seen before.
        latest: HoldOrder,
        /// What the client wrote over, and what it wrote.
        change: (String, String),
    },
    /// Every client has ended, and nothing is in flight.
    Quiescent,
    /// Some client waits, and nothing can ever happen again.
    Stuck,
}

/// All properties.
pub fn all() -> Vec<Arc<dyn Property>> {
    vec![
        Arc::new(Grant),
        Arc::new(Belief),
        Arc::new(Effect),
        Arc::new(ForeignRelease),
        Arc::new(FencingOrder),
        Arc::new(Leak),
        Arc::new(Deadlock),
        Arc::new(BoundedWait { slack_us: 0 }),
    ]
}
