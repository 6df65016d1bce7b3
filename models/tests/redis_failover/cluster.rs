//! Redis Cluster: redirects, failure detection, elections.

use crate::group::{Group, bulk, is_error};
use doublehold_models::redis::{Config, Sharding};
use doublehold_models::resp::Value;
use doublehold_models::slots::slot_of;
use doublehold_models::{Lost, Output, Response, Step};

const TIMEOUT_US: u64 = 20_000;
const ELECTION_DELAY_US: u64 = 500_000;
/// Keys in the slots of the first, second and third primary.
const KEYS: [&str; 3] = ["b", "c", "a"];
/// The replica of the first primary.
const REPLICA: u8 = 3;

/// Three primaries with so many replicas.
fn cluster(replicas: [u8; 3], change: impl FnOnce(&mut Sharding)) -> Group {
    let mut sharding = Sharding { replicas: replicas.to_vec(), node_timeout_ms: 20, ..Sharding::default() };
    change(&mut sharding);
    Group::of(Config { cluster: Some(sharding), ..Config::default() })
}

/// Lets the time pass after which a crashed primary's first replica can be elected.
fn pass_until_election(group: &mut Group) {
    group.pass(TIMEOUT_US);
    group.pass(ELECTION_DELAY_US);
}

#[test]
fn keys_are_where_the_slots_say() {
    for (server, key) in KEYS.into_iter().enumerate() {
        let slot = slot_of(key.as_bytes());
        let mut group = cluster([0, 0, 0], |_| ());
        assert_eq!(group.ask(0, &format!("CLUSTER KEYSLOT {key}")), Value::Int(slot.into()));
        for asked in 0..3 {
            let reply = group.ask(asked, &format!("SET {key} v"));
            if usize::from(asked) == server {
                assert!(reply.is_ok());
            } else {
                assert_eq!(reply, Value::Error(format!("MOVED {slot} member-{server}:6379").into()));
            }
        }
    }
}

#[test]
fn keys_of_one_command_are_in_one_slot() {
    let mut group = cluster([0, 0, 0], |_| ());
    assert!(is_error(&group.ask(0, "MSET b 1 f 2"), "CROSSSLOT"));
    assert!(group.ask(0, "MSET b 1 {b}f 2").is_ok());
    assert!(is_error(&group.ask(0, "EVAL return 2 b f"), "CROSSSLOT"));
    let within = "ERR Script attempted to access a non local key in a cluster node";
    let reply = group.ask(0, "EVAL return(redis.call('GET','c')) 0");
    assert!(is_error(&reply, within), "{reply}");
    assert!(group.ask(0, "MULTI").is_ok());
    group.ask(0, "SET b 1");
    group.ask(0, "SET f 1");
    assert!(is_error(&group.ask(0, "EXEC"), "CROSSSLOT"));
    assert!(is_error(&group.ask(0, "EXEC"), "ERR EXEC without MULTI"));
    group.ask(0, "MULTI");
    assert!(is_error(&group.ask(0, "SET c 1"), "MOVED"));
    assert!(is_error(&group.ask(0, "EXEC"), "EXECABORT"));
}

/// A replica sends clients to its primary, unless they have said that they only read.
#[test]
fn a_replica_serves_reads_to_those_that_ask_for_it() {
    let mut group = cluster([1, 0, 0], |_| ());
    group.ask(0, "SET b 1");
    assert!(is_error(&group.ask(REPLICA, "GET b"), "MOVED"));
    assert!(group.ask(REPLICA, "READONLY").is_ok());
    assert_eq!(group.ask(REPLICA, "GET b"), Value::Nil);
    group.take(REPLICA, Step::CatchUp);
    assert_eq!(group.ask(REPLICA, "GET b"), bulk("1"));
    assert!(is_error(&group.ask(REPLICA, "SET b 2"), "MOVED"));
    assert!(is_error(&group.ask(REPLICA, "GET c"), "MOVED"), "another primary's");
    assert!(is_error(&group.send(REPLICA, 1, "GET b").expect("a reply"), "MOVED"), "another connection");
    group.ask(REPLICA, "READWRITE");
    assert!(is_error(&group.ask(REPLICA, "GET b"), "MOVED"));
}

