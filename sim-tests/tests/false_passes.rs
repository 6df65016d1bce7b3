//! Programs that a checker has judged wrongly: each test is one mistake that must not come back.

use doublehold_sim_tests::clients;
use doublehold_sim_tests::programs::asserts::*;
use doublehold_sim_tests::programs::host::*;
use std::future::Future;
use std::pin::pin;
use std::task::Poll;

// Fingerprints.

/// Sets a key, sleeps, and deletes it: the answer is 0 if the server has forgotten it, a refusal if the server is down.
/// `timers` tasks sleep for long meanwhile.
#[derive(Clone)]
struct DeletesLater {
    timers: u32,
}

impl Workload for DeletesLater {
    async fn run<P: Ports>(&self, ports: P) {
        for _ in 0..self.timers {
            let sleeper = ports.clone();
            ports.spawn(async move { sleeper.sleep(ms(50)).await });
        }
        let redis = ports.redis(0);
        drop(redis.call(set("key", "x")).await);
        ports.sleep(ms(1)).await;
        match redis.call(del("key")).await {
            Outcome::Ok(Value::Int(0)) => ports.record(mark("forgotten")),
            Outcome::Ok(_) => ports.record(mark("deleted")),
            Outcome::Fail(_) => match redis.call(Command::new("PING")).await {
                Outcome::Ok(_) => ports.record(mark("refused, and up again")),
                _ => ports.record(mark("refused")),
            },
            Outcome::Indeterminate(_) => ports.record(mark("unknown")),
        }
    }
}

/// The answer 0 and a refusal, both undelivered, are two states.
#[test]
fn an_answer_of_zero_is_not_a_refusal() {
    for timers in 0..3 {
        let world = World::forgetful_redis(DeletesLater { timers }, 1).faults(Fault::NodeCrash, 1);
        assert!(world.reaches_by_chance("forgotten", 1, 20_000));
        for label in ["forgotten", "deleted", "refused", "refused, and up again", "unknown"] {
            assert_reached(&world, label);
        }
    }
}

clients! {
    /// A lock that gives its holder's wall clock as the fencing token.
    WallClockFence(ports) {
        let redis = ports.redis(0);
        let token = ports.unique_id();
        ports.record(acquiring("lock"));
        for _ in 0..3 {
            if is_ok(&redis.call(set_nx("lock", &token, 10_000)).await) {
                let fence = u64::try_from(ports.wall().as_micros()).unwrap_or(0);
                ports.record(acquired_until("lock", &token, None, Some(fence)));
                ports.sleep(ms(1)).await;
                ports.record(releasing("lock", &token));
                drop(redis.eval(&RELEASE, &["lock".into()], &[token]).await);
                return ports.record(released("lock"));
            }
            ports.sleep(ms(2)).await;
        }
        ports.record(not_acquired("lock"));
    }
}

/// An oracle compares a new fencing token with those of clients that have ended: their holds are part of the state,
/// and so are the clocks that will have given them.
#[test]
fn fencing_tokens_of_ended_clients_count() {
    let world = World::redis(WallClockFence, 2).offset_ms(500).judged_by(&["fencing-order"]);
    assert_eq!(world.sample(1, 20_000), Judged::violated("fencing-order"));
    assert_violated(&world, "fencing-order");
}

// Symmetry.

clients! {
    /// Queues in a sorted set, all with one score: whose token sorts first has the lock.
    FirstInSortedSet(ports) {
        let redis = ports.redis(0);
        let token = ports.unique_id();
        ports.record(acquiring("lock"));
        drop(redis.call(Command::new("ZADD").arg("queue").arg(0u64).arg(&token)).await);
        let rank = redis.call(Command::new("ZRANK").arg("queue").arg(&token)).await;
        if !matches!(rank, Outcome::Ok(Value::Int(0))) {
            return ports.record(not_acquired("lock"));
        }
        ports.record(acquired("lock", &token));
        ports.sleep(ms(1)).await;
        ports.record(releasing("lock", &token));
        drop(redis.call(Command::new("ZREM").arg("queue").arg(&token)).await);
        ports.record(released("lock"));
    }
}

/// Members of one score are ordered by their texts, in which clients have names: a later client-0 goes before a
/// client-1 that holds the lock.
#[test]
fn symmetry_keeps_the_order_of_a_sorted_set() {
    let world = World::redis(FirstInSortedSet, 2).symmetric().judged_by(&["belief"]);
    assert_violated(&world, "belief");
}

