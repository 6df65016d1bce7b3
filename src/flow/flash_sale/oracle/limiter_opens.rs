//! Limiter opens: a window ends.

use crate::flow::flash_sale::books::Books;
use crate::property::{Judged, Memory, Moment, Property, View};

/// The limiter's counter has no deadline: once the quota is reached, no request will ever pass.
#[derive(Debug)]
pub struct LimiterOpens;

impl Property for LimiterOpens {
    fn name(&self) -> &'static str {
        "limiter-opens"
    }

    fn demands(&self) -> &'static str {
        "the rate limiter's counter expires"
    }

    fn check(&self, _memory: &mut Memory, _view: &dyn View, moment: &Moment) -> Judged {
        let Some(books) = moment.audited::<Books>() else { return Judged::Silent };
        Judged::broken(books.limiter_stays.then(|| "the rate limiter's counter has no deadline".to_owned()))
    }
}