#[test]
fn the_replica_of_a_primary_that_is_down_takes_its_slots() {
    for taken in [false, true] {
        let mut group = cluster([1, 0, 0], |_| ());
        group.ask(0, "SET b 1");
        if taken {
            group.take(REPLICA, Step::CatchUp);
        }
        group.crash(0);
        group.pass(TIMEOUT_US - 1);
        assert!(group.ask(1, "SET c 1").is_ok());
        group.pass(1);
        assert!(is_error(&group.ask(1, "SET c 1"), "CLUSTERDOWN"), "slots have no primary");
        group.pass(ELECTION_DELAY_US - 1);
        assert!(!group.offers(REPLICA, Step::FailOver));
        group.pass(1);
        group.take(REPLICA, Step::FailOver);
        assert_eq!(group.ask(REPLICA, "GET b"), if taken { bulk("1") } else { Value::Nil });
        assert!(is_error(&group.ask(1, "GET b"), "CLUSTERDOWN"), "it has not learnt");
        group.take(1, Step::Learn);
        assert_eq!(group.ask(1, "GET b"), Value::Error("MOVED 3300 member-3:6379".into()));
        // The old primary returns: it does not serve before it knows.
        group.restart(0);
        assert!(is_error(&group.ask(0, "GET b"), "CLUSTERDOWN"));
        group.take(0, Step::Learn);
        assert!(is_error(&group.ask(0, "GET b"), "MOVED"));
        group.take(0, Step::CatchUp);
        group.ask(0, "READONLY");
        assert_eq!(group.ask(0, "GET b"), if taken { bulk("1") } else { Value::Nil });
    }
}

/// Without full coverage the slots that have a primary are served.
#[test]
fn coverage_is_a_choice() {
    let mut group = cluster([1, 0, 0], |sharding| sharding.require_full_coverage = false);
    group.crash(0);
    pass_until_election(&mut group);
    assert!(group.ask(1, "SET c 1").is_ok());
    assert!(is_error(&group.ask(1, "GET b"), "MOVED"));
}

/// A primary that is cut off with its clients serves for one and a half node timeouts, and not at once again after the
/// partition.
#[test]
fn a_minority_serves_nothing() {
    let mut group = cluster([1, 0, 0], |_| ());
    group.cut(&[0]);
    group.pass(TIMEOUT_US);
    assert!(group.ask(0, "SET b isolated").is_ok());
    group.pass(TIMEOUT_US / 2);
    assert!(is_error(&group.ask(0, "SET b isolated"), "CLUSTERDOWN"));
    group.pass(ELECTION_DELAY_US);
    group.take(REPLICA, Step::FailOver);
    group.cut(&[]);
    assert!(is_error(&group.ask(0, "GET b"), "CLUSTERDOWN"));
    group.pass(ELECTION_DELAY_US);
    assert_eq!(group.ask(0, "GET b"), bulk("isolated"), "it has not learnt");
    group.take(0, Step::Learn);
    group.take(0, Step::CatchUp);
    group.ask(0, "READONLY");
    assert_eq!(group.ask(0, "GET b"), Value::Nil);
    // With two of three primaries gone there is no majority.
    let mut group = cluster([1, 0, 0], |_| ());
    group.crash(0);
    group.crash(1);
    pass_until_election(&mut group);
    assert!(!group.offers(REPLICA, Step::FailOver));
}

/// The replica with the larger offset is first; the other one waits for a second more.
#[test]
fn offsets_rank_the_replicas() {
    let mut group = cluster([2, 0, 0], |_| ());
    group.ask(0, "SET b 1");
    group.take(REPLICA + 1, Step::CatchUp);
    group.crash(0);
    pass_until_election(&mut group);
    assert!(!group.offers(REPLICA, Step::FailOver));
    assert!(group.offers(REPLICA + 1, Step::FailOver));
    group.pass(1_000_000);
    assert!(group.offers(REPLICA, Step::FailOver));
    group.take(REPLICA + 1, Step::FailOver);
    assert!(!group.offers(REPLICA, Step::FailOver), "the slots have an owner");
    group.take(REPLICA, Step::Learn);
    group.take(REPLICA, Step::CatchUp);
    group.ask(REPLICA, "READONLY");
    assert_eq!(group.ask(REPLICA, "GET b"), bulk("1"));
}