static BULLY: Script = Script {
    body: "-- take unless a smaller one has it
local owner = redis.call('GET', KEYS[1])
if owner and owner <= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[1])
return 1",
};

clients! {
    /// Takes the lock over from a holder with a larger token.
    Bully(ports) {
        let redis = ports.redis(0);
        let token = ports.unique_id();
        ports.record(acquiring("lock"));
        let taken = redis.eval(&BULLY, &["lock".into()], std::slice::from_ref(&token)).await;
        if !matches!(taken, Outcome::Ok(Value::Int(1))) {
            return ports.record(not_acquired("lock"));
        }
        ports.record(acquired("lock", &token));
        ports.sleep(ms(1)).await;
        ports.record(releasing("lock", &token));
        drop(redis.eval(&RELEASE, &["lock".into()], &[token]).await);
        ports.record(released("lock"));
    }
}

/// A script compares two clients' tokens by their order.
#[test]
fn symmetry_keeps_what_a_script_compares() {
    let world = World::redis(Bully, 2).symmetric().judged_by(&["belief"]);
    assert_violated(&world, "belief");
}

clients! {
    /// Goes on only if its own token is the smaller one, as its own code compares them.
    ComparesTokens(ports) {
        let redis = ports.redis(0);
        let token = ports.unique_id();
        if is_ok(&redis.call(set("owner", &token).arg("NX")).await) {
            return;
        }
        let Outcome::Ok(Value::Bulk(owner)) = redis.call(get("owner")).await else { return };
        ports.record(mark(if token < owner { "smaller" } else { "larger" }));
    }
}

/// A client's own code compares another's token with its own.
#[test]
fn symmetry_keeps_what_a_client_compares() {
    let world = World::redis(ComparesTokens, 2).symmetric();
    assert_reached(&world, "smaller");
    assert_reached(&world, "larger");
}

// Partial order.

clients! {
    /// Client 0 takes a user lock, hears of it and drops its session; client 1 tries to take it.
    DropsSession(ports) {
        let client = ports.client();
        let mut session = ports.mysql(0).session();
        let rows = session.query("SELECT GET_LOCK(?, ?)", vec!["lock".into(), SqlValue::Int(0)]).await;
        let taken = rows.ok().and_then(|rows| rows.first()?.first()?.as_int()) == Some(1);
        if client == 0 {
            drop(session);
            // It does not end yet: that it has ended would be seen.
            ports.sleep(ms(1)).await;
        } else if !taken {
            ports.record(mark("refused"));
        }
    }
}

/// Closing a connection frees what its session held: a delivery whose code does so does not go first alone.
#[test]
fn closing_a_session_is_seen_by_others() {
    assert_reached(&World::mysql(DropsSession, 2), "refused");
}

clients! {
    /// Client 0 stops to listen as soon as it listens; client 1 publishes and is told how many listen.
    DropsSubscription(ports) {
        let client = ports.client();
        let redis = ports.redis(0);
        if client == 0 {
            let subscription = redis.subscribe("news".into()).await;
            drop(subscription);
            ports.sleep(ms(1)).await;
        } else if matches!(redis.call(Command::new("PUBLISH").arg("news").arg("x")).await, Outcome::Ok(Value::Int(1))) {
            ports.record(mark("heard"));
        }
    }
}

/// The same of a subscription.
#[test]
fn closing_a_subscription_is_seen_by_others() {
    assert_reached(&World::redis(DropsSubscription, 2), "heard");
}

// Faults that do not happen.

clients! {
    /// Sells the only piece under WATCH.
    SellsUnderWatch(ports) {
        let redis = ports.redis(0);
        if !is_ok(&redis.call(Command::new("WATCH").arg("sold")).await) {
            return;
        }
        let Outcome::Ok(Value::Nil) = redis.call(get("sold")).await else { return };
        // It computes.
        ports.sleep(ms(1)).await;
        for command in [Command::new("MULTI"), set("sold", "yes")] {
            if !matches!(redis.call(command).await, Outcome::Ok(_)) {
                return;
            }
        }
        if let Outcome::Ok(Value::Array(_)) = redis.call(Command::new("EXEC")).await {
            ports.record(acquired("the-only-piece", &ports.unique_id()));
            ports.sleep(ms(1)).await;
        }
    }
}

