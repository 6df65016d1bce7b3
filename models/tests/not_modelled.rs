//! What a model does not have it says out of band, whatever asks for it: no client gets to see it as an error.

use doublehold_models::resp::Command;
use doublehold_models::zookeeper::wire as zk;
use doublehold_models::{
    At, Blob, ConnId, NodeClock, Output, Request, Response, Sent, Service, ServiceConfig, Step, etcd, mysql, redis,
    resp, zookeeper,
};

const CLOCKS: [NodeClock; 3] = [NodeClock { wall_us: 1_000_000_000, mono_us: 0 }; 3];

fn conn(client: u16) -> ConnId {
    ConnId { client, member: 0, lane: 0 }
}

/// What follows from the last of several requests on one connection.
fn last(config: &ServiceConfig, requests: impl IntoIterator<Item = Request>) -> Vec<Output> {
    let mut service = Service::new(config);
    let mut out = Vec::new();
    for request in requests {
        out.clear();
        service.handle(&CLOCKS, conn(0), &request, &mut out);
    }
    out
}

/// Demands that the last request is not modelled, and that nothing else follows from it.
fn refused(what: &str, out: &[Output]) -> String {
    match out {
        [Output { conn: to, sent: Sent::NotModelled(phrase) }] if *to == conn(0) => phrase.clone(),
        other => panic!("{what}: {other:?}"),
    }
}

fn words(line: &str) -> Request {
    Request::Redis(Command::from_words(line.split(' ').map(|word| Blob::copy_from(word.as_bytes()))))
}

fn eval(script: &'static str) -> Request {
    Request::Redis(Command::new("EVAL").arg(script).arg(0i64))
}

fn last_redis(lines: &str) -> Vec<Output> {
    last(&ServiceConfig::Redis(redis::Config::default()), lines.split("; ").map(words))
}

#[test]
fn redis_commands() {
    fn check(lines: &str, expected: &str) {
        assert_eq!(refused(lines, &last_redis(lines)), expected, "{lines}");
    }
    check("BITOP AND a b c", "the command BITOP");
    check("bitop", "the command BITOP");
    check("SPOP a", "the command SPOP");
    check("CLIENT ID", "the command CLIENT");
    check("XINFO STREAM s", "the command XINFO");
    check("XGROUP HELP", "the command xgroup|help");
    check("XADD s MAXLEN ~ 5 * a 1", "trimming a stream approximately (~)");
    check("XREAD BLOCK 0 STREAMS s $", "XREAD that waits (BLOCK)");
    check("XGROUP CREATE s g $ MKSTREAM; XREADGROUP GROUP g c BLOCK 5 STREAMS s >", "XREADGROUP that waits (BLOCK)");
    check(
        "XGROUP CREATE s g $ MKSTREAM; XAUTOCLAIM s g c 0 0 COUNT 99999999",
        "XAUTOCLAIM of more entries than may fit in memory",
    );
    check("POST / HTTP/1.1", "the command POST");
    check("SCRIPT HELP", "the command script|help");
    check("SELECT 1", "database 1");
    check("WAIT 1 0", "WAIT for replicas without a timeout");
    check("SCAN 17", "SCAN with a cursor other than 0");
    check("ZADD z 0x10 a", "a hexadecimal score");
    check("ZRANGE z [a [b BYLEX", "ZRANGE … BYLEX");
    check("MULTI; BITOP AND a b c", "the command BITOP");
    check("MULTI; SUBSCRIBE a", "SUBSCRIBE inside MULTI");
    check("MULTI; ZADD z 0x10 a; EXEC", "a hexadecimal score");
    check("SUBSCRIBE a; LOLWUT", "the command LOLWUT");
}

/// A name that redis-server 7.0 does not have, and what it refuses, are errors as they are there.
#[test]
fn redis_errors() {
    fn check(lines: &str, expected: &'static str) {
        assert_eq!(last_redis(lines)[0].sent, Sent::Reply(Response::Redis(resp::Value::error(expected))), "{lines}");
    }
    check("NOSUCH a", "ERR unknown command 'NOSUCH', with args beginning with: 'a' ");
    // It came with 7.2.
    check("WAITAOF 0 0 0", "ERR unknown command 'WAITAOF', with args beginning with: '0' '0' '0' ");
    check("GET", "ERR wrong number of arguments for 'get' command");
    check("SELECT 99", "ERR DB index is out of range");
}

