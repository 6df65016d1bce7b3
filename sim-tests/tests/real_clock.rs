//! A real server whose wall clock is stepped: leases end early, elapsed time stays what it is.

use doublehold::port::{Blob, Command, Outcome, Redis, Value};
use doublehold::world::real::servers::{RedisServer, Server};
use doublehold::world::real::{RealRedis, RedisOptions};
use doublehold_sim_tests::redis_server_or_skip;
use std::time::Duration;

/// How far the clock is stepped.
const STEP: Duration = Duration::from_secs(3600);
/// How far apart two readings may be.
const SLACK: Duration = Duration::from_secs(30);

fn connect(server: &RedisServer) -> RealRedis {
    RealRedis::new(&server.url(), RedisOptions::default()).expect("a URL")
}

async fn ask(redis: &RealRedis, line: &str) -> Value {
    let words = line.split(' ').map(|word| Blob::copy_from(word.as_bytes()));
    match redis.call(Command::from_words(words)).await {
        Outcome::Ok(value) => value,
        other => panic!("{line}: {other:?}"),
    }
}

/// The server's wall clock, in seconds since the epoch.
async fn wall_s(redis: &RealRedis) -> i64 {
    let time = ask(redis, "TIME").await;
    let Value::Array(parts) = &time else { panic!("{time:?}") };
    parts[0].as_blob().and_then(Blob::to_int).expect("seconds")
}

/// How long the server has been running by its monotonic clock, in seconds.
async fn uptime_s(redis: &RealRedis) -> i64 {
    let info = ask(redis, "INFO server").await;
    let text = info.as_blob().expect("a text").to_text();
    let line = text.lines().find_map(|line| line.strip_prefix("uptime_in_seconds:"));
    line.and_then(|seconds| seconds.trim().parse().ok()).expect("it tells its uptime")
}

#[test]
fn a_stepped_wall_clock_ends_leases_and_survives_a_restart() {
    if !redis_server_or_skip("a Redis server whose wall clock is stepped") {
        return;
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    runtime.expect("tokio starts").block_on(async {
        let mut server = RedisServer::start_with_clock().expect("redis-server starts, and there is a C compiler");
        let redis = connect(&server);
        let ours = || std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("it is later");
        let seconds = |time: Duration| i64::try_from(time.as_secs()).expect("it is not that late");
        assert!((wall_s(&redis).await - seconds(ours())).abs() <= seconds(SLACK), "the clock begins right");
        ask(&redis, "SET lease token PX 3000000").await;
        ask(&redis, "SET longer token PX 4000000").await;
        server.step_clock(STEP).expect("it can be stepped");
        let ahead = wall_s(&redis).await - seconds(ours());
        assert!((ahead - seconds(STEP)).abs() <= seconds(SLACK), "ahead by {ahead} s");
        assert_eq!(ask(&redis, "GET lease").await, Value::Nil, "its 3000 s are over");
        assert_eq!(ask(&redis, "GET longer").await, Value::Bulk("token".into()));
        server.kill().expect("it can be killed");
        server.restart().expect("it starts again");
        let redis = connect(&server);
        let ahead = wall_s(&redis).await - seconds(ours());
        assert!((ahead - seconds(STEP)).abs() <= seconds(SLACK), "after a restart ahead by {ahead} s");
        assert!(uptime_s(&redis).await <= seconds(SLACK), "it counts its uptime by what has passed");
    });
    let mut plain = RedisServer::start().expect("redis-server starts");
    let refused = plain.step_clock(STEP).expect_err("its clock is the machine's");
    assert_eq!(refused.kind(), std::io::ErrorKind::Unsupported);
}
