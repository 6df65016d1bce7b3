//! The stock of hot SKUs, in Redis: each change is one script, which may be sent again.

use super::config::{Config, Order};
use crate::lock::redis::{ReplicaWait, write};
use crate::port::{Blob, Command, Outcome, Ports, Redis, Script, Unknown, Value};
use std::future::Future;
use std::time::Duration;

static DEDUCT: Script = Script { body: include_str!("scripts/deduct.lua") };
static GIVE_BACK: Script = Script { body: include_str!("scripts/give_back.lua") };
static SETTLE: Script = Script { body: include_str!("scripts/settle.lua") };
static CLOSE: Script = Script { body: include_str!("scripts/close.lua") };
static OPEN: Script = Script { body: include_str!("scripts/open.lua") };

/// The bitmap of the hot SKUs: the bit of a SKU's number is 1.
pub(super) const HOT_SKUS: &str = "hot-skus";

/// What Redis says to a deduction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Deducted {
    /// The order has its pieces, now or from an earlier try.
    Done,
    /// There is not enough.
    SoldOut,
    /// The order was cancelled, or is long since paid.
    Ended,
    /// The stock is not here.
    Closed,
}

/// A deduction: what Redis said in the end, and whether a script is on its way whose reply did not come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Attempt {
    pub answer: Option<Deducted>,
    pub in_doubt: bool,
}

/// The stock in Redis.
#[derive(Clone)]
pub(super) struct HotStock<P: Ports> {
    ports: P,
    server: P::Redis,
    replicas: Option<ReplicaWait>,
    timeout: Duration,
    tries: u32,
}

/// The keys of a SKU, in one slot of a cluster.
fn keys<const N: usize>(sku: i64, names: [&str; N]) -> Vec<Blob> {
    names.iter().map(|name| Blob::from(format!("{{sku-{sku}}}:{name}"))).collect()
}

impl<P: Ports> HotStock<P> {
    pub(super) fn new(ports: &P, config: &Config) -> Self {
        let Config { script_timeout: timeout, script_tries: tries, replicas, .. } = *config;
        HotStock { ports: ports.clone(), server: config.cache.find(ports), replicas, timeout, tries }
    }

    /// Sends a request; without a reply again. None of them does anything the second time. The reply, and whether a
    /// request is on its way whose reply did not come.
    async fn ask<F: Future<Output = Outcome<Value>> + Send>(&self, send: impl Fn() -> F) -> (Option<Value>, bool) {
        let mut in_doubt = false;
        for _ in 0..self.tries {
            match self.ports.round(self.ports.timeout(self.timeout, send())).await {
                Some(Outcome::Ok(value)) => return (Some(value), in_doubt),
                Some(Outcome::Fail(_)) => return (None, in_doubt),
                Some(Outcome::Indeterminate(_)) | None => in_doubt = true,
            }
        }
        (None, in_doubt)
    }

    async fn run(&self, script: &Script, keys: &[Blob], args: &[Blob]) -> (Option<Value>, bool) {
        self.ask(|| self.server.eval(script, keys, args)).await
    }

    async fn call(&self, command: Command) -> Option<Value> {
        self.ask(|| self.server.call(command.clone())).await.0
    }

    /// Sends a write. One that too few replicas have is not known to be done.
    async fn replicated(&self, command: Command) -> Outcome<Value> {
        let (reply, replicated) = write(&self.server, self.replicas.as_ref(), command).await;
        match (&reply, replicated) {
            (Outcome::Ok(_), Err(_)) => Outcome::Indeterminate(Unknown::TimedOut),
            _ => reply,
        }
    }

    /// True if the SKU's bit says so; nothing without a reply.
    pub(super) async fn is_hot(&self, sku: i64) -> Option<bool> {
        Some(self.call(Command::new("GETBIT").arg(HOT_SKUS).arg(sku)).await? == Value::Int(1))
    }

    /// Marks the SKU as hot or cold; false without a reply.
    pub(super) async fn mark(&self, sku: i64, hot: bool) -> bool {
        self.call(Command::new("SETBIT").arg(HOT_SKUS).arg(sku).arg(i64::from(hot))).await.is_some()
    }

    /// The epoch under which the SKU is open; nothing without a reply.
    pub(super) async fn epoch(&self, sku: i64) -> Option<Option<i64>> {
        let reply = self.call(Command::new("GET").arg(&keys(sku, ["epoch"])[0])).await?;
        Some(reply.as_blob().and_then(Blob::to_int))
    }

