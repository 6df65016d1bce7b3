//! Replication, Sentinels and their failover.

use crate::group::{Group, bulk, is_error};
use doublehold_models::redis::{Config, Persistence, Replication, Sentinels};
use doublehold_models::resp::Value;
use doublehold_models::{Output, Response, Step};

const SENTINEL: u8 = 3;
const DOWN_AFTER_US: u64 = 20_000;

/// A primary, two replicas, three Sentinels.
fn watched(change: impl FnOnce(&mut Replication)) -> Group {
    let sentinels = Sentinels { count: 3, quorum: 2, down_after_ms: 20, hello_ms: 10 };
    let mut replication = Replication { replicas: 2, sentinels: Some(sentinels), ..Replication::default() };
    change(&mut replication);
    Group::of(Config { replication: Some(replication), ..Config::default() })
}

fn primary_by(group: &mut Group, sentinel: u8) -> Value {
    match group.ask(sentinel, "SENTINEL GET-MASTER-ADDR-BY-NAME mymaster") {
        Value::Array(parts) => parts[0].clone(),
        other => other,
    }
}

#[test]
fn what_no_replica_has_taken_in_is_lost() {
    for taken in [false, true] {
        let mut group = watched(|_| ());
        assert!(group.ask(0, "SET k v").is_ok());
        if taken {
            group.take(1, Step::CatchUp);
        }
        group.crash(0);
        assert!(!group.offers(SENTINEL, Step::FailOver), "not before it has been silent for long enough");
        group.pass(DOWN_AFTER_US);
        group.take(SENTINEL, Step::FailOver);
        let promoted = 1;
        assert_eq!(group.ask(promoted, "GET k"), if taken { bulk("v") } else { Value::Nil });
        assert!(group.ask(promoted, "SET k w").is_ok());
    }
}

/// Of two replicas the one with the larger offset is promoted, unless its priority says otherwise.
#[test]
fn priority_counts_before_offset() {
    for (priorities, promoted) in [(vec![], 2), (vec![100, 10, 100], 1), (vec![100, 100, 0], 1)] {
        let mut group = watched(|replication| replication.priorities = priorities.clone());
        group.ask(0, "SET k v");
        group.take(2, Step::CatchUp);
        group.crash(0);
        group.pass(DOWN_AFTER_US);
        group.take(SENTINEL, Step::FailOver);
        assert_eq!(
            primary_by(&mut group, SENTINEL),
            bulk(["member-0", "member-1", "member-2"][promoted]),
            "{priorities:?}"
        );
    }
}

#[test]
fn a_sentinel_that_has_not_learned_names_the_old_primary() {
    let mut group = watched(|_| ());
    group.crash(0);
    group.pass(DOWN_AFTER_US);
    group.take(SENTINEL, Step::FailOver);
    assert_eq!(primary_by(&mut group, SENTINEL + 1), bulk("member-0"));
    group.take(SENTINEL + 1, Step::CatchUp);
    assert_eq!(primary_by(&mut group, SENTINEL + 1), bulk("member-1"));
    assert!(!group.offers(SENTINEL + 1, Step::FailOver) && !group.offers(SENTINEL, Step::FailOver));
}

/// Without a majority of the Sentinels nothing is promoted, and without the quorum neither.
#[test]
fn a_minority_promotes_nothing() {
    let mut group = watched(|_| ());
    group.cut(&[0, 1, 3]);
    group.pass(10 * DOWN_AFTER_US);
    assert!(!group.offers(3, Step::FailOver), "it reaches the primary");
    assert!(group.offers(4, Step::FailOver), "two of three do not");
    let mut group = watched(|_| ());
    group.cut(&[1, 3]);
    group.pass(10 * DOWN_AFTER_US);
    assert!(!group.offers(3, Step::FailOver), "one of three is no majority");
    let strict = |replication: &mut Replication| {
        replication.sentinels.iter_mut().for_each(|sentinels| sentinels.quorum = 3);
    };
    let mut group = watched(strict);
    group.cut(&[0, 3]);
    group.pass(10 * DOWN_AFTER_US);
    assert!((3..6).all(|sentinel| !group.offers(sentinel, Step::FailOver)), "only two of three find it down");
}

