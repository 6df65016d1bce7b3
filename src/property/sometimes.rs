//! Sometimes: what a search must have seen at least once, or its verdict says nothing.

use super::{Judged, Memory, Moment, Property, View};

/// Something that must happen in some execution. It is never broken: where it never happened, *holds* becomes *unknown (vacuous)*.
#[derive(Clone, Copy, Debug)]
pub struct Sometimes {
    /// Its name in verdicts.
    pub name: &'static str,
    /// What must happen, in one sentence.
    pub demands: &'static str,
    /// Whether it happens now.
    pub reached: fn(&dyn View, &Moment) -> bool,
}

impl Sometimes {
    /// A lease ends by itself.
    pub const LEASE_ENDS: Sometimes = Sometimes {
        name: "sometimes-lease-ends",
        demands: "in some execution a lease ends by itself while a server has it",
        reached: |_, moment| matches!(moment, Moment::LockChanged { by: None, before: Some(_), .. }),
    };
}

impl Property for Sometimes {
    fn name(&self) -> &'static str {
        self.name
    }

    fn demands(&self) -> &'static str {
        self.demands
    }

    fn must_be_seen(&self) -> bool {
        true
    }

    fn check(&self, _memory: &mut Memory, view: &dyn View, moment: &Moment) -> Judged {
        if (self.reached)(view, moment) { Judged::Fine } else { Judged::Silent }
    }
}
