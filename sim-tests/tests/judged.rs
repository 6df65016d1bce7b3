//! Programs about which an oracle has been wrong: it passed what is broken, or accused what is sound.

use doublehold::lock::Acquire as _;
use doublehold::lock::redisson::{self, RedissonLock};
use doublehold_sim_tests::clients;
use doublehold_sim_tests::programs::asserts::*;
use doublehold_sim_tests::programs::host::*;

// What the oracles judge.

clients! {
    /// Extends a lease that has ended, whoever has the lock by then.
    ExtendsTooLate(ports) {
        let client = ports.client();
        let redis = ports.redis(0);
        let token = ports.unique_id();
        if client == 1 {
            ports.sleep(ms(15)).await;
        }
        let start = ports.monotonic();
        ports.record(acquiring("lock"));
        if !is_ok(&redis.call(set_nx("lock", &token, 10)).await) {
            return ports.record(not_acquired("lock"));
        }
        ports.record(acquired_until("lock", &token, Some(start + ms(10)), None));
        if client == 0 {
            ports.sleep(ms(20)).await;
            let start = ports.monotonic();
            if is_ok(&redis.call(set("lock", &token).arg("PX").arg(10u64)).await) {
                ports.record(extended("lock", &token, start + ms(10)));
            }
        }
        ports.sleep(ms(8)).await;
        ports.record(releasing("lock", &token));
    }
}

#[test]
fn belief_is_judged_where_a_lease_is_extended() {
    let world = World::redis(ExtendsTooLate, 2).judged_by(&["belief"]);
    assert_violated(&world, "belief");
}

clients! {
    /// Two tasks of one client, each of which believes that it has the mutex of their process.
    TwoTasks(ports) {
        let other = ports.clone();
        ports.spawn(async move { take_for_a_while(&other).await });
        take_for_a_while(&ports).await;
    }
}

async fn take_for_a_while<P: Ports>(ports: &P) {
    ports.record(acquiring("mutex"));
    let token = ports.unique_id();
    ports.record(acquired("mutex", &token));
    ports.sleep(ms(1)).await;
    ports.record(releasing("mutex", &token));
    ports.record(released("mutex"));
}

#[test]
fn two_tasks_of_one_client_do_not_hold_one_mutex() {
    assert_violated(&World::redis(TwoTasks, 1).judged_by(&["belief"]), "belief");
}

clients! {
    /// Client 0 writes long after its lease has ended, and takes an unrelated lock before that.
    WritesBehindUnrelatedLock(ports) {
        let client = ports.client();
        let redis = ports.redis(0);
        let token = ports.unique_id();
        if client == 1 {
            ports.sleep(ms(15)).await;
        }
        let start = ports.monotonic();
        ports.record(acquiring("lock"));
        if !is_ok(&redis.call(set_nx("lock", &token, 10)).await) {
            return ports.record(not_acquired("lock"));
        }
        ports.record(acquired_until("lock", &token, Some(start + ms(10)), None));
        if client == 0 {
            ports.sleep(ms(20)).await;
            drop(redis.call(set("other", &token).arg("NX")).await);
            ports.record(acquired("other", &token));
        }
        drop(redis.call(set("stock", &token)).await);
    }
}

/// A write counts under the hold on the lock that guards the resource, whatever else its client holds.
#[test]
fn a_late_write_behind_an_unrelated_lock_is_seen() {
    let world = World::redis(WritesBehindUnrelatedLock, 2).guarded("stock", 0, "lock").judged_by(&["effect"]);
    assert_violated(&world, "effect");
}

clients! {
    /// Client 0 takes an outer lock with fencing tokens of its own before the one that guards the stock.
    NestsLocks(ports) {
        let client = ports.client();
        let redis = ports.redis(0);
        let token = ports.unique_id();
        if client == 0 {
            ports.record(acquiring("outer"));
            ports.record(acquired_until("outer", &token, None, Some(100)));
        }
        ports.record(acquiring("lock"));
        for _ in 0..4 {
            if is_ok(&redis.call(set("lock", &token).arg("NX")).await) {
                let fence = redis.call(Command::new("INCR").arg("fence")).await;
                let Outcome::Ok(Value::Int(fence)) = fence else { return };
                ports.record(acquired_until("lock", &token, None, u64::try_from(fence).ok()));
                drop(redis.call(set("stock", &token)).await);
                ports.record(releasing("lock", &token));
                drop(redis.eval(&RELEASE, &["lock".into()], &[token]).await);
                return ports.record(released("lock"));
            }
            ports.sleep(ms(1)).await;
        }
        ports.record(not_acquired("lock"));
    }
}

