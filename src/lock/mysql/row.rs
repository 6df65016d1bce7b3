//! A number in a row, taken from under a guard that decides at the write.
//!
//! | guard | how | holds because |
//! |---|---|---|
//! | [`Guard::Version`] | `UPDATE … WHERE version = ?` | whoever wrote in between has changed the version: no row is changed |
//! | [`Guard::Decrement`] | `UPDATE … SET stock = stock - ? WHERE stock >= ?` | the server computes, under the row's lock |
//! | [`Guard::ForUpdate`] | `SELECT … FOR UPDATE` first | nobody else gets the row until the transaction ends |
//! | [`Guard::Fence`] | the row remembers the largest fencing token | an earlier holder is refused |
//! | [`Guard::Nothing`] | reads, computes, writes | only under a lock that holds |
//!
//! **Fails** for [`Guard::Nothing`]: two that read the same number write the same number (scenario `mysql-unguarded`).

use super::transaction::{Stop, within};
use crate::port::mysql::{Session, Value};

/// The table of the guarded rows.
pub const TABLE: &str = "CREATE TABLE IF NOT EXISTS stock (id BIGINT NOT NULL PRIMARY KEY, stock BIGINT NOT NULL, \
     version BIGINT NOT NULL DEFAULT 0, fence BIGINT NOT NULL DEFAULT 0)";

const READ: &str = "SELECT stock, version FROM stock WHERE id = ?";
const READ_FOR_UPDATE: &str = "SELECT stock, version FROM stock WHERE id = ? FOR UPDATE";
const CLAIM: &str = "UPDATE stock SET fence = GREATEST(fence, ?) WHERE id = ?";
const READ_FENCED: &str = "SELECT stock, fence FROM stock WHERE id = ? FOR UPDATE";
const WRITE: &str = "UPDATE stock SET stock = ? WHERE id = ?";
const WRITE_VERSION: &str = "UPDATE stock SET stock = ?, version = version + 1 WHERE id = ? AND version = ?";
const DECREMENT: &str = "UPDATE stock SET stock = stock - ? WHERE id = ? AND stock >= ?";

/// What guards the number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Guard {
    /// Nothing: what was computed is written.
    Nothing,
    /// The version that was read must still be there.
    Version,
    /// The server computes, if there is enough.
    Decrement,
    /// The row is locked when it is read.
    ForUpdate,
    /// The row refuses a fencing token that is smaller than one that it has seen.
    Fence,
}

/// What became of taking from the number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Taken {
    /// It was taken.
    Done,
    /// There is not enough.
    NotEnough,
    /// A later holder has been here.
    Stale,
}

/// Takes `count` from the number in row `id`, within the session's transaction. Between a read and the write, `work` is
/// done.
pub async fn take<S: Session>(
    session: &mut S,
    (id, count): (i64, i64),
    guard: Guard,
    fence: Option<u64>,
    work: impl Future<Output = ()> + Send,
) -> Result<Taken, Stop> {
    match guard {
        Guard::Nothing => read_then_write(session, READ, (id, count), work).await,
        Guard::ForUpdate => read_then_write(session, READ_FOR_UPDATE, (id, count), work).await,
        Guard::Version => optimistic(session, (id, count), work).await,
        Guard::Decrement => decrement(session, (id, count)).await,
        Guard::Fence => fenced(session, (id, count), fence.unwrap_or(0), work).await,
    }
}

/// Two numbers of a row; nothing and nothing if there is no such row.
async fn read<S: Session>(session: &mut S, sql: &'static str, id: i64) -> Result<(i64, i64), Stop> {
    let rows = within(session.query(sql, vec![id.into()]).await)?;
    let number = |at: usize| rows.first().and_then(|row| row.get(at)).and_then(Value::as_int).unwrap_or(0);
    Ok((number(0), number(1)))
}

async fn read_then_write<S: Session>(
    session: &mut S,
    sql: &'static str,
    (id, count): (i64, i64),
    work: impl Future<Output = ()>,
) -> Result<Taken, Stop> {
    let (stock, _) = read(session, sql, id).await?;
    if stock < count {
        return Ok(Taken::NotEnough);
    }
    work.await;
    within(session.run(WRITE, vec![(stock - count).into(), id.into()]).await)?;
    Ok(Taken::Done)
}

/// Compare and set: no row changed means that somebody else was first.
async fn optimistic<S: Session>(
    session: &mut S,
    (id, count): (i64, i64),
    work: impl Future<Output = ()>,
) -> Result<Taken, Stop> {
    let (stock, version) = read(session, READ, id).await?;
    if stock < count {
        return Ok(Taken::NotEnough);
    }
    work.await;
    let params = vec![(stock - count).into(), id.into(), version.into()];
    let changed = within(session.run(WRITE_VERSION, params).await)?;
    if changed.affected == 0 { Err(Stop::Conflict) } else { Ok(Taken::Done) }
}

async fn decrement<S: Session>(session: &mut S, (id, count): (i64, i64)) -> Result<Taken, Stop> {
    let changed = within(session.run(DECREMENT, vec![count.into(), id.into(), count.into()]).await)?;
    Ok(if changed.affected == 0 { Taken::NotEnough } else { Taken::Done })
}

/// The token comes before the read: whoever has read without it could write what a later holder has not seen.
async fn fenced<S: Session>(
    session: &mut S,
    (id, count): (i64, i64),
    fence: u64,
    work: impl Future<Output = ()>,
) -> Result<Taken, Stop> {
    let fence = i64::try_from(fence).unwrap_or(i64::MAX);
    within(session.run(CLAIM, vec![fence.into(), id.into()]).await)?;
    let (stock, seen) = read(session, READ_FENCED, id).await?;
    if seen > fence {
        return Ok(Taken::Stale);
    }
    if stock < count {
        return Ok(Taken::NotEnough);
    }
    work.await;
    within(session.run(WRITE, vec![(stock - count).into(), id.into()]).await)?;
    Ok(Taken::Done)
}
