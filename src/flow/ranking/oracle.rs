//! The oracle of the ranking: what Redis shows is what MySQL has.

use super::audit::Standings;
use crate::property::{Judged, Memory, Moment, Property, Sometimes, View};

/// Redis has a ranking, and a consultant is missing from it, is there twice, or has another number of calls than
/// records.
#[derive(Debug)]
pub struct RankingAgrees;

impl Property for RankingAgrees {
    fn name(&self) -> &'static str {
        "ranking-agrees"
    }

    fn demands(&self) -> &'static str {
        "the ranking in Redis is the one that MySQL's records give"
    }

    fn check(&self, _memory: &mut Memory, _view: &dyn View, moment: &Moment) -> Judged {
        let Some(standings) = moment.audited::<Standings>() else { return Judged::Silent };
        let Some(cached) = &standings.cached else { return Judged::Fine };
        let expected = standings.recorded.iter().map(|(consultant, calls)| (*consultant, *calls));
        let right = match standings.scored {
            true => expected.eq(cached.iter().copied()),
            false => cached.iter().all(|(_, times)| *times == 1),
        };
        Judged::broken((!right).then(|| standings.to_string()))
    }
}

/// Redis has a ranking in the end.
pub const CACHED: Sometimes = Sometimes {
    name: "sometimes-ranked",
    demands: "in some execution Redis has a ranking in the end",
    reached: |_, moment| moment.audited::<Standings>().is_some_and(|standings| standings.cached.is_some()),
};
