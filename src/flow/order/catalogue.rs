//! Validation and pricing, and the order that they lead to.

use super::config::Order;
use super::service::OrderService;
use super::told::NotPlaced;
use crate::lock::Lock;
use crate::lock::mysql::Stop;
use crate::lock::mysql::transaction::{ending, within};
use crate::port::mysql::{Session, Value};
use crate::port::{Blob, Ports};

const PRODUCT: &str = "SELECT price_minor, on_sale FROM sku WHERE id = ?";
const COUPON: &str = "SELECT user_id, discount_minor, order_id FROM coupon WHERE id = ?";
const INSERT_ORDER: &str = "INSERT INTO orders (id, user_id, sku_id, quantity, amount_minor, coupon_id) \
     VALUES (?, ?, ?, ?, ?, ?)";

/// The most pieces that an order may have.
pub const QUANTITY_MAX: i64 = 10;

/// What a customer sends.
#[derive(Clone, Debug)]
pub struct Request {
    /// The number that the order gets: the customer's page has drawn it, so that a second click is the same order.
    pub id: Blob,
    /// Who orders.
    pub user: Blob,
    /// What.
    pub sku: i64,
    /// How many.
    pub quantity: i64,
    /// The coupon to use up.
    pub coupon: Option<Coupon>,
}

/// A coupon.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Coupon {
    /// Its number.
    pub id: i64,
    /// What it takes off the price, in the smallest unit of the currency.
    pub discount_minor: i64,
}

/// A product that is for sale.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Product {
    price_minor: i64,
}

impl Product {
    /// What the request costs, in the smallest unit of the currency.
    pub(super) fn price(self, request: &Request) -> Result<i64, NotPlaced> {
        if !(1..=QUANTITY_MAX).contains(&request.quantity) {
            return Err(NotPlaced::Invalid);
        }
        let full = self.price_minor.checked_mul(request.quantity).ok_or(NotPlaced::Invalid)?;
        Ok((full - request.coupon.map_or(0, |coupon| coupon.discount_minor)).max(0))
    }
}

/// The answer to a statement that changes nothing.
fn asked<T>(answer: Result<T, Stop>) -> Result<T, NotPlaced> {
    answer.map_err(|_| NotPlaced::Unknown)
}

impl<P: Ports, L: Lock> OrderService<P, L> {
    /// A product, if it is for sale.
    pub(super) async fn product(&mut self, sku: i64) -> Result<Product, NotPlaced> {
        let session = self.database.session();
        let ask = async { within(session.query(PRODUCT, vec![sku.into()]).await).map_err(|_| ()) };
        let rows = self.ports.round(ask).await.map_err(|()| NotPlaced::Unknown)?;
        let number = |at: usize| rows.first().and_then(|row| row.get(at)).and_then(Value::as_int);
        match (number(0), number(1)) {
            (Some(price_minor), Some(1)) => Ok(Product { price_minor }),
            _ => Err(NotPlaced::Invalid),
        }
    }

    /// A user's coupon that is not used up.
    pub async fn coupon(&mut self, user: &Blob, id: i64) -> Result<Coupon, NotPlaced> {
        let rows = asked(within(self.database.session().query(COUPON, vec![id.into()]).await))?;
        match rows.first().map(Vec::as_slice) {
            Some([Value::Text(owner), discount, Value::Null]) if owner == user => {
                Ok(Coupon { id, discount_minor: discount.as_int().unwrap_or(0) })
            }
            _ => Err(NotPlaced::Invalid),
        }
    }

    /// Inserts the order as INIT before anything is deducted: whatever happens then, JOB2 finds it. One that is there
    /// already is the same.
    pub(super) async fn insert_order(&mut self, request: &Request, amount_minor: i64) -> Result<Order, NotPlaced> {
        let Request { id, user, sku, quantity, coupon } = request;
        let coupon = coupon.map(|coupon| coupon.id);
        for _ in 0..self.config.retry.tries {
            let params = vec![
                id.into(),
                user.into(),
                (*sku).into(),
                (*quantity).into(),
                amount_minor.into(),
                coupon.map_or(Value::Null, Value::Int),
            ];
            let session = self.database.session();
            let insert = async { ending(session.run(INSERT_ORDER, params).await).map(drop) };
            match self.ports.round(insert).await {
                Ok(()) => {}
                Err(stop) if stop.is_duplicate() => {
                    // The order is there already, or another one has the coupon.
                    let known = self.read_order(id).await;
                    return known.ok_or(NotPlaced::Invalid);
                }
                Err(Stop::Failed(_) | Stop::GivenUp) => return Err(NotPlaced::Invalid),
                Err(Stop::Conflict | Stop::Unavailable | Stop::Unknown) => continue,
            }
            return Ok(Order { id: id.clone(), sku: *sku, quantity: *quantity, coupon });
        }
        Err(NotPlaced::Unknown)
    }
}