    /// Takes an order's pieces, if the SKU is open under this epoch.
    pub(super) async fn deduct(&self, order: &Order, epoch: i64) -> Attempt {
        let keys = keys(order.sku, ["stock", "log", "done", "epoch"]);
        let args = [order.id.clone(), Blob::from(order.quantity), Blob::from(epoch)];
        let (reply, in_doubt) = self.ask(|| self.replicated(DEDUCT.command(&keys, &args))).await;
        let answer = reply.as_ref().and_then(Value::as_blob).map(|answer| match answer.as_bytes() {
            b"deducted" => Deducted::Done,
            b"sold-out" => Deducted::SoldOut,
            b"done" => Deducted::Ended,
            _ => Deducted::Closed,
        });
        Attempt { answer, in_doubt }
    }

    /// Returns an order's pieces; false without a reply.
    pub(super) async fn give_back(&self, sku: i64, order: &Blob) -> bool {
        self.run(&GIVE_BACK, &keys(sku, ["stock", "log", "done"]), std::slice::from_ref(order)).await.0.is_some()
    }

    /// Forgets an order whose pieces the inventory service has counted; false without a reply.
    pub(super) async fn settle(&self, sku: i64, order: &Blob) -> bool {
        self.run(&SETTLE, &keys(sku, ["log", "done"]), std::slice::from_ref(order)).await.0.is_some()
    }

    /// Closes the SKU: the orders that have taken pieces here, and how many.
    pub(super) async fn close(&self, sku: i64, number: i64) -> Option<Vec<(Blob, i64)>> {
        let reply = self.run(&CLOSE, &keys(sku, ["log", "epoch", "closed"]), &[Blob::from(number)]).await.0?;
        if let Value::Array(words) = reply { pairs(&words) } else { None }
    }

    /// Opens the SKU that was closed with this number: the stock; nothing if it was not opened or the reply was lost.
    pub(super) async fn open(
        &self,
        sku: i64,
        number: i64,
        epoch: i64,
        left: i64,
        taken: &[(Blob, i64)],
    ) -> Option<i64> {
        let keys = keys(sku, ["stock", "log", "done", "epoch", "closed"]);
        let mut args = vec![Blob::from(number), Blob::from(epoch), Blob::from(left)];
        for (order, quantity) in taken {
            args.extend([order.clone(), Blob::from(*quantity)]);
        }
        let reply = self.run(&OPEN, &keys, &args).await.0?;
        let (what, left) = answer_and_number(&reply)?;
        (what == Blob::from("opened")).then_some(left)
    }

    /// True if the SKU is open under this epoch, or if the reply was lost.
    pub(super) async fn is_open(&self, sku: i64, epoch: Option<i64>) -> bool {
        self.epoch(sku).await.is_none_or(|opened| opened == epoch)
    }

    /// The orders that have taken pieces here, and how many.
    pub(super) async fn log(&self, sku: i64) -> Option<Vec<(Blob, i64)>> {
        match self.call(Command::new("HGETALL").arg(&keys(sku, ["log"])[0])).await? {
            Value::Array(words) => pairs(&words),
            _ => None,
        }
    }

    /// Sets the stock, whatever it is.
    pub(super) async fn set(&self, sku: i64, left: i64) -> bool {
        self.call(Command::new("SET").arg(&keys(sku, ["stock"])[0]).arg(left)).await.is_some()
    }

    /// What is left by the server's own count, and under which epoch, if the SKU is open.
    pub(super) async fn left(&self, sku: i64) -> Option<(i64, i64)> {
        let keys = keys(sku, ["stock", "epoch"]);
        let get = Command::new("MGET").arg(&keys[0]).arg(&keys[1]);
        let Value::Array(values) = self.server.call(get).await.ok()? else { return None };
        match &values[..] {
            [Value::Bulk(stock), Value::Bulk(epoch)] => Some((stock.to_int()?, epoch.to_int()?)),
            _ => None,
        }
    }
}

/// The fields of a hash, and their numbers.
fn pairs(words: &[Value]) -> Option<Vec<(Blob, i64)>> {
    let pair = |pair: &[Value]| Some((pair[0].as_blob()?.clone(), pair[1].as_blob()?.to_int()?));
    words.chunks_exact(2).map(pair).collect()
}

fn answer_and_number(reply: &Value) -> Option<(Blob, i64)> {
    let Value::Array(words) = reply else { return None };
    let [what, number] = &words[..] else { return None };
    Some((what.as_blob()?.clone(), number.as_int()?))
}