/// An isolated primary goes on, and what it took is lost once the partition has healed.
#[test]
fn a_split_brain_ends_with_the_newer_primary() {
    let mut group = watched(|_| ());
    group.ask(0, "SET k old");
    for replica in [1, 2] {
        group.take(replica, Step::CatchUp);
    }
    group.cut(&[0]);
    group.pass(DOWN_AFTER_US);
    group.take(4, Step::FailOver);
    assert!(group.ask(0, "SET k isolated").is_ok());
    assert!(group.ask(1, "SET k new").is_ok());
    assert!(!group.offers(0, Step::Follow));
    group.cut(&[]);
    assert!(!group.offers(0, Step::Follow), "a stray primary is left alone for four hello periods");
    group.pass(40_000);
    group.take(0, Step::Follow);
    assert!(group.out.iter().any(|output| output.conn.member == 0), "its clients' connections end");
    assert!(is_error(&group.ask(0, "SET k x"), "READONLY"));
    assert_eq!(group.ask(0, "GET k"), bulk("isolated"), "it has not copied the new primary yet");
    group.take(0, Step::CatchUp);
    assert_eq!(group.ask(0, "GET k"), bulk("new"));
}

/// What was on its way when a partition began may have come through, and what is sent afterwards does not.
#[test]
fn a_partition_keeps_what_is_sent_afterwards() {
    let mut group = watched(|_| ());
    group.ask(0, "SET k before");
    group.cut(&[0]);
    group.ask(0, "SET k after");
    group.take(1, Step::CatchUp);
    assert_eq!(group.ask(1, "GET k"), bulk("before"));
    assert!(!group.offers(1, Step::CatchUp));
    group.cut(&[]);
    group.take(1, Step::CatchUp);
    assert_eq!(group.ask(1, "GET k"), bulk("after"));
}

/// A primary that restarts empty is copied by its replicas.
#[test]
fn a_primary_that_lost_its_data_takes_that_of_its_replicas_along() {
    let replication = Some(Replication::default());
    let mut group = Group::of(Config { persistence: Persistence::None, replication, ..Config::default() });
    group.ask(0, "SET k v");
    group.take(1, Step::CatchUp);
    group.crash(0);
    group.restart(0);
    assert_eq!(group.ask(1, "GET k"), bulk("v"));
    group.take(1, Step::CatchUp);
    assert_eq!(group.ask(1, "GET k"), Value::Nil);
}

#[test]
fn wait_counts_the_writes_of_its_own_connection() {
    let mut group = watched(|_| ());
    group.ask(0, "SET k v");
    assert_eq!(group.send(0, 1, "WAIT 2 100"), Some(Value::Int(2)), "another connection has written nothing");
    assert_eq!(group.send(0, 0, "WAIT 1 100"), None);
    group.take(1, Step::CatchUp);
    let reply = group.out.iter().find_map(Output::as_reply).cloned();
    assert_eq!(reply, Some(Response::Redis(Value::Int(1))));
    assert_eq!(group.send(0, 0, "WAIT 2 100"), None);
    group.pass(100_000);
    let reply = group.out.iter().find_map(Output::as_reply).cloned();
    assert_eq!(reply, Some(Response::Redis(Value::Int(1))), "the time-out tells how many there are");
}

#[test]
fn too_few_replicas_stop_the_writes() {
    let counted = |replication: &mut Replication| {
        (replication.min_replicas_to_write, replication.min_replicas_max_lag_s) = (2, 1);
    };
    let mut group = watched(counted);
    assert!(group.ask(0, "SET k v").is_ok());
    group.cut(&[2]);
    group.pass(1_999_999);
    assert!(group.ask(0, "SET k w").is_ok(), "it was heard lately");
    group.pass(1);
    assert!(is_error(&group.ask(0, "SET k x"), "NOREPLICAS"));
    assert_eq!(group.ask(0, "GET k"), bulk("w"));
    group.cut(&[]);
    assert!(group.ask(0, "SET k x").is_ok());
    group.crash(2);
    assert!(is_error(&group.ask(0, "SET k y"), "NOREPLICAS"), "a closed connection is noticed at once");
}

/// A replica hides a key that has expired by its own clock, and deletes it only when its primary does.
#[test]
fn a_replica_leaves_expiry_to_its_primary() {
    let mut group = watched(|_| ());
    group.ask(0, "SET k v PX 10");
    group.take(1, Step::CatchUp);
    group.now_us += 11_000;
    assert_eq!(group.ask(1, "GET k"), Value::Nil);
    assert_eq!(group.ask(1, "DBSIZE"), Value::Int(1));
    group.pass(0);
    group.take(1, Step::CatchUp);
    assert_eq!(group.ask(1, "DBSIZE"), Value::Int(0));
}
