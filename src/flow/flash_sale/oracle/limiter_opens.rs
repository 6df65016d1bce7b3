//! Limiter opens: a window ends.

use crate::flow::flash_sale::books::Books;
use crate::property::{Judged, Memory, Moment, Property, View};

/// The limiter's counter stays for ever, or for more than twice its window – it may be more than the window where the
/// server's clock has stepped back. Once the quota is reached, no request passes.
#[derive(Debug)]
pub struct LimiterOpens;

impl Property for LimiterOpens {
    fn name(&self) -> &'static str {
        "limiter-opens"
    }

    fn demands(&self) -> &'static str {
        "the rate limiter's counter expires with its window"
    }

    fn check(&self, _memory: &mut Memory, _view: &dyn View, moment: &Moment) -> Judged {
        let Some(books) = moment.audited::<Books>() else { return Judged::Silent };
        let (ttl_ms, window_ms) = (books.limiter_ttl_ms, books.window_ms);
        if ttl_ms == -1 {
            return Judged::Broken("the rate limiter's counter has no deadline".to_owned());
        }
        let too_long = format!("the rate limiter's counter stays for {ttl_ms} ms, and its window is {window_ms} ms");
        Judged::broken((ttl_ms > 2 * window_ms).then_some(too_long))
    }
}
