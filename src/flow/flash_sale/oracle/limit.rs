//! Limit: no more requests pass in a window than the limiter lets.

use crate::flow::flash_sale::told::Passed;
use crate::property::{Judged, Memory, Moment, Property, View};
use std::collections::VecDeque;

/// So many of the last are remembered.
const MEMORY_MAX: usize = 64;

/// Within one window more than twice the quota passes: the end of one window and the beginning of the next.
#[derive(Debug)]
pub struct SaleLimit {
    /// What may pass in a window.
    pub quota: usize,
    /// How long it is, in milliseconds of the Redis server's clock.
    pub window_ms: i64,
}

impl Property for SaleLimit {
    fn name(&self) -> &'static str {
        "sale-limit"
    }

    fn demands(&self) -> &'static str {
        "within a window the rate limiter counts at most twice the quota as passing"
    }

    fn memory(&self) -> Memory {
        // When the last ones were counted.
        Memory::symmetric(VecDeque::<i64>::new())
    }

    fn check(&self, memory: &mut Memory, _view: &dyn View, moment: &Moment) -> Judged {
        let Moment::Recorded { event, .. } = moment else { return Judged::Silent };
        let Some(Passed { counted_ms: Some(counted_ms), .. }) = event.fact() else { return Judged::Silent };
        let passed = memory.get::<VecDeque<i64>>();
        // Answers may overtake each other: what was counted later may be told first.
        let at = passed.partition_point(|earlier| *earlier <= counted_ms);
        passed.insert(at, counted_ms);
        let count = 2 * self.quota + 1;
        let spans = (0..).zip(passed.iter().skip(count - 1)).map(|(first, last)| last - passed[first]);
        let Some(shortest_ms) = spans.min() else { return Judged::Fine };
        if passed.len() > MEMORY_MAX {
            passed.pop_front();
        }
        let too_fast = format!("{count} requests are counted within {shortest_ms} ms");
        Judged::broken((shortest_ms < self.window_ms).then_some(too_fast))
    }
}
