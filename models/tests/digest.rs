//! Digests: different values have different ones, and states that differ in anything a client may see.

use doublehold_models::etcd::wire as etcd;
use doublehold_models::mysql::wire as mysql;
use doublehold_models::resp::{Command, Value};
use doublehold_models::zookeeper::wire as zk;
use doublehold_models::{
    At, Blob, ClientId, ConnId, Digest, NodeClock, Output, Request, Response, Service, ServiceConfig, Step,
};
use proptest::collection::vec;
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::fmt::Debug;
use std::hash::Hash;

fn digest(value: &impl Hash) -> u128 {
    let mut digest = Digest::new();
    value.hash(&mut digest);
    digest.finish128()
}

/// The same with clients renamed to what they are called already.
fn renamed(value: &impl Hash) -> u128 {
    let mut digest = Digest::renaming(&[0, 1, 2]);
    value.hash(&mut digest);
    digest.finish128()
}

/// Demands a digest of its own for each of these values, which are all different.
fn all_differ<T: Hash + Debug>(values: &[T]) {
    let mut seen = BTreeMap::new();
    for value in values {
        for digest in [digest(value), renamed(value)] {
            if let Some(other) = seen.insert(digest, value) {
                assert!(std::ptr::eq(other, value), "{other:?} and {value:?} have one digest");
            }
        }
    }
}

/// All lists of up to `len` of these.
fn lists<T: Clone>(of: &[T], len: usize) -> Vec<Vec<T>> {
    let mut lists = vec![Vec::new()];
    let mut last = lists.clone();
    for _ in 0..len {
        let longer =
            |list: &Vec<T>| of.iter().map(|one| [&list[..], std::slice::from_ref(one)].concat()).collect::<Vec<_>>();
        last = last.iter().flat_map(longer).collect();
        lists.extend(last.clone());
    }
    lists
}

fn texts() -> Vec<Blob> {
    ["", "a", "b", "ab", "0", "client-0", "client-1", "client-0/client-1", "client-", "a text longer than a word", "\0"]
        .into_iter()
        .map(Blob::from)
        .collect()
}

#[test]
fn values_of_redis() {
    let mut values = vec![Value::Nil, Value::Int(0), Value::Int(1), Value::Int(-1)];
    for text in texts() {
        values.extend([Value::Bulk(text.clone()), Value::Status(text.clone()), Value::Error(text)]);
    }
    let flat = values.clone();
    values.extend(lists(&flat, 2).into_iter().map(Value::Array));
    let few = [Value::Nil, Value::Bulk("a".into()), Value::Array(Vec::new()), Value::Array(vec![Value::Nil])];
    let nested = lists(&few, 3).into_iter().map(Value::Array).filter(|value| !values.contains(value));
    let nested: Vec<Value> = nested.collect();
    all_differ(&values.into_iter().chain(nested).map(Response::Redis).collect::<Vec<_>>());
}

#[test]
fn commands_of_redis() {
    let commands = lists(&texts(), 3).into_iter().filter(|words| !words.is_empty());
    all_differ(&commands.map(Command::from_words).map(Request::Redis).collect::<Vec<_>>());
}

#[test]
fn connections() {
    let mut conns = Vec::new();
    for (client, member, lane) in [(0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1), (1, 1, 1), (256, 0, 0), (u16::MAX, 0, 0)]
    {
        conns.push(ConnId { client, member, lane });
    }
    all_differ(&conns);
    // A client's number is no number like others.
    assert_ne!(digest(&(ClientId(1), 2_u64)), digest(&(1_u64, 2_u64)));
}

fn text() -> impl Strategy<Value = Blob> {
    proptest::sample::select(texts())
}

fn redis_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Nil),
        (-1..2i64).prop_map(Value::Int),
        text().prop_map(Value::Bulk),
        text().prop_map(Value::Status),
        text().prop_map(Value::Error),
    ];
    leaf.prop_recursive(3, 12, 3, |inner| vec(inner, 0..3).prop_map(Value::Array))
}