/// A connection that waits for nothing breaks as well, and what the server watches for it is lost.
#[test]
fn an_idle_connection_breaks() {
    let world = World::redis(SellsUnderWatch, 2).judged_by(&["belief"]);
    assert_not_accused(&world);
    assert_violated(&world.faults(Fault::Break, 1), "belief");
}

clients! {
    /// Writes to a Redis server under a user lock of a database.
    WritesUnderUserLock(ports) {
        let client = ports.client();
        let mut session = ports.mysql(0).session();
        ports.record(acquiring("lock"));
        let rows = session.query("SELECT GET_LOCK(?, ?)", vec!["lock".into(), SqlValue::Int(10)]).await;
        if rows.ok().and_then(|rows| rows.first()?.first()?.as_int()) != Some(1) {
            return ports.record(not_acquired("lock"));
        }
        let token = ports.unique_id();
        ports.record(acquired("lock", &token));
        drop(ports.redis(1).call(set("stock", client as u64 + 1)).await);
        ports.record(releasing("lock", &token));
        drop(session.query("SELECT RELEASE_LOCK(?)", vec!["lock".into()]).await);
        ports.record(released("lock"));
    }
}

/// What a client had sent before it crashed may still arrive, after its session has ended and another has the lock.
#[test]
fn what_a_crashed_client_had_sent_arrives_late() {
    let world = World::mysql_and_redis(WritesUnderUserLock, 2).guarded("stock", 1, "lock").judged_by(&["effect"]);
    let world = world.delay_ms(None);
    assert_not_accused(&world);
    assert_violated(&world.faults(Fault::ClientCrash, 1), "effect");
}

// Time.

/// ShedLock: a row says until when the job is locked. The client computes now and the end before it asks
/// (lukas-krecan/ShedLock#132).
#[derive(Clone)]
struct ShedLock;

impl Workload for ShedLock {
    async fn run<P: Ports>(&self, ports: P) {
        const TAKE: &str = "UPDATE shedlock SET lock_until = ? WHERE name = ? AND lock_until <= ?";
        ports.record(acquiring("job"));
        let now_us = ports.wall().as_micros();
        let (now, until) = (SqlValue::DateTime(now_us), SqlValue::DateTime(now_us + 50_000));
        let mut session = ports.mysql(0).session();
        match session.run(TAKE, vec![until, "job".into(), now]).await {
            Outcome::Ok(changed) if changed.affected == 1 => {}
            _ => return ports.record(not_acquired("job")),
        }
        let token = ports.unique_id();
        ports.record(acquired("job", &token));
        ports.sleep(ms(5)).await;
        ports.record(releasing("job", &token));
    }

    async fn prepare<P: Ports>(&self, ports: P) -> Result<(), Unanswered> {
        const TABLE: &str =
            "CREATE TABLE shedlock (name VARCHAR(64) NOT NULL PRIMARY KEY, lock_until DATETIME(6) NOT NULL)";
        const ROW: &str = "INSERT INTO shedlock (name, lock_until) VALUES (?, ?)";
        let mut session = ports.mysql(0).session();
        answered(TABLE, session.run(TABLE, Vec::new()).await)?;
        answered(ROW, session.run(ROW, vec!["job".into(), SqlValue::DateTime(1_000_000)]).await).map(drop)
    }
}

/// A pause takes time, whatever else is due: what is broken by a pause of 60 ms is broken by one of any length.
#[test]
fn a_pause_without_limit_is_as_long_as_a_lease() {
    let world = World::mysql(ShedLock, 2).any_time().judged_by(&["belief"]);
    assert_not_accused(&world);
    let world = world.faults(Fault::Pause, 1);
    assert_violated(&world.clone().pause_ms(Some(60)), "belief");
    assert_violated(&world.pause_ms(None), "belief");
}

clients! {
    /// Gives up on a lock after 50 ms, without looking whether it has got it.
    LeavesLockBehind(ports) {
        let redis = ports.redis(0);
        let token = ports.unique_id();
        if let Some(outcome) = ports.timeout(ms(50), redis.call(set("lock", &token).arg("NX"))).await
            && is_ok(&outcome)
        {
            drop(redis.eval(&RELEASE, &["lock".into()], &[token]).await);
        }
    }
}

/// The same of a time-out that passes while its client is paused.
#[test]
fn a_pause_without_limit_is_as_long_as_a_time_out() {
    let world = World::redis(LeavesLockBehind, 1).redis_lock("lock").judged_by(&["leak"]);
    assert_not_accused(&world);
    let world = world.faults(Fault::Pause, 1);
    assert_violated(&world.clone().pause_ms(Some(60)), "leak");
    assert_violated(&world.pause_ms(None), "leak");
}

