//! The oracle of cache-aside: what Redis has is what MySQL has.

use super::Copies;
use crate::property::{Judged, Memory, Moment, Property, Sometimes, View};

/// All are quiet, and Redis has another version than MySQL.
#[derive(Debug)]
pub struct CacheAgrees;

impl Property for CacheAgrees {
    fn name(&self) -> &'static str {
        "cache-agrees"
    }

    fn demands(&self) -> &'static str {
        "in the end Redis has what MySQL has, or nothing"
    }

    fn check(&self, _memory: &mut Memory, _view: &dyn View, moment: &Moment) -> Judged {
        let Some(copies) = moment.audited::<Copies>() else { return Judged::Silent };
        Judged::broken(copies.cache.filter(|version| *version != copies.database).map(|_| copies.to_string()))
    }
}

/// Redis has the article in the end.
pub const CACHED: Sometimes = Sometimes {
    name: "sometimes-cached",
    demands: "in some execution Redis has the article in the end",
    reached: |_, moment| moment.audited::<Copies>().is_some_and(|copies| copies.cache.is_some()),
};
