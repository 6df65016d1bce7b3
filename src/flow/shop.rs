//! The shop of article oversell: check the stock, deduct one, insert the order.
//!
//! With the stock in MySQL, deduction and order are one transaction, and what guards the row can be chosen
//! ([`Guard`]). With the stock in Redis they are two steps on two servers: what lies between them can be lost, which makes an undersell (S1), and
//! is not mended here.

use super::reconcile::{STOCK_KEY, StockAt, audit, create_records};
use super::sale::{Audit, NotSold};
use crate::lock::mysql::row::{self, Guard, Taken};
use crate::lock::mysql::transaction::{ending, within};
use crate::lock::mysql::{Client, Retry, Stop, Transaction};
use crate::lock::resource::{Access, Counter, Resource};
use crate::port::mysql::{MySql, Session};
use crate::port::{Blob, Outcome, Ports, Unanswered, answered};
use std::time::Duration;

const INSERT_STOCK: &str = "INSERT INTO stock (id, stock) VALUES (?, ?)";
const INSERT_ORDER: &str = "INSERT INTO task_record (scene_code, order_id, unique_id) VALUES ('order', ?, ?)";

/// A shop with one product.
#[derive(Clone, Copy, Debug)]
pub struct Shop {
    /// Where the stock is.
    pub stock: StockAt,
    /// How much there is at the start.
    pub stock_at_start: i64,
    /// What guards the stock at the write.
    pub guard: Guard,
    /// How often to try a transaction.
    pub retry: Retry,
    /// Whether a request's order can be there only once.
    pub unique_orders: bool,
    /// How long the shop works between its check of the stock and its write.
    pub takes: Duration,
    /// The place of the MySQL server in the topology.
    pub database: usize,
}

impl Shop {
    /// Fills the shelves of servers that have nothing of the kind yet.
    pub async fn open<P: Ports>(&self, ports: &P) -> Result<(), Unanswered> {
        let mut session = ports.mysql(self.database).session();
        create_records(&mut session, self.unique_orders).await?;
        match self.stock {
            StockAt::Row(id) => {
                answered(row::TABLE, session.run(row::TABLE, Vec::new()).await)?;
                let params = vec![id.into(), self.stock_at_start.into()];
                answered(INSERT_STOCK, session.run(INSERT_STOCK, params).await)?;
            }
            StockAt::Redis(server) => {
                let counter = Counter::new(ports.redis(server), STOCK_KEY);
                answered("SET stock", counter.write(None, self.stock_at_start).await)?;
            }
        }
        Ok(())
    }

    /// What there is in the end.
    pub async fn audit<P: Ports>(&self, ports: &P) -> Result<Audit, Unanswered> {
        audit(ports, self.database, Some((self.stock, self.stock_at_start))).await
    }

    /// Sells one piece to the request with this id. `fence`: the fencing token of the lock under which it is done;
    /// `holds`: whether that lock is still believed to be held.
    pub async fn sell<P: Ports>(
        &self,
        ports: &P,
        client: &mut Client<P::MySql>,
        request: &Blob,
        fence: Option<u64>,
        holds: impl Fn() -> bool + Send + Sync,
    ) -> Result<(), NotSold> {
        match self.stock {
            StockAt::Row(id) => {
                let sale = Sale { shop: self, ports, request, id, fence, holds };
                match client.transact(ports, self.retry, &sale).await {
                    Ok(taken) => outcome_of(taken),
                    // The order is there: an earlier try had come through.
                    Err(stop) if stop.is_duplicate() => Ok(()),
                    Err(stop) => Err(not_sold(&stop)),
                }
            }
            StockAt::Redis(server) => {
                let counter = Counter::new(ports.redis(server), STOCK_KEY);
                outcome_of(take_from_redis(&counter, self.guard, fence, holds, self.work(ports)).await?)?;
                insert_order(client.session(), request).await
            }
        }
    }

    /// What the shop does between its check and its write.
    async fn work<P: Ports>(&self, ports: &P) {
        if !self.takes.is_zero() {
            ports.sleep(self.takes).await;
        }
    }
}

fn outcome_of(taken: Taken) -> Result<(), NotSold> {
    match taken {
        Taken::Done => Ok(()),
        Taken::NotEnough => Err(NotSold::SoldOut),
        Taken::Stale => Err(NotSold::Stale),
    }
}

fn not_sold(stop: &Stop) -> NotSold {
    match stop {
        Stop::Conflict => NotSold::Conflict,
        Stop::Unknown => NotSold::Unknown,
        Stop::GivenUp => NotSold::NotHeld,
        Stop::Failed(_) | Stop::Unavailable => NotSold::Unavailable,
    }
}

/// Deduction and order in one transaction.
struct Sale<'a, P, F> {
    shop: &'a Shop,
    ports: &'a P,
    request: &'a Blob,
    id: i64,
    fence: Option<u64>,
    holds: F,
}

impl<P: Ports, F: Fn() -> bool + Send + Sync> Transaction for Sale<'_, P, F> {
    type Output = Taken;

    async fn run<S: Session>(&self, session: &mut S) -> Result<Taken, Stop> {
        if !(self.holds)() {
            return Err(Stop::GivenUp);
        }
        let work = self.shop.work(self.ports);
        let taken = row::take(session, (self.id, 1), self.shop.guard, self.fence, work).await?;
        if taken == Taken::Done {
            let params = vec![self.request.into(), self.request.into()];
            within(session.run(INSERT_ORDER, params).await)?;
        }
        Ok(taken)
    }

    /// The order is there now, or was there already; a piece may be missing because an earlier try has taken it.
    fn settles(&self, result: &Result<Taken, Stop>) -> bool {
        match result {
            Ok(taken) => *taken == Taken::Done,
            Err(stop) => stop.is_duplicate(),
        }
    }
}

/// Takes one from the stock on a Redis server.
async fn take_from_redis(
    counter: &Counter<impl crate::port::Redis>,
    guard: Guard,
    fence: Option<u64>,
    holds: impl Fn() -> bool,
    work: impl Future<Output = ()>,
) -> Result<Taken, NotSold> {
    let known = |outcome: Outcome<Taken>| match outcome {
        Outcome::Ok(taken) => Ok(taken),
        Outcome::Fail(_) => Err(NotSold::Unavailable),
        Outcome::Indeterminate(_) => Err(NotSold::Unknown),
    };
    if guard == Guard::Decrement {
        return known(counter.take(1).await.map(|taken| if taken { Taken::Done } else { Taken::NotEnough }));
    }
    let fence = fence.filter(|_| guard == Guard::Fence);
    let stock = match counter.read(fence).await {
        Outcome::Ok(Access::Accepted(stock)) => stock,
        Outcome::Ok(Access::Stale) => return Ok(Taken::Stale),
        Outcome::Fail(_) | Outcome::Indeterminate(_) => return Err(NotSold::Unavailable),
    };
    if stock < 1 {
        return Ok(Taken::NotEnough);
    }
    work.await;
    if !holds() {
        return Err(NotSold::NotHeld);
    }
    known(counter.write(fence, stock - 1).await.map(|access| match access {
        Access::Accepted(()) => Taken::Done,
        Access::Stale => Taken::Stale,
    }))
}

async fn insert_order<S: Session>(session: &mut S, request: &Blob) -> Result<(), NotSold> {
    match ending(session.run(INSERT_ORDER, vec![request.into(), request.into()]).await) {
        Err(stop) => Err(not_sold(&stop)),
        Ok(_) => Ok(()),
    }
}
