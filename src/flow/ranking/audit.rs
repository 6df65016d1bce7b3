//! What there is of a ranking in the end: in MySQL, and in Redis.

use super::{COUNTS, Config, Kept, keys};
use crate::base::Tells;
use crate::port::mysql::{MySql, Session, Value as Sql};
use crate::port::{Blob, Command, Ports, Redis, Unanswered, Value, answered};
use serde::{Deserialize, Serialize};
use std::fmt;

/// A merchant's ranking.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Standings {
    /// The calls of each consultant, by MySQL's records.
    pub recorded: Vec<(i64, i64)>,
    /// The consultants in Redis with their scores, or how often each is in the list; nothing if Redis has none.
    pub cached: Option<Vec<(i64, i64)>>,
    /// Whether Redis has scores.
    pub scored: bool,
}

impl Tells for Standings {
    const KIND: &'static str = "standings";
}

impl fmt::Display for Standings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MySQL has {:?}, Redis has {:?}", self.recorded, self.cached.as_deref().unwrap_or_default())
    }
}

/// How often each is there, in order.
fn counted(mut members: Vec<i64>) -> Vec<(i64, i64)> {
    members.sort_unstable();
    let runs = members.chunk_by(|left, right| left == right);
    runs.map(|run| (run[0], run.len() as i64)).collect()
}

/// Looks it up. The answers must come.
pub async fn audit<P: Ports>(ports: &P, config: &Config, merchant: i64) -> Result<Standings, Unanswered> {
    let mut session = ports.mysql(config.database).session();
    let rows = answered(COUNTS, session.query(COUNTS, vec![merchant.into()]).await)?;
    let pair = |row: &Vec<Sql>| Some((row.first()?.as_int()?, row.get(1)?.as_int()?));
    let recorded = rows.iter().filter_map(pair).collect();
    let redis = ports.redis(config.cache);
    let [ranking, calls] = keys(merchant);
    let scored = config.kept != Kept::Pushed;
    let range = if scored { "ZRANGE" } else { "LRANGE" };
    let range = Command::new(range).arg(ranking).arg("0").arg("-1");
    let range = if scored { range.arg("WITHSCORES") } else { range };
    let complete = match config.kept {
        Kept::Applied => {
            let ask = redis.call(Command::new("HEXISTS").arg(calls).arg("complete")).await;
            answered("HEXISTS", ask)? == Value::Int(1)
        }
        Kept::Added | Kept::Pushed => true,
    };
    let Value::Array(words) = answered("the ranking", redis.call(range).await)? else {
        return Err(Unanswered { what: "the ranking", why: "it is no list".to_owned() });
    };
    let numbers: Vec<i64> = words.iter().filter_map(Value::as_blob).filter_map(Blob::to_int).collect();
    let mut cached: Vec<(i64, i64)> =
        if scored { numbers.chunks_exact(2).map(|pair| (pair[0], pair[1])).collect() } else { counted(numbers) };
    cached.sort_unstable();
    let cached = (complete && !cached.is_empty()).then_some(cached);
    Ok(Standings { recorded, cached, scored })
}