/// Fencing tokens of two locks are not compared with each other.
#[test]
fn nested_locks_are_not_accused() {
    let world = World::redis(NestsLocks, 2).guarded("stock", 0, "lock").judged_by(&["effect", "belief"]);
    assert_not_accused(&world);
}

clients! {
    /// A lock with a TTL whose token is a random number.
    RandomToken(ports) {
        let redis = ports.redis(0);
        let token = Blob::from(format!("{:016x}", ports.random()));
        ports.record(acquiring("lock"));
        if !is_ok(&redis.call(set_nx("lock", &token, 100)).await) {
            return ports.record(not_acquired("lock"));
        }
        ports.record(acquired("lock", &token));
        ports.record(releasing("lock", &token));
        drop(redis.eval(&RELEASE, &["lock".into()], &[token]).await);
        ports.record(released("lock"));
    }
}

/// A client that dies between the server's yes and its own knowledge leaves its lock until its TTL, as it may,
/// whatever its token says.
#[test]
fn a_random_token_of_a_crashed_client_is_no_leak() {
    let world = World::redis(RandomToken, 2).redis_lock("lock").judged_by(&["leak"]).faults(Fault::ClientCrash, 1);
    assert_not_accused(&world);
}

static TAKE_OVER: Script = Script {
    body: "-- take what nobody has, or what has ended
local ends = redis.call('GET', KEYS[2])
if ends and tonumber(ends) > tonumber(ARGV[2]) then return 0 end
redis.call('SET', KEYS[1], ARGV[1])
redis.call('SET', KEYS[2], ARGV[3])
return 1",
};

clients! {
    /// A lock whose end is a value of its own; whoever finds it ended takes it over. Clocks are exact.
    TakesOver(ports) {
        let redis = ports.redis(0);
        let token = ports.unique_id();
        ports.record(acquiring("lock"));
        for _ in 0..2 {
            let (start, now_us) = (ports.monotonic(), ports.wall().as_micros());
            let args = [token.clone(), now_us.into(), (now_us + 10_000).into()];
            let taken = redis.eval(&TAKE_OVER, &["lock".into(), "ends".into()], &args).await;
            if matches!(taken, Outcome::Ok(Value::Int(1))) {
                ports.record(acquired_until("lock", &token, Some(start + ms(10)), None));
                ports.sleep(ms(20)).await;
                return;
            }
            ports.sleep(ms(12)).await;
        }
        ports.record(not_acquired("lock"));
    }
}

/// Whoever takes a lock over after its holder's time takes nothing away.
#[test]
fn a_take_over_after_the_validity_is_no_foreign_release() {
    let world = World::redis(TakesOver, 2).redis_lock("lock").judged_by(&["belief", "foreign-release"]);
    assert_not_accused(&world);
}

clients! {
    /// Queues with a node that has its client's name before the counter, and gives up at once.
    DeletesItsOwnNode(ports) {
        let client = ports.client();
        if client == 0 {
            return;
        }
        let Outcome::Ok(session) = ports.zookeeper(0..1).connect(ms(4_000)).await else { return };
        drop(session.create("/lock".into(), Blob::EMPTY, CreateMode::Persistent).await);
        let path = Blob::from(format!("/lock/client-{client}"));
        let Outcome::Ok((path, _)) = session.create(path, Blob::EMPTY, CreateMode::EphemeralSequential).await else {
            return;
        };
        drop(session.delete(path).await);
        session.close().await;
    }
}

/// A client that deletes its own node releases nobody else's lock, whatever digits come behind its name.
#[test]
fn deleting_ones_own_node_is_no_foreign_release() {
    let world = World::zookeeper(DeletesItsOwnNode, 2).zookeeper_lock("/lock").judged_by(&["foreign-release"]);
    assert_not_accused(&world);
}

// Tasks that listen for ever.

clients! {
    /// Listens for ever beside its work, in a task that nobody waits for.
    ListensInBackground(ports) {
        let listener = ports.clone();
        ports.spawn_background(async move { listen(&listener).await });
        take_and_give_back(&ports).await;
    }
}

clients! {
    /// The same in a task that counts as its work.
    ListensForEver(ports) {
        let listener = ports.clone();
        ports.spawn(async move { listen(&listener).await });
        take_and_give_back(&ports).await;
    }
}