fn sql_value() -> impl Strategy<Value = mysql::Value> {
    prop_oneof![
        Just(mysql::Value::Null),
        (-1..2i64).prop_map(mysql::Value::Int),
        (0..2u64).prop_map(mysql::Value::UInt),
        text().prop_map(mysql::Value::Text),
        (0..2i64).prop_map(mysql::Value::DateTime),
    ]
}

fn sql_reply() -> impl Strategy<Value = mysql::Reply> {
    let failure = |(code, state, message)| mysql::Reply::Failed(mysql::Failure { code, state, message });
    prop_oneof![
        (vec(text(), 0..3), vec(vec(sql_value(), 0..3), 0..3))
            .prop_map(|(columns, rows)| mysql::Reply::Rows { columns, rows }),
        (0..2u64, 0..2u64).prop_map(|(affected, last_insert_id)| mysql::Reply::Done { affected, last_insert_id }),
        (0..2u16, proptest::sample::select(vec!["23000", "HY000"]), text()).prop_map(failure),
    ]
}

fn sql_request() -> impl Strategy<Value = mysql::Request> {
    (text(), vec(sql_value(), 0..3)).prop_map(|(sql, params)| mysql::Request { sql, params })
}

fn zk_op() -> impl Strategy<Value = zk::Op> {
    let mode = proptest::sample::select(vec![zk::CreateMode::Persistent, zk::CreateMode::Ephemeral]);
    prop_oneof![
        (text(), text(), mode).prop_map(|(path, data, mode)| zk::Op::Create { path, data, mode }),
        (text(), -1..1i32).prop_map(|(path, version)| zk::Op::Delete { path, version }),
        (text(), text(), -1..1i32).prop_map(|(path, data, version)| zk::Op::SetData { path, data, version }),
        (text(), -1..1i32).prop_map(|(path, version)| zk::Op::Check { path, version }),
    ]
}

fn zk_request() -> impl Strategy<Value = zk::Request> {
    let paths = || vec(text(), 0..3);
    prop_oneof![
        (0..2i64, 0..2u32, 0..2i64).prop_map(|(session, timeout_ms, seen)| zk::Request::Connect {
            session,
            timeout_ms,
            seen
        }),
        (0..2i64, paths(), paths(), paths()).prop_map(|(seen, data, exist, child)| zk::Request::SetWatches {
            seen,
            data,
            exist,
            child
        }),
        zk_op().prop_map(zk::Request::Write),
        vec(zk_op(), 0..3).prop_map(zk::Request::Multi),
        (text(), any::<bool>()).prop_map(|(path, watch)| zk::Request::Exists { path, watch }),
        (text(), any::<bool>()).prop_map(|(path, watch)| zk::Request::GetData { path, watch }),
        (text(), any::<bool>()).prop_map(|(path, watch)| zk::Request::GetChildren { path, watch }),
        text().prop_map(|path| zk::Request::Sync { path }),
        Just(zk::Request::CloseSession),
    ]
}

fn zk_answer() -> impl Strategy<Value = zk::Answer> {
    let stat = || (0..2i64, 0..2i32).prop_map(|(czxid, version)| zk::Stat { czxid, version, ..zk::Stat::default() });
    let errors = vec![None, Some(zk::Error::NoNode), Some(zk::Error::NodeExists)];
    let leaf = prop_oneof![
        (0..2i64, 0..2u32).prop_map(|(session, timeout_ms)| zk::Answer::Connected { session, timeout_ms }),
        (text(), stat()).prop_map(|(path, stat)| zk::Answer::Created { path, stat }),
        stat().prop_map(zk::Answer::Stat),
        (text(), stat()).prop_map(|(data, stat)| zk::Answer::Data(data, stat)),
        (vec(text(), 0..3), stat()).prop_map(|(names, stat)| zk::Answer::Children(names, stat)),
        Just(zk::Answer::Done),
        vec(proptest::sample::select(errors), 0..3).prop_map(zk::Answer::MultiFailed),
    ];
    leaf.prop_recursive(1, 4, 3, |inner| vec(inner, 0..3).prop_map(zk::Answer::Multi))
}