/// A server that is paused leaves a request unanswered, and serves it all the same.
#[test]
fn a_paused_server_serves_later_what_was_given_up() {
    let world = World::redis(LeavesLockBehind, 1).redis_lock("lock").judged_by(&["leak"]);
    assert_violated(&world.faults(Fault::NodePause, 1), "leak");
}

clients! {
    /// A holder that finds little left of its lease gives the lock back, and goes on.
    GivesBackEarly(ports) {
        let redis = ports.redis(0);
        let token = ports.unique_id();
        let start = ports.monotonic();
        if !is_ok(&redis.call(set_nx("lock", &token, 100)).await) {
            return;
        }
        ports.record(acquired_until("lock", &token, Some(start + ms(100)), None));
        drop(redis.call(get("settings")).await);
        if ports.monotonic().since(start) >= ms(80) {
            drop(redis.eval(&RELEASE, &["lock".into()], std::slice::from_ref(&token)).await);
            drop(redis.call(get("settings")).await);
        }
        ports.record(releasing("lock", &token));
    }
}

/// Messages may take less time than they are allowed to: a moment within a lease at which code takes another path is
/// not jumped over.
#[test]
fn a_threshold_within_a_lease_is_met() {
    let world = World::redis(GivesBackEarly, 2).any_time().judged_by(&["belief"]);
    for delay in [Some(40), Some(60), Some(100), Some(300), None] {
        assert_violated(&world.clone().delay_ms(delay), "belief");
    }
}

clients! {
    /// Works for longer than its lease if answers are slow: the remaining time is looked at, and slept over.
    Elapsed(ports) {
        let redis = ports.redis(0);
        let start = ports.monotonic();
        drop(redis.call(get("key")).await);
        let elapsed = ports.monotonic().since(start);
        if elapsed > ms(0) && elapsed < ms(3) {
            ports.record(mark("quick"));
        } else if elapsed >= ms(7) && elapsed < ms(9) {
            ports.record(mark("slow"));
        }
    }
}

/// The same of a clock that is compared with two moments, neither of which is an end of Δ.
#[test]
fn every_span_of_elapsed_time_is_met() {
    let world = World::redis(Elapsed, 1).delay_ms(Some(10));
    assert_reached(&world, "quick");
    assert_reached(&world, "slow");
}

clients! {
    /// Compares its clock in few executions only, long after a search has begun: where another client came between its reads.
    ComparesLate(ports) {
        let redis = ports.redis(0);
        if ports.client() == 1 {
            for _ in 0..12 {
                drop(redis.call(Command::new("INCR").arg("n")).await);
            }
            drop(redis.call(set("key", "x")).await);
            return;
        }
        for _ in 0..8 {
            if redis.call(get("key")).await != Outcome::Ok(Value::Nil) {
                return;
            }
        }
        let start = ports.monotonic();
        if redis.call(get("key")).await == Outcome::Ok(Value::Nil) {
            return;
        }
        let elapsed = ports.monotonic().since(start);
        if elapsed >= ms(7) && elapsed < ms(9) {
            ports.record(mark("slow"));
        }
    }
}

/// A search that has met no comparison for long follows the first that it meets.
#[test]
fn a_comparison_that_comes_late_is_followed() {
    assert_reached(&World::redis(ComparesLate, 2).delay_ms(Some(10)), "slow");
}

// Runs that say nothing.

clients! {
    /// The README's own lock, without NX: it tells nobody what it does.
    TellsNothing(ports) {
        let redis = ports.redis(0);
        let taken = redis.call(set("lock", "me").arg("PX").arg(100u64)).await;
        if is_ok(&taken) {
            ports.sleep(ms(1)).await;
        }
    }
}

clients! {
    /// Never gets the lock.
    NeverAcquires(ports) {
        let redis = ports.redis(0);
        let token = ports.unique_id();
        ports.record(acquiring("lock"));
        // XX where NX was meant.
        let taken = redis.call(set("lock", &token).arg("XX")).await;
        if !is_ok(&taken) {
            return ports.record(not_acquired("lock"));
        }
        ports.record(acquired("lock", &token));
        ports.record(releasing("lock", &token));
    }
}

