//! Placing an order: the flow from the request to the answer.

use super::catalogue::Request;
use super::config::Order;
use super::confirm::Confirmed;
use super::hot::Deducted;
use super::outbox::COUPON;
use super::service::OrderService;
use super::told::{Answer, NotPlaced, Path, tell};
use crate::lock::Lock;
use crate::port::Ports;

/// How often an order is deducted hot because its SKU's route has changed meanwhile.
const HOT_TRIES: usize = 2;

/// What became of an order on the hot path.
enum Hot {
    /// It has its stock.
    Done,
    /// The SKU's route has changed since it was deducted.
    OtherRoute,
    /// The SKU is cold.
    NotHere,
    /// Redis does not answer, or does not have the stock that it should have.
    Unavailable,
}

impl<P: Ports, L: Lock> OrderService<P, L> {
    /// Places an order. The same request may be sent again: its id is the order's.
    pub async fn place(&mut self, request: &Request) -> Result<(), NotPlaced> {
        let placed = self.try_place(request).await;
        let answer = placed.map_or_else(Answer::NotPlaced, |from| Answer::Placed { from });
        tell(&self.ports, &request.id, answer);
        placed.map(drop)
    }

    async fn try_place(&mut self, request: &Request) -> Result<Path, NotPlaced> {
        let product = self.product(request.sku).await?;
        let amount_minor = product.price(request)?;
        let order = self.insert_order(request, amount_minor).await?;
        let path = self.deduct(&order).await?;
        if order.coupon.is_some() {
            // JOB1 sends what is not sent now.
            self.send(&order.id, COUPON).await;
        }
        Ok(path)
    }

    /// Deducts where the SKU's stock is, and again where it has gone meanwhile. What cannot be deducted hot is deducted
    /// cold.
    async fn deduct(&mut self, order: &Order) -> Result<Path, NotPlaced> {
        // A script whose reply did not come may still take effect.
        let mut in_doubt = false;
        for _ in 0..HOT_TRIES {
            match self.deduct_hot(order, &mut in_doubt).await? {
                Hot::Done => return Ok(Path::Hot),
                Hot::OtherRoute => continue,
                Hot::NotHere => break,
                // MySQL has not been asked for these before: it must not be overwhelmed.
                Hot::Unavailable if !self.limiter.take(&self.ports) => return Err(NotPlaced::Busy),
                Hot::Unavailable => break,
            }
        }
        match self.deduct_cold(order).await? {
            Confirmed::Done => Ok(Path::Cold),
            Confirmed::OtherRoute => Err(self.refuse(order, in_doubt).await),
            Confirmed::Ended => Err(NotPlaced::Cancelled),
        }
    }

    /// Deducts in Redis, if the SKU is hot, and confirms it.
    async fn deduct_hot(&mut self, order: &Order, in_doubt: &mut bool) -> Result<Hot, NotPlaced> {
        if !self.breaker.allows(&self.ports) {
            return Ok(Hot::Unavailable);
        }
        let is_hot = self.hot.is_hot(order.sku).await;
        self.breaker.learns(&self.ports, is_hot.is_some());
        match is_hot {
            None => return Ok(Hot::Unavailable),
            Some(false) => return Ok(Hot::NotHere),
            Some(true) => {}
        }
        let Some(Some(epoch)) = self.hot.epoch(order.sku).await else { return Ok(Hot::Unavailable) };
        let deducted = self.hot.deduct(order, epoch).await;
        *in_doubt |= deducted.in_doubt;
        self.breaker.learns(&self.ports, deducted.answer.is_some());
        match deducted.answer {
            Some(Deducted::Done) => match self.confirm(order, epoch).await? {
                Confirmed::Done => Ok(Hot::Done),
                Confirmed::OtherRoute => Ok(Hot::OtherRoute),
                Confirmed::Ended => Err(NotPlaced::Cancelled),
            },
            Some(Deducted::SoldOut) => Err(self.refuse(order, *in_doubt).await),
            Some(Deducted::Ended) => Err(NotPlaced::Cancelled),
            Some(Deducted::Closed) | None => Ok(Hot::Unavailable),
        }
    }
}