/// A replica that has never had its primary's data since its start is not elected.
#[test]
fn a_replica_without_data_is_not_elected() {
    let mut group = cluster([1, 0, 0], |_| ());
    group.crash(REPLICA);
    group.restart(REPLICA);
    group.crash(0);
    pass_until_election(&mut group);
    assert!(!group.offers(REPLICA, Step::FailOver));
}

/// A primary that starts again before its replica is elected goes on, after two seconds.
#[test]
fn a_primary_that_restarts_serves_later() {
    let mut group = cluster([1, 0, 0], |_| ());
    group.ask(0, "SET b 1");
    let clocks = group.clocks();
    group.service.crash(&clocks, 0, Lost::Process, &mut Vec::new());
    group.restart(0);
    group.pass(2_000_000 - 1);
    assert!(is_error(&group.ask(0, "GET b"), "CLUSTERDOWN"));
    group.pass(1);
    assert!(!is_error(&group.ask(0, "GET b"), "CLUSTERDOWN"));
}

/// What is published anywhere reaches the subscribers of all servers, once.
#[test]
fn the_bus_carries_what_is_published() {
    let mut group = cluster([1, 0, 0], |_| ());
    for member in 0..4 {
        group.send(member, 1, "SUBSCRIBE ch");
    }
    let messages = |out: &[Output]| {
        let mut to: Vec<u8> = out.iter().filter(|one| one.as_reply().is_none()).map(|one| one.conn.member).collect();
        to.sort_unstable();
        to
    };
    assert_eq!(group.ask(REPLICA, "PUBLISH ch hello"), Value::Int(1), "its own subscribers count");
    assert_eq!(messages(&group.out), [0, 1, 2, 3]);
    group.cut(&[2]);
    group.ask(0, "PUBLISH ch hello");
    assert_eq!(messages(&group.out), [0, 1, 3]);
}

#[test]
fn clients_are_told_the_slots() {
    let mut group = cluster([1, 0, 0], |_| ());
    let Value::Array(ranges) = group.ask(2, "CLUSTER SLOTS") else { panic!("an array") };
    let Value::Array(first) = &ranges[0] else { panic!("a range") };
    assert_eq!((first.len(), &first[..2]), (4, &[Value::Int(0), Value::Int(5460)][..]));
    assert!(is_error(&group.ask(0, "SELECT 1"), "ERR SELECT is not allowed in cluster mode"));
    let mut alone = Group::of(Config::default());
    let disabled = "ERR This instance has cluster support disabled";
    assert!(["CLUSTER SLOTS", "READONLY", "READWRITE"].iter().all(|line| is_error(&alone.ask(0, line), disabled)));
}

/// A client that is blocked in WAIT is told when its server becomes a replica.
#[test]
fn a_primary_that_becomes_a_replica_ends_wait() {
    let mut group = cluster([1, 0, 0], |sharding| sharding.node_timeout_ms = 2000);
    group.cut(&[0]);
    group.ask(0, "SET b 1");
    assert_eq!(group.send(0, 0, "WAIT 1 0"), None);
    group.pass(2_000_000);
    group.pass(ELECTION_DELAY_US);
    group.take(REPLICA, Step::FailOver);
    assert!(group.ask(0, "SET b 2").is_ok(), "both serve");
    assert!(group.ask(REPLICA, "SET b 3").is_ok(), "both serve");
    group.cut(&[]);
    group.take(0, Step::Learn);
    let reply = group.out.iter().find_map(Output::as_reply).cloned();
    assert!(matches!(reply, Some(Response::Redis(error)) if is_error(&error, "UNBLOCKED")));
}
