//! Power: what clients and servers meet when a machine is gone, or a server stands still for long.

use doublehold_sim_tests::clients;
use doublehold_sim_tests::programs::asserts::*;
use doublehold_sim_tests::programs::host::*;

clients! {
    /// Writes, sleeps, reads back, and says what came of each request.
    WritesAndReads(ports) {
        let redis = ports.redis(0);
        let wrote = redis.call(set("key", "x")).await;
        ports.sleep(ms(5)).await;
        let read = redis.call(get("key")).await;
        if matches!(wrote, Outcome::Indeterminate(_)) {
            ports.record(mark("the write is unknown"));
        }
        match read {
            Outcome::Fail(_) => ports.record(mark("the read is refused")),
            Outcome::Indeterminate(_) => ports.record(mark("the read is unknown")),
            Outcome::Ok(Value::Nil) if matches!(wrote, Outcome::Ok(_)) => ports.record(mark("the write is lost")),
            Outcome::Ok(_) => ports.record(mark("the write is read")),
        }
    }
}

/// Of a machine that is gone nobody says no: a request waits for it. Its process alone leaves a machine that does.
#[test]
fn a_machine_without_power_refuses_nothing() {
    let world = World::forgetful_redis(WritesAndReads, 1);
    let crash = world.clone().faults(Fault::NodeCrash, 1);
    let power = world.faults(Fault::NodePowerLoss, 1);
    for label in ["the write is unknown", "the read is unknown", "the write is lost", "the write is read"] {
        assert_reached(&crash, label);
        assert_reached(&power, label);
    }
    assert_reached(&crash, "the read is refused");
    assert_not_reached(&power, "the read is refused");
}

clients! {
    /// Asks with a time-out, and once more without one.
    AsksTwice(ports) {
        let redis = ports.redis(0);
        drop(redis.call(set("key", "x")).await);
        if ports.timeout(ms(10), redis.call(Command::new("INCR").arg("count"))).await.is_some() {
            return;
        }
        ports.record(mark("no answer"));
        if let Outcome::Ok(value) = redis.call(get("count")).await {
            ports.record(mark(if value == Value::Nil { "never served" } else { "served late" }));
        }
    }
}

/// What was sent to a machine that is gone is lost; a client that was still connecting to it, and gave up, sends nothing later.
#[test]
fn what_was_sent_to_a_dark_machine_is_not_served_later() {
    let world = World::forgetful_redis(AsksTwice, 1).faults(Fault::NodePowerLoss, 1);
    assert_reached(&world, "no answer");
    assert_reached(&world, "never served");
    assert_not_reached(&world, "served late");
}

clients! {
    /// One client takes a user lock and holds it for long, another waits for it for ten seconds.
    UserLock(ports) {
        let mut session = ports.mysql(0).session();
        if ports.client() == 0 {
            drop(session.query("SELECT GET_LOCK('lock', 0)", Vec::new()).await);
            return ports.sleep(ms(5)).await;
        }
        ports.sleep(ms(1)).await;
        match session.query("SELECT GET_LOCK('lock', 10)", Vec::new()).await {
            Outcome::Ok(rows) if rows == [[SqlValue::Int(1)]] => ports.record(mark("locked")),
            _ => ports.record(mark("timed out")),
        }
    }
}

/// A crashed client's machine closes its connection; of a machine that is gone the server learns nothing.
#[test]
fn a_session_of_a_dark_machine_stays() {
    let world = World::mysql(UserLock, 2);
    assert_reached(&world, "locked");
    assert_not_reached(&world.clone().faults(Fault::ClientCrash, 1), "timed out");
    assert_reached(&world.faults(Fault::ClientPowerLoss, 1), "timed out");
}

clients! {
    /// Makes an ephemeral node, and looks in on it after a long while.
    KeepsNode(ports) {
        let Outcome::Ok(session) = ports.zookeeper(0..1).connect(ms(4_000)).await else { return };
        if ports.client() == 0 {
            drop(session.create("/node".into(), Blob::EMPTY, CreateMode::Ephemeral).await);
            ports.sleep(ms(10_000)).await;
            return;
        }
        ports.sleep(ms(9_000)).await;
        if let Outcome::Ok(None) = session.exists("/node".into()).await {
            ports.record(mark("gone"));
        }
    }
}

/// A server that stood still for longer than a session bears ends it, although its client was there.
#[test]
fn a_paused_server_expires_sessions() {
    let world = World::zookeeper(KeepsNode, 2);
    assert_not_reached(&world, "gone");
    assert_not_reached(&world.clone().faults(Fault::NodePause, 1).pause_ms(Some(1_000)), "gone");
    assert_reached(&world.clone().faults(Fault::NodePause, 1), "gone");
    assert_reached(&world.faults(Fault::ClientPowerLoss, 1), "gone");
}

clients! {
    /// Sets a key that lasts 100 ms and reads it at once.
    ReadsAtOnce(ports) {
        let redis = ports.redis(0);
        drop(redis.call(set_nx("key", "x", 100)).await);
        if let Outcome::Ok(Value::Nil) = redis.call(get("key")).await {
            ports.record(mark("expired"));
        }
    }
}

/// Where nothing else is due, a server's pause is as long as what it has to do by itself.
#[test]
fn a_servers_pause_without_limit_is_as_long_as_a_lease() {
    let world = World::redis(ReadsAtOnce, 1).faults(Fault::NodePause, 1);
    assert_not_reached(&world.clone().pause_ms(Some(60)), "expired");
    assert_reached(&world, "expired");
}