fn zk_reply() -> impl Strategy<Value = zk::Reply> {
    let error = proptest::sample::select(vec![zk::Error::NoNode, zk::Error::BadVersion]);
    let kind = proptest::sample::select(vec![zk::EventKind::Created, zk::EventKind::Deleted]);
    prop_oneof![
        (0..2i64, zk_answer()).prop_map(|(zxid, answer)| zk::Reply::Answer { zxid, answer }),
        (0..2i64, error).prop_map(|(zxid, error)| zk::Reply::Failed { zxid, error }),
        (kind, text()).prop_map(|(kind, path)| zk::Reply::Event { kind, path }),
    ]
}

fn etcd_op() -> impl Strategy<Value = etcd::Op> {
    let keys = || (text(), text()).prop_map(|(first, end)| etcd::Keys { first, end });
    prop_oneof![
        (keys(), 0..2i64, any::<bool>()).prop_map(|(keys, limit, serializable)| {
            etcd::Op::Range(etcd::Range { limit, serializable, ..etcd::Range::of(keys) })
        }),
        (text(), text(), 0..2i64, any::<bool>()).prop_map(|(key, value, lease, prev)| etcd::Op::Put {
            key,
            value,
            lease,
            prev
        }),
        (keys(), any::<bool>()).prop_map(|(keys, prev)| etcd::Op::Delete { keys, prev }),
    ]
}

fn etcd_request() -> impl Strategy<Value = etcd::Request> {
    let compare = || (text(), 0..2i64).prop_map(|(key, revision)| etcd::Compare::created(&key, revision));
    prop_oneof![
        etcd_op().prop_map(etcd::Request::Op),
        (vec(compare(), 0..2), vec(etcd_op(), 0..2), vec(etcd_op(), 0..2))
            .prop_map(|(when, then, otherwise)| etcd::Request::Txn(etcd::Txn { when, then, otherwise })),
        (0..2i64, 0..2i64).prop_map(|(id, ttl_s)| etcd::Request::Grant { id, ttl_s }),
        (0..2i64).prop_map(etcd::Request::Revoke),
        (0..2i64).prop_map(etcd::Request::KeepAlive),
        (0..2i64).prop_map(etcd::Request::TimeToLive),
    ]
}

fn etcd_answer() -> impl Strategy<Value = etcd::Answer> {
    let kv = || {
        (text(), text(), 0..2i64, 0..2i64).prop_map(|(key, value, created, lease)| etcd::Kv {
            key,
            created,
            modified: created,
            version: 1,
            value,
            lease,
        })
    };
    let leaf = prop_oneof![
        (vec(kv(), 0..2), any::<bool>(), 0..2i64).prop_map(|(kvs, more, count)| etcd::Answer::Range {
            kvs,
            more,
            count
        }),
        proptest::option::of(kv()).prop_map(|prev| etcd::Answer::Put { prev }),
        (0..2i64, vec(kv(), 0..2)).prop_map(|(deleted, prev)| etcd::Answer::Deleted { deleted, prev }),
        (0..2i64, 0..2i64).prop_map(|(id, ttl_s)| etcd::Answer::Granted { id, ttl_s }),
        Just(etcd::Answer::Revoked),
        (0..2i64).prop_map(|ttl_s| etcd::Answer::KeptAlive { ttl_s }),
        (-1..2i64, 0..2i64, vec(text(), 0..2)).prop_map(|(ttl_s, granted_s, keys)| etcd::Answer::TimeToLive {
            ttl_s,
            granted_s,
            keys
        }),
        Just(etcd::Answer::Watching),
    ];
    leaf.prop_recursive(1, 4, 2, |inner| {
        (any::<bool>(), vec(inner, 0..3)).prop_map(|(succeeded, answers)| etcd::Answer::Txn { succeeded, answers })
    })
}