clients! {
    /// Every client takes a lock of its own: nobody is ever in another's way.
    NeverContends(ports) {
        let client = ports.client();
        let lock = if client == 0 { "lock-0" } else { "lock-1" };
        let token = ports.unique_id();
        ports.record(acquiring(lock));
        drop(ports.redis(0).call(set(lock, &token)).await);
        ports.record(acquired(lock, &token));
        ports.sleep(ms(1)).await;
        ports.record(releasing(lock, &token));
        drop(ports.redis(0).call(del(lock)).await);
        ports.record(released(lock));
    }
}

fn assert_does_not_hold(world: &World) {
    for reduce in [Reduce::Nothing, Reduce::All] {
        assert_ne!(world.exhaust(reduce), Judged::Holds, "{reduce:?}: nothing was there to be judged");
    }
}

/// Where no client ever says that it holds the lock, nothing was judged.
#[test]
fn a_run_without_events_does_not_hold() {
    assert_does_not_hold(&World::redis(TellsNothing, 2).redis_lock("lock").judged_by(&["belief"]));
}

#[test]
fn a_run_in_which_nobody_acquires_does_not_hold() {
    assert_does_not_hold(&World::redis(NeverAcquires, 2).redis_lock("lock").judged_by(&["belief", "grant"]));
}

#[test]
fn a_run_in_which_nobody_contends_does_not_hold() {
    assert_does_not_hold(&World::redis(NeverContends, 2).judged_by(&["belief"]));
}

// What holds today, and must go on to.

/// Sends a request and gives up on it at once.
async fn send_only<T>(request: impl Future<Output = T>) {
    let mut request = pin!(request);
    std::future::poll_fn(|cx| {
        let _sent = request.as_mut().poll(cx).is_pending();
        Poll::Ready(())
    })
    .await;
}

clients! {
    /// Sends a write that it does not wait for, then asks on another connection.
    WritesAndAsks(ports) {
        let client = ports.client();
        if client == 0 {
            send_only(ports.redis(0).call(set("key", "late"))).await;
            return;
        }
        let first = ports.redis(0).call(get("key")).await;
        let second = ports.redis(0).call(get("key")).await;
        if first != second {
            ports.record(mark("between"));
        }
    }
}

#[test]
fn a_write_of_an_ended_client_arrives_between_two_reads() {
    assert_reached(&World::redis(WritesAndAsks, 2), "between");
}

// Code that draws on something beside its ports.

/// Asks for one of two keys by a number that its process keeps.
#[derive(Clone, Default)]
struct CountsItsRuns(std::sync::Arc<std::sync::atomic::AtomicU64>);

impl Workload for CountsItsRuns {
    async fn run<P: Ports>(&self, ports: P) {
        drop(ports.redis(0).call(get("a")).await);
        let runs = self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let key = if runs.is_multiple_of(2) { "b" } else { "c" };
        for _ in 0..3 {
            drop(ports.redis(0).call(get(key)).await);
        }
    }
}

#[test]
fn nondeterminism_is_told_and_never_holds() {
    let world = World::redis(CountsItsRuns::default(), 3).judged_by(&["deadlock"]);
    for reduce in REDUCTIONS {
        assert_eq!(world.exhaust(reduce), Judged::violated("nondeterminism"), "{reduce:?}");
    }
}

// Pools.

/// Writes without waiting, and reads: over one connection, or over two of a pool.
#[derive(Clone)]
struct WritesAndReads {
    pooled: bool,
}

impl Workload for WritesAndReads {
    async fn run<P: Ports>(&self, ports: P) {
        let first = ports.redis(0);
        let second = if self.pooled { first.another() } else { first.clone() };
        let write = first.call(set("key", "new"));
        let mut write = pin!(write);
        let mut read = pin!(second.call(get("key")));
        let mut seen = None;
        std::future::poll_fn(|cx| {
            let written = write.as_mut().poll(cx).is_ready();
            if seen.is_none()
                && let Poll::Ready(value) = read.as_mut().poll(cx)
            {
                seen = Some(value);
            }
            if written || seen.is_some() { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
        if matches!(seen, Some(Outcome::Ok(Value::Nil))) {
            ports.record(mark("overtaken"));
        }
    }
}

/// Requests over two connections overtake each other; over one they do not.
#[test]
fn connections_of_a_pool_overtake_each_other() {
    assert_reached(&World::redis(WritesAndReads { pooled: true }, 1), "overtaken");
    for reduce in REDUCTIONS {
        assert!(!World::redis(WritesAndReads { pooled: false }, 1).reaches("overtaken", reduce), "{reduce:?}");
    }
}
