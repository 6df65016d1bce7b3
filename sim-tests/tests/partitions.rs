//! Partitions: what waits, what is never sent, and who serves nobody meanwhile.

use doublehold::explore::random::Random;
use doublehold::explore::{Limits, Verdict, check};
use doublehold::scenario::Parameters;
use doublehold::world::fault::Budgets;
use doublehold_sim_tests::clients;
use doublehold_sim_tests::programs::asserts::*;
use doublehold_sim_tests::programs::host::etcd::Etcd;
use doublehold_sim_tests::programs::host::*;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

clients! {
    /// One client writes on an old connection and gives up on the answer; then both look.
    WritesAndGivesUp(ports) {
        let redis = ports.redis(0);
        if ports.client() == 1 {
            ports.sleep(ms(50)).await;
            if let Outcome::Ok(Value::Nil) = redis.call(get("key")).await {
                ports.sleep(ms(100)).await;
                if matches!(redis.call(get("key")).await, Outcome::Ok(Value::Bulk(_))) {
                    ports.record(mark("arrived late"));
                }
            }
            return;
        }
        drop(redis.call(Command::new("PING")).await);
        if ports.timeout(ms(10), redis.call(set("key", "x"))).await.is_none() {
            ports.record(mark("no answer"));
        }
        ports.sleep(ms(200)).await;
    }
}

/// TCP sends again what a partition holds up: it arrives when the partition has healed, however short Δ is.
#[test]
fn what_a_partition_holds_up_arrives_later() {
    let world = World::redis(WritesAndGivesUp, 2);
    assert_not_reached(&world, "no answer");
    let world = world.faults(Fault::Partition, 1);
    assert_reached(&world, "no answer");
    assert_reached(&world, "arrived late");
    assert_not_reached(&world.pause_ms(Some(5)), "no answer");
}

clients! {
    /// The same, but while nothing is answered it writes on a connection that is only to come about.
    ConnectsAndGivesUp(ports) {
        let redis = ports.redis(0);
        if ports.client() == 1 {
            ports.sleep(ms(50)).await;
            if let Outcome::Ok(Value::Nil) = redis.call(get("key")).await {
                ports.sleep(ms(100)).await;
                if matches!(redis.call(get("key")).await, Outcome::Ok(Value::Bulk(_))) {
                    ports.record(mark("arrived late"));
                }
            }
            return;
        }
        if ports.timeout(ms(10), redis.call(get("key"))).await.is_some() {
            return;
        }
        if ports.timeout(ms(10), redis.another().call(set("key", "x"))).await.is_none() {
            ports.record(mark("no answer"));
        }
        ports.sleep(ms(200)).await;
    }
}

/// What a client gives up before it is connected is never sent.
#[test]
fn what_was_to_be_sent_over_a_partition_is_given_up() {
    let world = World::redis(ConnectsAndGivesUp, 2).faults(Fault::Partition, 1);
    assert_reached(&world, "no answer");
    assert_not_reached(&world, "arrived late");
}

clients! {
    /// One client tells by its writes that it is not answered; the other reads them, the first while it is so.
    OneWay(ports) {
        let redis = ports.redis(0);
        if ports.client() == 1 {
            ports.sleep(ms(15)).await;
            if let Outcome::Ok(Value::Nil) = redis.call(get("key")).await {
                return;
            }
            ports.sleep(ms(25)).await;
            if matches!(redis.call(get("unanswered")).await, Outcome::Ok(Value::Bulk(_))) {
                ports.record(mark("heard, and not answered"));
            }
            return;
        }
        drop(redis.call(Command::new("PING")).await);
        for key in ["key", "again"] {
            if ports.timeout(ms(10), redis.call(set(key, "x"))).await.is_some() {
                return;
            }
        }
        drop(ports.timeout(ms(10), redis.call(set("unanswered", "x"))).await);
    }
}

/// In one direction requests arrive whose answers do not.
#[test]
fn a_partition_can_be_one_way() {
    assert_reached(&World::redis(OneWay, 2).faults(Fault::Partition, 1), "heard, and not answered");
}

clients! {
    /// Each client asks one server of an etcd cluster, and says whether that serves it.
    AsksOneServer(ports) {
        let member = ports.client();
        let etcd = ports.etcd(member..member + 1);
        ports.sleep(ms(1)).await;
        let range = etcd::Range::of(etcd::Keys::one(&"key".into()));
        match ports.timeout(ms(10), etcd.range(range)).await {
            Some(Outcome::Ok(_)) => ports.record(mark("served")),
            Some(_) => ports.record(mark("refused")),
            None => ports.record(mark("no answer")),
        }
    }
}

/// A member that reaches too few others refuses those who reach it, until the partition has healed.
#[test]
fn an_outvoted_member_serves_nobody() {
    let world = World::on(vec![etcd_cluster(3)], AsksOneServer, 1);
    assert_reached(&world, "served");
    assert_not_reached(&world, "refused");
    let world = world.faults(Fault::Partition, 1);
    for label in ["served", "refused", "no answer"] {
        assert_reached(&world, label);
    }
}

/// What random executions of a scenario under two partitions, and no other fault, say of this property.
fn sampled(name: &str, property: &str, executions: u64) -> Verdict {
    let scenario = doublehold_sim_tests::scenario(name);
    let budgets = Budgets::NONE.with(Fault::Partition, 2);
    let mut setup = scenario.setup(&Parameters { budgets, ..scenario.defaults() }, 1);
    setup.properties.retain(|judged| judged.name() == property);
    assert_eq!(setup.properties.len(), 1, "{name} is not judged by {property}");
    let limits = Limits { executions_max: Some(executions), ..Limits::default() };
    check(&Arc::new(setup), &mut Random::new(1), &limits, &AtomicBool::new(false), &mut |_| ()).verdict
}

/// A session, or a lease, that a partition outlasts ends for its client before it ends on the servers; a holder that does not ask is
/// caught. There are too many partitions of two clients and three servers for an exhaustive search.
#[test]
fn locks_on_ensembles_survive_partitions_if_their_holders_ask() {
    for (sound, deaf) in
        [("zk-sequential-partition", "mutant-zk-ignores-expiry"), ("etcd-mutex-silence", "mutant-etcd-ignores-lease")]
    {
        for property in ["belief", "leak", "deadlock"] {
            let verdict = sampled(sound, property, 10_000);
            assert!(!matches!(verdict, Verdict::Violated(_)), "{sound}, {property}: {verdict:?}");
        }
        assert!(matches!(sampled(deaf, "belief", 200_000), Verdict::Violated(_)), "{deaf} passes");
    }
}

clients! {
    /// A client waits for an answer, and does something else if that took it two milliseconds or more.
    LooksAtItsClock(ports) {
        let began = ports.wall();
        drop(ports.redis(0).call(set("key", "x")).await);
        let now = ports.wall();
        ports.record(mark(if now >= began + ms(2) { "late" } else { "early" }));
    }
}

/// A partition may delay a message for any time, even under Δ = 0, so time stops at the thresholds of the waiting
/// client's code.
#[test]
fn an_answer_may_take_as_long_as_a_partition() {
    let world = World::redis(LooksAtItsClock, 1);
    assert_reached(&world, "early");
    assert_not_reached(&world, "late");
    let world = world.faults(Fault::Partition, 1);
    assert_reached(&world, "early");
    assert_reached(&world, "late");
    assert_not_reached(&world.pause_ms(Some(1)), "late");
}