fn etcd_reply() -> impl Strategy<Value = etcd::Reply> {
    let error = proptest::sample::select(vec![etcd::Error::LeaseNotFound, etcd::Error::NoLeader]);
    let event = (text(), 0..2i64).prop_map(|(key, revision)| etcd::Event::Deleted { key, revision });
    prop_oneof![
        (0..2i64, etcd_answer()).prop_map(|(revision, answer)| etcd::Reply::Answer { revision, answer }),
        error.prop_map(etcd::Reply::Failed),
        vec(event, 0..3).prop_map(etcd::Reply::Events),
    ]
}

fn request() -> impl Strategy<Value = Request> {
    prop_oneof![
        vec(text(), 1..4).prop_map(|words| Request::Redis(Command::from_words(words))),
        zk_request().prop_map(Request::ZooKeeper),
        etcd_request().prop_map(Request::Etcd),
        sql_request().prop_map(Request::MySql),
    ]
}

fn response() -> impl Strategy<Value = Response> {
    prop_oneof![
        redis_value().prop_map(Response::Redis),
        zk_reply().prop_map(Response::ZooKeeper),
        etcd_reply().prop_map(Response::Etcd),
        sql_reply().prop_map(Response::MySql),
    ]
}

/// Demands that digests are the same where values are, and nowhere else.
fn told_apart<T: Hash + Eq + Debug>(values: &[T]) -> Result<(), TestCaseError> {
    let digests: Vec<[u128; 2]> = values.iter().map(|value| [digest(value), renamed(value)]).collect();
    for (left, one) in values.iter().zip(&digests) {
        for (right, other) in values.iter().zip(&digests) {
            let same = left == right;
            prop_assert!(one[0] == other[0] && one[1] == other[1] || !same, "{left:?} has two digests");
            prop_assert!(one[0] != other[0] && one[1] != other[1] || same, "{left:?} and {right:?} have one digest");
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn requests_are_told_apart(values in vec(request(), 200)) {
        told_apart(&values)?;
    }

    #[test]
    fn responses_are_told_apart(values in vec(response(), 200)) {
        told_apart(&values)?;
    }

    /// What stands side by side is not what stands in one list.
    #[test]
    fn lists_are_told_apart(lists in vec((vec(redis_value(), 0..3), vec(redis_value(), 0..3)), 60)) {
        told_apart(&lists)?;
    }
}

/// Random numbers.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % limit
    }

    fn one<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[self.below(of.len())]
    }
}

const CLOCKS: [NodeClock; 3] = [NodeClock { wall_us: 1_000_000_000, mono_us: 1_000_000 }; 3];

fn served(service: &mut Service, client: u16, request: &Request) -> Vec<Output> {
    let conn = ConnId { client, member: 0, lane: 0 };
    let mut out = Vec::new();
    if !service.is_waiting(conn) {
        service.handle(&CLOCKS, conn, request, &mut out);
    }
    out
}

/// What each of these requests would be answered, by each of two clients.
fn observed(service: &Service, probes: &[Request]) -> Vec<Vec<Output>> {
    let one = |client, probe| served(&mut service.clone(), client, probe);
    (0..2).flat_map(|client| probes.iter().map(move |probe| one(client, probe))).collect()
}

