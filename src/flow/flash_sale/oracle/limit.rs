//! Limit: no more requests pass in a window than the limiter lets.

use crate::flow::flash_sale::told::Passed;
use crate::property::{Judged, Memory, Moment, Property, View};
use std::collections::VecDeque;

/// Within one window more than twice the quota passes: the end of one window and the beginning of the next.
#[derive(Debug)]
pub struct SaleLimit {
    /// What may pass in a window.
    pub quota: usize,
    /// How long it is, in microseconds.
    pub window_us: u64,
}

impl Property for SaleLimit {
    fn name(&self) -> &'static str {
        "sale-limit"
    }

    fn demands(&self) -> &'static str {
        "within a window at most twice the quota passes the rate limiter"
    }

    fn memory(&self) -> Memory {
        // When the last ones passed.
        Memory::symmetric(VecDeque::<u64>::new())
    }

    fn check(&self, memory: &mut Memory, view: &dyn View, moment: &Moment) -> Judged {
        let Moment::Recorded { client, event } = moment else { return Judged::Silent };
        let Some(Passed { .. }) = event.fact() else { return Judged::Silent };
        let Some(now_us) = view.client_mono_us(*client) else { return Judged::Silent };
        let passed = memory.get::<VecDeque<u64>>();
        passed.push_back(now_us);
        if passed.len() <= 2 * self.quota {
            return Judged::Fine;
        }
        let first_us = passed.pop_front().unwrap_or_default();
        let count = 2 * self.quota + 1;
        let too_fast = now_us.saturating_sub(first_us) < self.window_us;
        Judged::broken(too_fast.then(|| format!("{count} requests pass within {} µs", now_us.saturating_sub(first_us))))
    }
}