clients! {
    /// Listens in the background, and leaves its lock behind.
    ListensAndLeaks(ports) {
        let listener = ports.clone();
        ports.spawn_background(async move { listen(&listener).await });
        ports.record(acquiring("lock"));
        let token = ports.unique_id();
        if is_ok(&ports.redis(0).call(set("lock", &token).arg("NX")).await) {
            ports.record(acquired("lock", &token));
        }
    }
}

async fn listen<P: Ports>(ports: &P) {
    let Outcome::Ok(mut subscription) = ports.redis(0).subscribe("released".into()).await else { return };
    while subscription.next().await.is_some() {}
}

async fn take_and_give_back<P: Ports>(ports: &P) {
    let (redis, token) = (ports.redis(0), ports.unique_id());
    ports.record(acquiring("lock"));
    if !is_ok(&redis.call(set_nx("lock", &token, 100)).await) {
        return ports.record(not_acquired("lock"));
    }
    ports.record(acquired("lock", &token));
    ports.record(releasing("lock", &token));
    drop(redis.eval(&RELEASE, &["lock".into()], &[token]).await);
    ports.record(released("lock"));
}

/// A client ends although it goes on to listen, and what it leaves behind is then looked at.
#[test]
fn a_background_task_is_not_waited_for() {
    let judged = |world: World| world.redis_lock("lock").judged_by(&["leak", "deadlock"]);
    assert_eq!(judged(World::redis(ListensInBackground, 2)).exhaust(Reduce::All), Judged::Holds);
    assert_violated(&judged(World::redis(ListensForEver, 2)), "deadlock");
    assert_violated(&judged(World::redis(ListensAndLeaks, 2)), "leak");
}

clients! {
    /// Gives up after one look, although what it saw is its own probe of an earlier key.
    GivesUpOnNothing(ports) {
        let (redis, token) = (ports.redis(0), ports.unique_id());
        ports.record(acquiring("lock"));
        // Who comes second finds the flag, whether or not the lock is held.
        if !is_ok(&redis.call(set("flag", &token).arg("NX")).await) {
            return ports.record(refused("lock"));
        }
        if !is_ok(&redis.call(set_nx("lock", &token, 100)).await) {
            return ports.record(refused("lock"));
        }
        ports.record(acquired("lock", &token));
        ports.record(releasing("lock", &token));
        drop(redis.eval(&RELEASE, &["lock".into()], &[token]).await);
        ports.record(released("lock"));
    }
}

clients! {
    /// Gives up where it finds the lock held.
    GivesUpOnAHeldLock(ports) {
        let (redis, token) = (ports.redis(0), ports.unique_id());
        ports.record(acquiring("lock"));
        if !is_ok(&redis.call(set_nx("lock", &token, 100)).await) {
            return ports.record(refused("lock"));
        }
        ports.record(acquired("lock", &token));
        ports.record(releasing("lock", &token));
        drop(redis.eval(&RELEASE, &["lock".into()], &[token]).await);
        ports.record(released("lock"));
    }
}

#[test]
fn nobody_gives_up_on_a_free_lock() {
    let judged = |world: World| world.redis_lock("lock").judged_by(&["free-lock"]);
    assert_violated(&judged(World::redis(GivesUpOnNothing, 2).any_time()), "free-lock");
    for reduce in REDUCTIONS {
        assert_eq!(judged(World::redis(GivesUpOnAHeldLock, 2).any_time()).exhaust(reduce), Judged::Holds);
    }
}

// Re-entrancy of the watchdog lock.

/// What a client tells whose outer hold is not valid after it has given back an inner one.
const OUTER_LOST: &str = "the outer hold is lost";

clients! {
    /// Takes the lock within a hold, gives that back, and holds for longer than the TTL.
    Reenters(ports) {
        let config = redisson::Config::new(ms(100));
        let lock = RedissonLock::new(&ports, ports.redis(0), "lock", config);
        let Ok(outer) = lock.try_acquire().await else { return };
        let Ok(inner) = lock.try_acquire().await else { return ports.record(mark("no inner hold")) };
        drop(inner.release().await);
        for _ in 0..2 {
            if !outer.is_valid() {
                ports.record(mark(OUTER_LOST));
            }
            ports.sleep(ms(150)).await;
        }
        drop(outer.release().await);
    }
}

#[test]
fn a_hold_outlives_the_one_within_it() {
    assert_not_reached(&World::redis(Reenters, 1), OUTER_LOST);
    assert_not_reached(&World::redis(Reenters, 1), "no inner hold");
}