/// Walks at random, and demands that states with one digest cannot be told apart.
fn one_digest_one_behaviour(config: &ServiceConfig, begin: &[Request], steps: &[Request], probes: &[Request]) {
    let mut seen: BTreeMap<u128, Vec<Vec<Output>>> = BTreeMap::new();
    let (mut random, mut again) = (Random(7), 0);
    for _ in 0..150 {
        let mut service = Service::new(config);
        for (client, request) in (0..2).flat_map(|client| begin.iter().map(move |request| (client, request))) {
            served(&mut service, client, request);
        }
        for _ in 0..12 {
            let out = served(&mut service, random.below(2) as u16, random.one(steps));
            let ready = service.ready();
            if let (true, [_, ..]) = (out.is_empty(), &ready[..]) {
                service.step(&CLOCKS, At::Conn(*random.one(&ready)), Step::Grant, &mut Vec::new());
            }
            let behaviour = observed(&service, probes);
            let before = seen.entry(digest(&service)).or_insert_with(|| behaviour.clone());
            assert_eq!(*before, behaviour, "two states with one digest");
            again += u32::from(*before == behaviour);
        }
    }
    let again = again as usize - seen.len();
    assert!(seen.len() > 100 && again > 100, "{} states, {again} met again", seen.len());
}

fn redis_requests(lines: &str) -> Vec<Request> {
    let words = |line: &str| Command::from_words(line.split(' ').map(|word| Blob::copy_from(word.as_bytes())));
    lines.lines().map(str::trim).filter(|line| !line.is_empty()).map(|line| Request::Redis(words(line))).collect()
}

#[test]
fn states_of_redis() {
    let steps = "SET a 1\nSET a 2\nSET b 1\nDEL a\nDEL b\nPEXPIRE a 100\nPEXPIRE a 200\nPERSIST a\nRPUSH l a b
        RPUSH l ab\nLPOP l\nHSET h a b\nHSET h b a\nHDEL h a\nSADD s a\nSADD s b\nSREM s a\nZADD z 1 a\nZADD z 2 a
        ZADD z -0 b\nZREM z a\nMULTI\nEXEC\nDISCARD\nWATCH a\nUNWATCH\nSUBSCRIBE x\nPSUBSCRIBE x\nUNSUBSCRIBE x
        PUNSUBSCRIBE x\nSCRIPT FLUSH\nSCRIPT LOAD return";
    let probes =
        "GET a\nGET b\nPTTL a\nLRANGE l 0 -1\nHGETALL h\nSMEMBERS s\nZRANGE z 0 -1 WITHSCORES\nEXEC\nMULTI\nDISCARD
        PING\nPUBLISH x y\nPUBSUB NUMPAT\nDBSIZE\nSCRIPT EXISTS 63143b6f8007b98c53ca2149822777b3566f9241";
    let config = ServiceConfig::Redis(doublehold_models::redis::Config::default());
    one_digest_one_behaviour(&config, &[], &redis_requests(steps), &redis_requests(probes));
}

#[test]
fn states_of_zookeeper() {
    let paths = ["/a", "/a/x", "/b"].map(Blob::from);
    let connect = || Request::ZooKeeper(zk::Request::Connect { session: 0, timeout_ms: 4000, seen: 0 });
    let (mut steps, mut probes) = (vec![connect(), Request::ZooKeeper(zk::Request::CloseSession)], Vec::new());
    for path in &paths {
        let write = |op| Request::ZooKeeper(zk::Request::Write(op));
        for mode in [zk::CreateMode::Persistent, zk::CreateMode::Ephemeral, zk::CreateMode::PersistentSequential] {
            steps.push(write(zk::Op::Create { path: path.clone(), data: "d".into(), mode }));
        }
        steps.push(write(zk::Op::Delete { path: path.clone(), version: zk::ANY_VERSION }));
        steps.push(write(zk::Op::SetData { path: path.clone(), data: "e".into(), version: zk::ANY_VERSION }));
        steps.push(Request::ZooKeeper(zk::Request::GetData { path: path.clone(), watch: true }));
        probes.push(write(zk::Op::SetData { path: path.clone(), data: "f".into(), version: 0 }));
        probes.push(Request::ZooKeeper(zk::Request::GetChildren { path: path.clone(), watch: false }));
        probes.push(Request::ZooKeeper(zk::Request::GetData { path: path.clone(), watch: false }));
    }
    // Refused changes leave the state as it is.
    steps.extend((0..10).map(|_| Request::ZooKeeper(zk::Request::Sync { path: "/a".into() })));
    let config = ServiceConfig::ZooKeeper(doublehold_models::zookeeper::Config::default());
    one_digest_one_behaviour(&config, &[connect()], &steps, &probes);
}