#[test]
fn scripts_cannot_catch_it() {
    fn check(script: &'static str, expected: &str) {
        let config = ServiceConfig::Redis(redis::Config::default());
        let first = last(&config, [eval(script)]);
        assert_eq!(refused(script, &first), expected, "{script}");
        // What is remembered of the first run changes nothing.
        assert_eq!(last(&config, [eval(script)]), first, "{script}");
        assert_eq!(last(&config, [words("MULTI"), eval(script), words("EXEC")]), first, "{script}");
    }
    check("return cjson.encode({})", "'cjson' in scripts");
    check("return {pcall(function() return cjson end)}", "'cjson' in scripts");
    check("return pcall(redis.call, 'bitop') and 1 or 0", "the command BITOP");
    check("return redis.pcall('bitop')", "the command BITOP");
    check("redis.pcall('bitop') return redis.pcall('lolwut')", "the command BITOP");
    check("while not pcall(redis.call, 'bitop') do end return 1", "the command BITOP");
    check("repeat local ok = xpcall(function() return bit.band(1) end, function() end) until ok", "'bit' in scripts");
    check("redis.pcall('zadd', 'z', '0x10', 'a') return 1", "a hexadecimal score");
    check("return math.random(5)", "math.random() in scripts that have not called math.randomseed()");
    check("return tostring({})", "'tostring(table)' in scripts");
    check("table.insert(redis, 1)", "a function that changes a protected table in passing");
    check("for name in pairs(_G) do return name end", "pairs() of a protected table");
    check("return redis.setresp(3)", "'redis.setresp' in scripts");
    check("#!lua\nreturn 1", "a script with a shebang, or a compiled one");
    check("return {map={a=1}}", "a script's reply with the field 'verbatim_string', 'map' or 'set'");
    check("error({})", "a script's error without a text, of which redis-server 7.0.15 dies");
}

fn sql(text: &str) -> Request {
    Request::MySql(mysql::wire::Request::new(text.to_owned(), Vec::new()))
}

fn last_sql(text: &str) -> Vec<Output> {
    let before = ["CREATE TABLE t (id INT PRIMARY KEY, v INT)", "INSERT INTO t (id, v) VALUES (1, 10)"];
    last(&ServiceConfig::MySql(mysql::Config::default()), before.into_iter().chain([text]).map(sql))
}

/// What MariaDB takes and the model does not, and what the parser cannot read at all.
#[test]
fn statements() {
    for text in [
        "DO RELEASE_LOCK('a')",
        "SET @a := 1",
        "SET @a = 1",
        "SELECT @a",
        "SELECT @@autocommit",
        "SELECT @@session.autocommit",
        "SET GLOBAL autocommit = 0",
        "XA START 'a'",
        "HANDLER t OPEN",
        "START TRANSACTION WITH CONSISTENT SNAPSHOT",
        "SELECT 1 FROM DUAL",
        "INSERT INTO t (id, v) VALUES (2, DEFAULT)",
        "SELECT v, COUNT(*) AS n FROM t GROUP BY v HAVING n > 0",
        "SELECT v + 1 AS w, COUNT(*) FROM t GROUP BY w",
        "SELECT id FROM t HAVING v > 0",
        "SELECT id, v FROM t ORDER BY 2",
        "SELECT COUNT(*) FROM t GROUP BY 1",
        "SELECT CURRENT_USER",
        "SELECT UTC_TIMESTAMP FROM t",
        "SELECT _rowid FROM t",
        "SELECT CONNECTION_ID()",
        "SELECT nosuch(1)",
        "SELECT SLEEP(1)",
        "SELECT id FROM t /*!50000 WHERE id = 2 */",
        "LOCK TABLES t WRITE",
        "REPLACE INTO t (id, v) VALUES (1, 2)",
        "SELECT * FROM information_schema.tables",
        "SELEC 1",
        "",
    ] {
        refused(text, &last_sql(text));
    }
}

