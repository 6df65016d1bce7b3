//! Purchase: what MySQL does for one piece – the stock's row, and the order.

use super::row::{Seen, read};
use super::service::FlashSale;
use crate::lock::mysql::transaction::{ending, within};
use crate::lock::mysql::{Retry, Stop, Transaction};
use crate::port::mysql::Session;
use crate::port::{Blob, Ports};

const WRITE: &str = "UPDATE stock SET sale = ? WHERE id = ?";
const SELL: &str = "UPDATE stock SET sale = sale + 1, version = version + 1 WHERE id = ? AND version = ?";
const INSERT: &str = "INSERT INTO stock_order (stock_id, request_id) VALUES (?, ?)";

/// What became of a purchase.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Purchased {
    /// The order is there, and the row is as it says.
    Done(Seen),
    /// Nothing is left.
    SoldOut,
}

/// The stock and the order in one transaction, if the row is still as it was seen.
struct Purchase<'a> {
    stock: i64,
    request: &'a Blob,
    /// What Redis says of the row; without it the row is read.
    seen: Option<Seen>,
}

impl Transaction for Purchase<'_> {
    type Output = Purchased;

    async fn run<S: Session>(&self, session: &mut S) -> Result<Purchased, Stop> {
        let seen = match self.seen {
            Some(seen) => seen,
            None => read(session, self.stock).await?,
        };
        if seen.is_sold_out() {
            return Ok(Purchased::SoldOut);
        }
        let changed = within(session.run(SELL, vec![self.stock.into(), seen.version.into()]).await)?;
        if changed.affected == 0 {
            return Err(Stop::Conflict);
        }
        within(session.run(INSERT, vec![self.stock.into(), self.request.into()]).await)?;
        Ok(Purchased::Done(seen.sold()))
    }

    /// The order is there now, or was there already; that nothing is left may be because of an earlier try.
    fn settles(&self, result: &Result<Purchased, Stop>) -> bool {
        match result {
            Ok(purchased) => *purchased != Purchased::SoldOut,
            Err(stop) => stop.is_duplicate(),
        }
    }
}

impl<P: Ports, Q: Send> FlashSale<P, Q> {
    /// Connects to both servers, so that no request has to wait for that.
    pub async fn connect(&mut self) {
        self.look_up().await;
        self.counters.read().await;
    }

    /// Sells one piece to a request, if the row is still as it was seen.
    pub(super) async fn purchase(
        &mut self,
        request: &Blob,
        seen: Option<Seen>,
        retry: Retry,
    ) -> Result<Purchased, Stop> {
        let purchase = Purchase { stock: self.config.stock, request, seen };
        self.database.transact(&self.ports, retry, &purchase).await
    }

    /// Sells one piece as one would at first: each statement for itself, and what was computed is written.
    pub(super) async fn purchase_naively(&mut self, request: &Blob) -> Result<Purchased, Stop> {
        let stock = self.config.stock;
        let session = self.database.session();
        let seen = read(session, stock).await?;
        if seen.is_sold_out() {
            return Ok(Purchased::SoldOut);
        }
        ending(session.run(WRITE, vec![(seen.sale + 1).into(), stock.into()]).await)?;
        ending(session.run(INSERT, vec![stock.into(), request.into()]).await)?;
        Ok(Purchased::Done(seen.sold()))
    }

    /// The row as it is now.
    pub(super) async fn look_up(&mut self) -> Option<Seen> {
        let stock = self.config.stock;
        let session = self.database.session();
        self.ports.round(async { read(session, stock).await.ok() }).await
    }
}
