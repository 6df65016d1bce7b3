//! The scheduled job that keeps the bitmap of hot SKUs: those that are ordered often are sold from Redis, the others
//! from MySQL.
//!
//! It also brings a hot SKU back that went cold because Redis was away, or whose stock in Redis is not the one that
//! its row means.

use super::service::OrderService;
use crate::lock::Lock;
use crate::lock::mysql::transaction::within;
use crate::port::Ports;
use crate::port::mysql::{Session, Value};
use std::time::Duration;

const ORDERED: &str =
    "SELECT sku_id, COUNT(*) FROM orders WHERE created_at > NOW(6) - INTERVAL ? MICROSECOND GROUP BY sku_id";
const ROUTES: &str = "SELECT sku_id, route, epoch FROM sku_route ORDER BY sku_id";

/// When a SKU is hot.
#[derive(Clone, Copy, Debug)]
pub struct Heat {
    /// Orders are counted for so long.
    pub window: Duration,
    /// With so many of them.
    pub orders: i64,
}

impl<P: Ports, L: Lock> OrderService<P, L> {
    /// Makes SKUs hot or cold as they are ordered. Gives how many have changed.
    pub async fn heat(&mut self, heat: Heat) -> usize {
        let window_us = i64::try_from(heat.window.as_micros()).unwrap_or(i64::MAX);
        let session = self.database.session();
        let ask = async {
            let ordered = within(session.query(ORDERED, vec![window_us.into()]).await).map_err(|_| ())?;
            Ok::<_, ()>((ordered, within(session.query(ROUTES, Vec::new()).await).map_err(|_| ())?))
        };
        let Ok((ordered, routes)) = self.ports.round(ask).await else { return 0 };
        let mut changed = 0;
        for row in routes {
            let [sku, route, epoch] = &row[..] else { continue };
            let Some(id) = sku.as_int() else { continue };
            let count = ordered.iter().find(|row| row[0] == *sku).and_then(|row| row[1].as_int()).unwrap_or(0);
            let is_hot = *route == Value::from("HOT");
            changed += usize::from(match (count >= heat.orders, is_hot) {
                (true, true) => !self.hot.is_open(id, epoch.as_int()).await && self.rebuild(id).await,
                (true, false) => self.rebuild(id).await,
                (false, true) => self.make_cold(id).await,
                (false, false) => false,
            });
        }
        changed
    }
}
