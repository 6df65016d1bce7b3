//! Clients of a real primary that Sentinels watch, and of a real Cluster: what they are told over a failover.

use doublehold::port::{Blob, Command, FoundBy, Outcome, Ports, Redis, RedisGroup, Refusal, Subscription, Value};
use doublehold::world::real::servers::{ClusterServers, RedisServer, SentinelServer, Server, Watch};
use doublehold::world::real::{RealPorts, RealRedis, RedisOptions};
use doublehold_models::slots::{last_slots, slot_of};
use doublehold_sim_tests::redis_server_or_skip;
use std::time::{Duration, Instant};

/// After which a server is down, to Sentinels and in the Cluster.
const DOWN_AFTER: Duration = Duration::from_millis(500);
/// How long a client waits for an answer.
const PATIENCE: Duration = Duration::from_millis(300);
/// How long a failover, or the start of a group, may take.
const GROUP_WAIT: Duration = Duration::from_secs(60);
const KEY: &str = "lock";
const CHANNEL: &str = "news";

fn block_on<T>(code: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    runtime.expect("tokio starts").block_on(code)
}

fn set(value: &'static str) -> Command {
    Command::new("SET").arg(KEY).arg(value)
}

/// Asks until it is answered, and this well.
async fn until(redis: &RealRedis, command: Command, is: impl Fn(&Value) -> bool) -> [u32; 2] {
    let started = Instant::now();
    let mut unanswered = [0, 0];
    loop {
        match redis.call(command.clone()).await {
            Outcome::Ok(value) if is(&value) => return unanswered,
            Outcome::Ok(_) => {}
            Outcome::Fail(_) => unanswered[0] += 1,
            Outcome::Indeterminate(_) => unanswered[1] += 1,
        }
        assert!(started.elapsed() < GROUP_WAIT, "{command} is not answered well: {unanswered:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Sets the key until a replica has it, by WAIT in one pipeline with the write.
async fn write_twice(redis: &RealRedis, value: &'static str) {
    let started = Instant::now();
    let wait = || Command::new("WAIT").arg(1i64).arg(100i64);
    loop {
        let outcomes = redis.pipeline([set(value), wait()]).await;
        if matches!(&outcomes, [Outcome::Ok(written), Outcome::Ok(Value::Int(1))] if written.is_ok()) {
            return;
        }
        assert!(started.elapsed() < GROUP_WAIT, "no replica has the write: {outcomes:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// What a server refuses in the middle of a pipeline is told, and the rest is done all the same.
async fn refused_in_the_middle(redis: &RealRedis) {
    let words = |words: &[&'static str]| Command::from_words(words.iter().map(|word| Blob::from(*word)));
    let get = || words(&["GET", KEY]);
    let [before, refused, after] = redis.pipeline([get(), words(&["INCR", KEY]), get()]).await;
    assert!(
        matches!(&refused, Outcome::Fail(Refusal::Server(text)) if text.starts_with(b"ERR value is not an integer"))
    );
    assert!(matches!(&before, Outcome::Ok(value) if !value.is_nil()), "{before:?}");
    assert_eq!(before, after);
}

/// A write that a replica has survives the kill of the primary, and the client finds the new one.
async fn course(redis: RealRedis, kill: impl FnOnce()) {
    write_twice(&redis, "before").await;
    refused_in_the_middle(&redis).await;
    let Outcome::Ok(mut news) = redis.subscribe(CHANNEL.into()).await else { panic!("a server runs") };
    let told = redis.call(Command::new("PUBLISH").arg(CHANNEL).arg("hello")).await;
    assert!(matches!(told, Outcome::Ok(_)), "{told:?}");
    assert_eq!(news.next().await, Some("hello".into()));
    kill();
    let is_before = |value: &Value| *value == Value::Bulk("before".into());
    let [failed, unknown] = until(&redis, Command::new("GET").arg(KEY), is_before).await;
    println!("without an answer until the failover: {failed} refused, {unknown} indeterminate");
    assert!(failed + unknown > 0, "the server that was killed answered");
    until(&redis, set("after"), Value::is_ok).await;
    // A server of a Cluster may not have learnt of it yet, and say that the Cluster is down.
    until(&redis.another(), Command::new("GET").arg(KEY), |value| *value == Value::Bulk("after".into())).await;
}

fn options() -> RedisOptions {
    RedisOptions { connect_timeout: PATIENCE, response_timeout: PATIENCE }
}

fn of_group(ports: &RealPorts, found_by: FoundBy) -> RealRedis {
    ports.redis_group(RedisGroup { servers: 0..0, found_by, patience: PATIENCE })
}

#[test]
fn a_client_of_sentinels_finds_the_new_primary() {
    if !redis_server_or_skip("the client of real Sentinels") {
        return;
    }
    let mut primary = RedisServer::start().expect("redis-server starts");
    let replica = RedisServer::start().expect("redis-server starts");
    let watch =
        Watch { primary: primary.port(), quorum: 2, down_after: DOWN_AFTER, failover_timeout: Duration::from_secs(2) };
    let replicate = Command::new("REPLICAOF").arg("127.0.0.1").arg(i64::from(primary.port()));
    block_on(async {
        let alone = RealRedis::new(&replica.url(), options()).expect("the URL is one");
        until(&alone, replicate, Value::is_ok).await;
        let sentinels: Vec<SentinelServer> =
            (0..3).map(|_| SentinelServer::start(watch).expect("a Sentinel starts")).collect();
        for sentinel in &sentinels {
            // They have found each other, and the replica.
            let asked = RealRedis::new(&sentinel.url(), options()).expect("the URL is one");
            let words = ["SENTINEL", "CKQUORUM", "mymaster"].map(Blob::from);
            until(&asked, Command::from_words(words), |value| format!("{value:?}").contains("3 usable")).await;
            let words = ["SENTINEL", "REPLICAS", "mymaster"].map(Blob::from);
            until(&asked, Command::from_words(words), |value| matches!(value, Value::Array(all) if !all.is_empty()))
                .await;
        }
        let urls: Vec<String> = sentinels.iter().map(SentinelServer::url).collect();
        let ports = RealPorts::new(0, &[], options(), None).and_then(|ports| ports.with_sentinels(&urls, options()));
        let redis = of_group(&ports.expect("the URLs are some"), FoundBy::Sentinels(0..0));
        course(redis, || primary.kill().expect("a process can be killed")).await;
    });
}

#[test]
fn a_client_of_a_cluster_finds_the_new_primary() {
    if !redis_server_or_skip("the client of a real Cluster") {
        return;
    }
    let owner = last_slots(3).iter().position(|last| slot_of(KEY.as_bytes()) <= *last).expect("a slot has a shard");
    let mut servers = ClusterServers::start(&[1, 1, 1], DOWN_AFTER).expect("a Cluster starts");
    let urls = servers.urls();
    block_on(async {
        let ports = RealPorts::new(0, &[], options(), None).and_then(|ports| ports.with_cluster(&urls, options()));
        let ports = ports.expect("the URLs are some");
        // Keys of all shards, and what is in two of them.
        for key in ["a", "b", "c"] {
            let redis = of_group(&ports, FoundBy::Slot(KEY.into()));
            until(&redis, Command::new("SET").arg(key).arg(key), Value::is_ok).await;
            assert_eq!(redis.call(Command::new("GET").arg(key)).await, Outcome::Ok(Value::Bulk(key.into())));
            let apart = redis.call(Command::new("MGET").arg("a").arg("b")).await;
            assert!(format!("{apart:?}").contains("CROSSSLOT"), "{apart:?}");
        }
        let redis = of_group(&ports, FoundBy::Slot(KEY.into()));
        course(redis, || servers.server_mut(owner).kill().expect("a process can be killed")).await;
    });
}