#[test]
fn states_of_etcd() {
    let op = |op| Request::Etcd(etcd::Request::Op(op));
    let (mut steps, mut probes) = (Vec::new(), Vec::new());
    for key in ["a", "b"].map(Blob::from) {
        for (value, lease) in [("1", 0), ("2", 0), ("1", 1)] {
            steps.push(op(etcd::Op::Put { key: key.clone(), value: value.into(), lease, prev: false }));
        }
        let keys = etcd::Keys::one(&key);
        steps.push(op(etcd::Op::Delete { keys: keys.clone(), prev: false }));
        steps.push(Request::Etcd(etcd::Request::Watch { keys: keys.clone(), from: 0 }));
        for revision in [0, 1, 2, 3] {
            probes.push(op(etcd::Op::Range(etcd::Range { revision, ..etcd::Range::of(keys.clone()) })));
        }
        probes.push(op(etcd::Op::Put { key, value: "3".into(), lease: 1, prev: true }));
    }
    let grant = |id| Request::Etcd(etcd::Request::Grant { id, ttl_s: 10 });
    steps.extend([
        grant(1),
        grant(0),
        Request::Etcd(etcd::Request::Revoke(1)),
        Request::Etcd(etcd::Request::KeepAlive(1)),
    ]);
    steps.extend((0..8).map(|_| Request::Etcd(etcd::Request::TimeToLive(1))));
    probes.extend([grant(0), Request::Etcd(etcd::Request::TimeToLive(1))]);
    let watch = etcd::Request::Watch { keys: etcd::Keys::prefix(&"".into()), from: 1 };
    probes.push(Request::Etcd(watch));
    let config = ServiceConfig::Etcd(doublehold_models::etcd::Config { servers: 1, ..Default::default() });
    one_digest_one_behaviour(&config, &[], &steps, &probes);
}

#[test]
fn states_of_mysql() {
    let requests = |texts: &str| -> Vec<Request> {
        let one = |text: &str| Request::MySql(mysql::Request::new(text.to_owned(), Vec::new()));
        texts.lines().map(str::trim).map(one).collect()
    };
    let begin = requests("CREATE TABLE IF NOT EXISTS t (id INT PRIMARY KEY, v INT, n INT, UNIQUE KEY (n))");
    let steps = requests(
        "BEGIN\nCOMMIT\nROLLBACK\nSAVEPOINT p\nROLLBACK TO p\nSET autocommit = 0\nSET autocommit = 1\nSELECT v FROM t
        INSERT INTO t (id, v, n) VALUES (1, 1, 1)\nINSERT INTO t (id, v, n) VALUES (2, 1, NULL)
        UPDATE t SET v = v + 1 WHERE id = 1\nUPDATE t SET v = 1 WHERE id = 1\nDELETE FROM t WHERE id = 1\nDELETE FROM t
        SELECT v FROM t WHERE id = 1 FOR UPDATE\nSELECT v FROM t WHERE id = 2 LOCK IN SHARE MODE\nSELECT GET_LOCK('a', 5)
        SELECT RELEASE_LOCK('a')\nSET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED",
    );
    let probes = requests(
        "SELECT * FROM t\nSELECT id FROM t WHERE id = 1 FOR UPDATE NOWAIT\nSELECT id FROM t WHERE id = 2 FOR UPDATE NOWAIT
        INSERT INTO t (id, v, n) VALUES (3, 1, 3)\nROLLBACK\nROLLBACK TO p\nSELECT IS_FREE_LOCK('a')\nSELECT GET_LOCK('a', 0)
        SELECT ROW_COUNT()",
    );
    let config = ServiceConfig::MySql(doublehold_models::mysql::Config::default());
    one_digest_one_behaviour(&config, &begin, &steps, &probes);
}