#[test]
fn what_is_modelled_of_sql_fails_as_ever() {
    fn check(text: &str, expected: u16) {
        match &last_sql(text)[..] {
            [Output { sent: Sent::Reply(Response::MySql(mysql::wire::Reply::Failed(failure))), .. }] => {
                assert_eq!(failure.code, expected, "{text}");
            }
            other => panic!("{text}: {other:?}"),
        }
    }
    check("SELECT nothing FROM t", 1054);
    check("SELECT id FROM missing", 1146);
    check("SELECT COUNT(*) FROM t GROUP BY nothing", 1054);
    check("INSERT INTO t (id, v) VALUES (1, 1)", 1062);
}

fn zookeeper(request: zk::Request) -> Vec<Output> {
    let connect = zk::Request::Connect { session: 0, timeout_ms: 4000, seen: 0 };
    last(&ServiceConfig::ZooKeeper(zookeeper::Config::default()), [connect, request].map(Request::ZooKeeper))
}

#[test]
fn zookeeper_requests() {
    let create = |path: &'static str, data: Blob| {
        let mode = zk::CreateMode::Persistent;
        zk::Op::Create { path: path.into(), data, mode }
    };
    let check = || zk::Op::Check { path: "/a".into(), version: 0 };
    let get = |path: &'static str| zk::Request::GetData { path: path.into(), watch: false };
    for request in [
        zk::Request::Connect { session: 0, timeout_ms: 4000, seen: 0 },
        zk::Request::Write(check()),
        zk::Request::GetChildren { path: "/".into(), watch: false },
        get("/zookeeper/quota"),
        get("/a\u{1}"),
        zk::Request::Write(create("/a", vec![0; 2_000_000].into())),
        zk::Request::Multi(vec![create("/zookeeper/a", Blob::EMPTY)]),
    ] {
        let text: String = request.to_string().chars().take(100).collect();
        refused(&text, &zookeeper(request));
    }
    let create = zk::Request::Write(create("/a", Blob::EMPTY));
    for request in [zk::Request::Multi(vec![check()]), get("/a"), get("a"), create] {
        assert!(matches!(zookeeper(request)[0].sent, Sent::Reply(_)));
    }
}

#[test]
fn etcd_requests() {
    use etcd::wire::{Keys, Op, Range, Request as Etcd, Txn};
    let range =
        |revision, serializable| Op::Range(Range { revision, serializable, ..Range::of(Keys::one(&"a".into())) });
    let put = |value: Blob| Op::Put { key: "a".into(), value, lease: 0, prev: false };
    let config = ServiceConfig::Etcd(etcd::Config::default());
    for request in [
        Etcd::Op(range(-1, false)),
        Etcd::Op(put(vec![0; 2_000_000].into())),
        Etcd::Txn(Txn { then: vec![range(0, false); 200], ..Txn::default() }),
        Etcd::Grant { id: 0, ttl_s: 0 },
        Etcd::Grant { id: -1, ttl_s: 10 },
        Etcd::Grant { id: 0, ttl_s: i64::MAX },
        Etcd::Watch { keys: Keys::one(&"a".into()), from: -1 },
    ] {
        let text: String = request.to_string().chars().take(100).collect();
        refused(&text, &last(&config, [Request::Etcd(request)]));
    }
    // The server answers it by itself, and that is behind.
    let local = Request::Etcd(Etcd::Txn(Txn { then: vec![range(0, true)], ..Txn::default() }));
    let (mut service, mut out) = (Service::new(&config), Vec::new());
    let follower = ConnId { client: 0, member: 1, lane: 0 };
    service.handle(&CLOCKS, follower, &local, &mut out);
    assert!(matches!(out.pop(), Some(Output { sent: Sent::Reply(_), .. })));
    service.step(&CLOCKS, At::Member(1), Step::Lag, &mut Vec::new());
    service.handle(&CLOCKS, follower, &local, &mut out);
    assert!(matches!(out.pop(), Some(Output { sent: Sent::NotModelled(_), .. })));
}
