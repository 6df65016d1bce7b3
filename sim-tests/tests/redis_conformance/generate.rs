//! Generate: random Redis commands, from templates in which one letter stands for one kind of word.

use crate::scripts;
use doublehold_models::resp::Command;
use doublehold_models::{Blob, ConnId, Request};
use doublehold_sim_tests::conformance::Step;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The families of commands, in the order of their templates.
pub(crate) const FAMILIES: [&str; 11] = [
    "strings and keys",
    "expiry",
    "hashes",
    "lists",
    "sets",
    "zsets",
    "streams",
    "transactions",
    "pub/sub",
    "scripts",
    "server",
];

/// One letter is one word (see [`token`]), with `+` one to four of them, with `*` up to three. `!EXPIRED` lets a key
/// expire, `!WATCH` lets another connection touch a watched key.
const TEMPLATES: [&str; 11] = [
    "SET k v/SET k v/SET k v s*/SET k v s*/SET k v EX t/SET k v PX t s*/SET k v EXAT A s*/SET k v PXAT M s*/GET k/GET k/\
    SETNX k v/SETEX k t v/PSETEX k t v/GETSET k v/GETDEL k/GETEX k/GETEX k PERSIST/GETEX k EX t/GETEX k PX t/\
    GETEX k EXAT A/GETEX k PXAT M/GETEX k s*/MGET k+/MSET k v/MSET k v k v/MSETNX k v k v/MSET x+/MSETNX x+/APPEND k v/\
    STRLEN k/GETRANGE k n n/SUBSTR k n n/SETRANGE k o v/SETRANGE k i v/INCR k/DECR k/INCRBY k i/DECRBY k i/SETBIT k o 1/\
    SETBIT k o 0/SETBIT k o i/GETBIT k o/BITCOUNT k/BITCOUNT k n n/BITCOUNT k n/BITCOUNT k n n q/SET k i/SET k i/\
    GETRANGE k i i/BITCOUNT k i i/BITFIELD k B+/BITFIELD k B+/BITFIELD_RO k B+/BITFIELD_RO k x*/\
    DEL k+/UNLINK k+/EXISTS k+/TOUCH k+/TYPE k/KEYS p/KEYS */SCAN 0/SCAN 0 COUNT 100/\
    SCAN 00/SCAN 0 MATCH p COUNT 1000/SCAN 0 TYPE y COUNT 1000/SCAN 0 COUNT i/RENAME k k/RENAMENX k k/COPY k k/\
    COPY k k REPLACE/COPY k k x*/DBSIZE/RANDOMKEY/FLUSHALL/FLUSHDB/FLUSHALL ASYNC/FLUSHDB SYNC/FLUSHALL x",
    "EXPIRE k t/EXPIRE k t e*/PEXPIRE k t/PEXPIRE k t e*/EXPIREAT k A e*/PEXPIREAT k M e*/TTL k/PTTL k/EXPIRETIME k/\
    PEXPIRETIME k/PERSIST k/SET k v/HSET k m v/RPUSH k v/!EXPIRED/EXPIRE k i e*/PEXPIREAT k i/GET k/EXISTS k+/DBSIZE",
    "HSET k m v/HSET k m v m v/HSET k x+/HMSET k m v/HMSET k x+/HSETNX k m v/HGET k m/HMGET k m+/HGETALL k/HDEL k m+/\
    HEXISTS k m/HLEN k/HKEYS k/HVALS k/HINCRBY k m i/HSET k m i/HSTRLEN k m",
    "LPUSH k v+/RPUSH k v+/LPUSHX k v+/RPUSHX k v+/RPUSH k m m m/LPOP k/RPOP k/LPOP k n/RPOP k n/RPOP k i/LPOP k n n/\
    LLEN k/LRANGE k n n/LRANGE k 0 -1/LINDEX k n/LSET k n v/LREM k n m/LTRIM k n n/LINSERT k BEFORE m v/\
    LINSERT k AFTER m v/LINSERT k x m v/LMOVE k k d d/LMOVE k k x d/RPOPLPUSH k k/LRANGE k i i/LTRIM k i i/LINDEX k i/\
    LREM k i m/LSET k i m/LPOS k m/LPOS k m RANK n/LPOS k m COUNT n/LPOS k m RANK n COUNT n MAXLEN n/LPOS k m RANK i/\
    LPOS k m COUNT i/LPOS k m MAXLEN i/LPOS k m MAXLEN n RANK n/LPOS k m x*",
    "SADD k m+/SADD k m+/SADD k v+/SREM k m+/SISMEMBER k m/SMISMEMBER k m+/SMEMBERS k/SCARD k/SMOVE k k m/SINTER k+/\
    SUNION k+/SDIFF k+/SINTER k k/SDIFF k k",
    "ZADD k f m/ZADD k f m f m/ZADD k z* f m/ZADD k z* f m f m/ZADD k z z f m/ZADD k x+/ZADD k INCR f m/ZINCRBY k f m/\
    ZSCORE k m/ZMSCORE k m+/ZREM k m+/ZCARD k/ZCOUNT k b b/ZRANGE k n n/ZRANGE k 0 -1 WITHSCORES/ZRANGE k n n r*/\
    ZRANGE k b b BYSCORE/ZRANGE k b b BYSCORE r*/ZRANGE k b b BYSCORE REV LIMIT n n r*/ZRANGE k n n REV WITHSCORES/\
    ZREVRANGE k n n/ZREVRANGE k n n WITHSCORES/ZREVRANGE k n n r*/ZRANGEBYSCORE k b b/ZRANGEBYSCORE k b b r*/\
    ZRANGEBYSCORE k b b LIMIT n n/ZRANGEBYSCORE k b b WITHSCORES LIMIT i i/ZREVRANGEBYSCORE k b b/\
    ZREVRANGEBYSCORE k b b r*/ZREVRANGEBYSCORE k b b LIMIT n n WITHSCORES/ZRANK k m/ZREVRANK k m/ZREMRANGEBYSCORE k b b/\
    ZREMRANGEBYRANK k n n/ZPOPMIN k/ZPOPMAX k/ZPOPMIN k n/ZPOPMAX k n/ZPOPMIN k i/ZPOPMIN k n n/ZREMRANGEBYRANK k i i",
    "XADD k h m v/XADD k h m v/XADD k h m v m v/XADD k a* h m v/XADD k a* h m v/XADD k j m v/XADD k h m/XADD k a* x+/\
    !ADD/!ADD/!ADD/!GROUP/!GROUP/!GROUP/!GROUP/!GROUP/!GROUP/XLEN k/XRANGE k l l/XRANGE k - +/XRANGE k l l COUNT n/\
    XRANGE k l l x*/XREVRANGE k l l/XREVRANGE k + -/XREVRANGE k + - COUNT n/XDEL k j/XDEL k j+/XTRIM k a/XTRIM k a a/\
    XTRIM k MAXLEN n/XREAD STREAMS k j/XREAD COUNT n STREAMS k k j j/XREAD STREAMS k k j $/XREAD STREAMS k j+/\
    XREAD NOACK STREAMS k j/XREAD GROUP g u STREAMS k j/XREAD STREAMS k >/XREAD x+/XGROUP CREATE k g j/\
    XGROUP CREATE k g $/XGROUP CREATE k g 0 MKSTREAM/XGROUP CREATE k g $ MKSTREAM/XGROUP CREATE k g j ENTRIESREAD i/\
    XGROUP CREATE k g j x*/XGROUP SETID k g j/XGROUP SETID k g $/XGROUP SETID k g 0/XGROUP SETID k g j ENTRIESREAD i/\
    XGROUP DESTROY k g/XGROUP CREATECONSUMER k g u/XGROUP DELCONSUMER k g u/XGROUP x*/XGROUP DESTROY k g x/\
    XREADGROUP GROUP g u STREAMS k >/XREADGROUP GROUP g u STREAMS k >/XREADGROUP GROUP g u COUNT n STREAMS k >/\
    XREADGROUP GROUP g u NOACK STREAMS k >/XREADGROUP GROUP g u STREAMS k j/XREADGROUP GROUP g u STREAMS k 0/\
    XREADGROUP GROUP g u COUNT n STREAMS k k > j/XREADGROUP GROUP g u STREAMS k $/XREADGROUP COUNT n STREAMS k > x/\
    XREADGROUP GROUP g u STREAMS k k >/XREADGROUP GROUP g u x+ STREAMS k >/XREADGROUP GROUP g u BLOCK i STREAMS k j/\
    XACK k g j/XACK k g j+/XACK k g j+/XPENDING k g/XPENDING k g/XPENDING k g l l n/XPENDING k g - + 10/\
    XPENDING k g - + n u/XPENDING k g IDLE w - + 10/XPENDING k g IDLE w l l n u/XPENDING k g x+/XCLAIM k g u w j/\
    XCLAIM k g u w j+/XCLAIM k g u w j+ N*/XCLAIM k g u w j+ N*/XCLAIM k g u w j FORCE/XAUTOCLAIM k g u w j/\
    XAUTOCLAIM k g u w 0/XAUTOCLAIM k g u w l COUNT n/XAUTOCLAIM k g u w 0 COUNT 1 JUSTID/XAUTOCLAIM k g u w j x*/\
    TYPE k/COPY k k REPLACE/RENAME k k/EXPIRE k t/DEL k/SCAN 0 TYPE stream COUNT 1000",
    "MULTI/MULTI/EXEC/EXEC/EXEC/DISCARD/WATCH k+/WATCH k/UNWATCH/MULTI x/EXEC x/SET k v/INCR k/GET k/LPUSH k v/\
    NOSUCHCOMMAND x*/GET/DEL k/EXPIRE k t/FLUSHALL/!EXPIRED/RENAME k k/WATCH/!WATCH/!WATCH/!WATCH/!WATCH/PUBLISH c v/\
    PEXPIREAT k 1/SETBIT k 1 x/SMEMBERS k/SADD k m+/KEYS *",
    "SUBSCRIBE c+/SUBSCRIBE c/UNSUBSCRIBE/UNSUBSCRIBE c+/PSUBSCRIBE p/PSUBSCRIBE p+/PUNSUBSCRIBE/PUNSUBSCRIBE p/\
    PUBLISH c v/PUBLISH c v/PUBLISH c v/PUBLISH c v/PUBSUB CHANNELS/PUBSUB CHANNELS p/PUBSUB NUMSUB c*/PUBSUB NUMPAT/\
    PUBSUB x*/PING/PING v/PING v v/GET k/ECHO v/PUBSUB CHANNELS p p/PUBSUB NUMPAT x",
    "EVAL L 0/EVAL L 1 k v/EVAL L 2 k k v m/EVAL L 2 k k m i/EVAL L n x*/EVAL L i x*/EVALSHA S 0/EVALSHA S 1 k v/\
    EVALSHA S 2 k k v/EVAL_RO L 0/EVAL_RO L 2 k k v m/EVAL_RO L n x*/EVALSHA_RO S 1 k v/EVALSHA_RO S n x*/\
    EVAL_RO G 2 k k v m/EVAL_RO G 2 k k i f/\
    SCRIPT LOAD L/SCRIPT EXISTS S+/EVAL G 2 k k v m/EVAL G 2 k k v m/EVAL G 2 k k i v/EVAL G 2 k k i f/\
    EVAL G 1 k v/SCRIPT FLUSH/SET k v/HSET k m v/RPUSH k v v/ZADD k f m f m/SADD k m+/GET k",
    "PING/PING v/PING v v/ECHO v/TIME/ROLE x*/SELECT 0/SELECT i/WAIT 0 1/WAIT 0 i/WAIT i 0/SAVE/SCRIPT EXISTS S+/\
    SCRIPT EXISTS/\
    SCRIPT FLUSH/SCRIPT FLUSH SYNC/SCRIPT FLUSH x/SCRIPT x*/SCRIPT LOAD L/SCRIPT LOAD/SCRIPT LOAD L x/foo x*/x x x/\
    PUBSUB x x/XADD now * m v/XLEN now",
];
const PUBSUB: usize = 8;
/// Those whose templates touch keys.
const DATA_FAMILIES: usize = 7;
/// Connections below this one carry commands, the next two carry subscriptions.
const SUBSCRIBER: u16 = 3;
/// Longer than a key that was given a millisecond or two still has.
const EXPIRY_WAIT: Duration = Duration::from_millis(6);

const INTEGERS: &str = "9223372036854775807/-9223372036854775808/9223372036854775808/-9223372036854775809/abc/1.5/ 1/1 /\
    +1/007//-0/-/1e3/4294967296/2147483648/-2147483649/9223372036854775806/-9223372036854775807/00/inf/\
    99999999999999999999999/9223372036854775/-9223372036854775";
const FLOATS: &str = "inf/+inf/-inf/Infinity/INF/nan/-nan/NaN/abc//1./.5/-.5/+3/1e400/-1e400/1e-400/ 1/1 /1_000/1e/-0/0/\
    0.1/9007199254740993/1e17/123456789012345678/3.0000000000000004/1e22/infinit/-infinity/+/-/./(1/5e-324/\
    1.7976931348623157e308/99999999999999990/0.30000000000000004/\0/1\0";
const TTLS: &str = "0/-1/-100/9223372036854775/9223372036854776/9223372036854775807/9223370000000000000/\
    -9223372036854775808/-9223372036854775";
const MOMENTS: &str = "1/100000/1500000000/1500000000000/9223372036854775/9223372036854776";
const FUTURE: &str = "9999999999999-*";
const STREAM_IDS: &str = "7/7-0/7-3/7-4/7-5/8-1/0/0-0/0-1/-/+/$/>/*/7-*/7-/-7/7--1/07-01/ 7- 1/+7/7-x/7-1-1/\
    18446744073709551615-18446744073709551615/18446744073709551615/18446744073709551616/7-18446744073709551615//abc/\
    9999999999999/9999999999999-0/99999999999999999999999999999999999-1";
const GLOBS: &str = "*/k*/k?/k[1-3]/k[^1]/c*/c?/c[12]";
const GLOB_PARTS: &str = "*/?/k/c/1/2/[/]/[1/[^/[1-2]/-/\\/\\*/**/[]/[^]/a/[\\/[3-1]/[a-/^/[12]/[^12]";

/// What is drawn from, a seed deciding.
pub(crate) struct Random(ChaCha8Rng);

impl Random {
    pub(crate) fn below(&mut self, limit: usize) -> usize {
        ((u64::from(self.0.next_u32()) * limit as u64) >> 32) as usize
    }

    pub(crate) fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    /// One of the parts between the slashes.
    pub(crate) fn part<'a>(&mut self, text: &'a str) -> &'a str {
        let at = self.below(text.split('/').count());
        text.split('/').nth(at).expect("there are that many parts")
    }

    fn between(&mut self, low: i64, high: i64) -> i64 {
        low + self.below((high - low) as usize) as i64
    }
}

pub(crate) fn blob(text: impl AsRef<[u8]>) -> Blob {
    Blob::copy_from(text.as_ref())
}

/// Sends one command on a connection.
pub(crate) fn send(client: u16, words: Vec<Blob>) -> Step {
    Step::Send(ConnId { client, member: 0, lane: 0 }, Request::Redis(Command::from_words(words)))
}

/// Sends a command that is written with spaces between its words.
pub(crate) fn plain(client: u16, line: &str) -> Step {
    send(client, line.split(' ').map(blob).collect())
}

/// A sequence mostly of one family.
pub(crate) fn sequence(family: usize, seed: u64, len: usize) -> Vec<Step> {
    let random = &mut Random(ChaCha8Rng::seed_from_u64(seed * FAMILIES.len() as u64 + family as u64));
    let mut steps = Vec::new();
    while steps.len() < len {
        let family = if random.chance(75) { family } else { random.below(FAMILIES.len()) };
        let client = random.below(usize::from(SUBSCRIBER)) as u16;
        match random.part(TEMPLATES[family]) {
            "!EXPIRED" => {
                let key = key(random);
                expire(random, client, &key, &mut steps);
            }
            "!WATCH" => watch(random, &mut steps),
            "!ADD" => add_behind(random, client, &mut steps),
            "!GROUP" => share_out(random, &mut steps),
            template => {
                let words = fill(random, template);
                let subscribes = words[0].to_ascii_uppercase().ends_with(b"SUBSCRIBE");
                let apart = subscribes || family == PUBSUB && random.chance(50);
                let client = if apart { SUBSCRIBER + random.below(2) as u16 } else { client };
                if random.chance(1) {
                    steps.push(Step::Close(ConnId { client, member: 0, lane: 0 }));
                }
                if is_fair(&words) {
                    steps.push(send(client, words));
                }
            }
        }
    }
    steps
}

/// The same, some of it on the replica.
pub(crate) fn replicated_sequence(family: usize, seed: u64, len: usize) -> Vec<Step> {
    let random = &mut Random(ChaCha8Rng::seed_from_u64(seed * FAMILIES.len() as u64 + family as u64));
    let mut steps = sequence(family, seed, len);
    for step in &mut steps {
        if let Step::Send(conn, _) | Step::Close(conn) = step
            && random.chance(40)
        {
            conn.member = 1;
        }
    }
    steps
}

/// How many nodes the Cluster has.
const CLUSTER_MEMBERS: usize = 4;
/// Hash tags whose slots the first, second and third primary serve.
const TAGS: [&str; 3] = ["{b}", "{c}", "{a}"];
const ABOUT_CLUSTER: &str = "READONLY/READONLY/READWRITE/CLUSTER SLOTS/CLUSTER MYID/CLUSTER KEYSLOT k/\
    CLUSTER KEYSLOT x/CLUSTER COUNTKEYSINSLOT i/CLUSTER COUNTKEYSINSLOT 3300/CLUSTER x*/CLUSTER KEYSLOT k k/READONLY x";

/// The same on a Cluster: most of it at the primary of a hash tag that the keys have, or do not have.
pub(crate) fn clustered_sequence(family: usize, seed: u64, len: usize) -> Vec<Step> {
    let random = &mut Random(ChaCha8Rng::seed_from_u64(seed * FAMILIES.len() as u64 + family as u64));
    let mut steps = sequence(family, seed, len);
    let home = random.below(TAGS.len());
    let tagged = random.chance(75);
    for step in &mut steps {
        let (Step::Send(conn, _) | Step::Close(conn)) = step else { continue };
        conn.member = if random.chance(75) { home } else { random.below(CLUSTER_MEMBERS) } as u8;
        if let Step::Send(_, request) = step {
            if random.chance(8) {
                let template = random.part(ABOUT_CLUSTER).to_owned();
                *request = Request::Redis(Command::from_words(fill(random, &template)));
            }
            if tagged && let Request::Redis(command) = request {
                *request = Request::Redis(with_tag(command, TAGS[home]));
            }
        }
    }
    steps
}

/// The same command with this hash tag in front of its keys.
fn with_tag(command: &Command, tag: &str) -> Command {
    let is_key = |word: &Blob| matches!(word.as_bytes(), [b'k', b'0'..=b'9']);
    let tagged = |word: &Blob| Blob::copy_from(&[tag.as_bytes(), word.as_bytes()].concat());
    Command::from_words(command.words().iter().map(|word| if is_key(word) { tagged(word) } else { word.clone() }))
}

fn expire(random: &mut Random, client: u16, key: &Blob, steps: &mut Vec<Step>) {
    steps.push(send(client, vec!["PEXPIRE".into(), key.clone(), blob(random.between(1, 3).to_string())]));
    steps.push(Step::Sleep(EXPIRY_WAIT));
}

/// Adds entries that are in the future, so that the next ID does not depend on the clock.
fn add_behind(random: &mut Random, client: u16, steps: &mut Vec<Step>) {
    let key = key(random);
    for id in [FUTURE, "*"] {
        let words = vec!["XADD".into(), key.clone(), id.into(), token(random, b'm').remove(0), value(random)];
        steps.push(send(client, words));
    }
}

/// A stream with entries of which some are given to the consumers of a group.
fn share_out(random: &mut Random, steps: &mut Vec<Step>) {
    let stream = random.part("k1/k2/k3/k4/k5").to_owned();
    steps.push(plain(0, &format!("DEL {stream}")));
    steps.push(plain(0, &format!("XGROUP CREATE {stream} g1 0 MKSTREAM")));
    for _ in 0..random.between(1, 6) {
        steps.push(plain(0, &format!("XADD {stream} 7-* field value")));
    }
    for consumer in ["u1", "u2"] {
        let count = random.below(4);
        steps.push(plain(0, &format!("XREADGROUP GROUP g1 {consumer} COUNT {count} STREAMS {stream} >")));
    }
    for _ in 0..random.between(2, 8) {
        let family = FAMILIES.iter().position(|name| *name == "streams").expect("there are streams");
        let template = random.part(TEMPLATES[family]);
        if template.starts_with("XGROUP CREATE") || template.starts_with('!') {
            continue;
        }
        let words = fill(random, &template.replace(" k", &format!(" {stream}")));
        if is_fair(&words) {
            steps.push(send(0, words));
        }
    }
}

/// Does a command of another connection fail a transaction that watches the key?
fn watch(random: &mut Random, steps: &mut Vec<Step>) {
    let key = key(random);
    if random.chance(25) {
        expire(random, 1, &key, steps);
    }
    steps.push(send(0, vec!["WATCH".into(), key.clone()]));
    if random.chance(25) {
        expire(random, 1, &key, steps);
    }
    for _ in 0..random.between(1, 3) {
        let family = random.below(DATA_FAMILIES);
        let template = random.part(TEMPLATES[family]);
        if template.starts_with('!') {
            continue;
        }
        let mut words = fill(random, template);
        if let Some(word) = words.get_mut(1).filter(|word| word.starts_with(b"k")) {
            *word = key.clone();
        }
        if is_fair(&words) {
            steps.push(send(1, words));
        }
    }
    steps.extend(["MULTI", "PING", "EXEC"].map(|line| plain(0, line)));
}

/// False for what would block, take hundreds of megabytes, or leave the one database that is modelled.
fn is_fair(words: &[Blob]) -> bool {
    let number = |at: usize| words.get(at).and_then(Blob::to_int);
    match words[0].to_ascii_uppercase().as_slice() {
        b"SELECT" => !number(1).is_some_and(|number| (1..16).contains(&number)),
        b"WAIT" => words.len() >= 3 && number(1).is_some_and(|number| number <= 0),
        b"SETBIT" => !number(2).is_some_and(|offset| (10_000..5_000_000_000).contains(&offset)),
        b"BITFIELD" => {
            let is_far = |number: i64| (10_000..4_294_967_296).contains(&number);
            let number = |word: &Blob| blob(word.strip_prefix(b"#").unwrap_or(word)).to_int();
            !words.iter().filter_map(number).any(is_far)
        }
        b"SETRANGE" => !number(2).is_some_and(|offset| (10_000..600_000_000).contains(&offset)),
        _ => true,
    }
}

fn fill(random: &mut Random, template: &str) -> Vec<Blob> {
    let mut words = Vec::new();
    for part in template.split(' ') {
        let is_kind = |byte: u8| byte.is_ascii_lowercase() || b"ABMSLGN".contains(&byte);
        match part.as_bytes() {
            [kind] if is_kind(*kind) => words.extend(token(random, *kind)),
            [kind, b'+'] if is_kind(*kind) => {
                (0..random.between(1, 5)).for_each(|_| words.extend(token(random, *kind)));
            }
            [kind, b'*'] if is_kind(*kind) => {
                (0..random.below(4)).for_each(|_| words.extend(token(random, *kind)));
            }
            _ => words.push(cased(random, part)),
        }
    }
    if random.chance(6) {
        spoil(random, &mut words);
    }
    words
}

/// A word too few, too many, or another one.
fn spoil(random: &mut Random, words: &mut Vec<Blob>) {
    match random.below(4) {
        0 => words.extend(token(random, b'x')),
        1 if words.len() > 1 => drop(words.pop()),
        2 if words.len() > 1 => {
            let at = 1 + random.below(words.len() - 1);
            words.splice(at..=at, token(random, b'x'));
        }
        3 if words.len() > 1 => words.truncate(1 + random.below(words.len() - 1)),
        _ => {}
    }
}

/// The words that one letter of a template stands for.
fn token(random: &mut Random, kind: u8) -> Vec<Blob> {
    vec![match kind {
        b'k' => key(random),
        b'v' => value(random),
        b'i' => integer(random),
        b'n' if random.chance(96) => blob(random.between(-7, 8).to_string()),
        b'n' => integer(random),
        b'o' if random.chance(90) => blob(random.below(70).to_string()),
        b'o' => blob(random.part("-1/4294967296/4294967295000/536870912/536870911999/abc//#1")),
        b'f' => float(random),
        b'b' if random.chance(20) => blob(format!("({}", float(random).to_text())),
        b'b' if random.chance(25) => blob(random.part("-inf/+inf")),
        b'b' => float(random),
        b'm' if random.chance(90) => blob(random.part("a/b/c/d/e/f")),
        b'm' => value(random),
        b't' => ttl(random),
        b'A' => moment(random, 1),
        b'M' => moment(random, 1000),
        b'B' => return bitfield_step(random),
        b's' => return option(random, "NX/XX/GET/KEEPTTL/EX/PX/EXAT/PXAT/PERSIST/FOO"),
        b'e' => return option(random, "NX/XX/GT/LT/GT/LT/XX/FOO"),
        b'z' => return option(random, "NX/XX/GT/LT/CH/INCR"),
        b'r' => return option(random, "WITHSCORES/LIMIT/REV/BYSCORE/WITHSCORES/LIMIT/FOO"),
        b'd' => return option(random, "LEFT/RIGHT"),
        b'q' => return option(random, "BYTE/BIT/FOO"),
        b'y' => blob(random.part("string/list/HASH/zset/set/stream/foo")),
        b'p' if random.chance(35) => blob(random.part(GLOBS)),
        b'p' => blob((0..random.below(5)).map(|_| random.part(GLOB_PARTS)).collect::<String>()),
        b'c' => blob(random.part("c1/c2/c3")),
        b'h' if random.chance(90) => blob("7-*"),
        b'h' => blob(random.part("7-1/7-5/7-9/8-1/3-3/9999999999999-*/0-*/0-0/18446744073709551615-*")),
        b'j' if random.chance(65) => blob(format!("7-{}", random.below(6))),
        b'j' => blob(random.part(STREAM_IDS)),
        b'l' if random.chance(25) => blob(format!("({}", token(random, b'j')[0].to_text())),
        b'l' if random.chance(30) => blob(random.part("-/+")),
        b'l' => return token(random, b'j'),
        b'g' => blob(random.part("g1/g1/g1/g2")),
        b'u' => blob(random.part("u1/u2/u3")),
        b'w' => blob(random.part("0/0/0/0/100000/1000000/-1/abc/9223372036854775807")),
        b'a' => return option(random, "MAXLEN/MAXLEN/MINID/MINID/LIMIT/NOMKSTREAM/FOO"),
        b'N' => return option(random, "IDLE/TIME/RETRYCOUNT/FORCE/JUSTID/LASTID/FOO"),
        b'S' => scripts::sha(random),
        b'L' => blob(scripts::fixed(random)),
        b'G' => blob(scripts::generated(random)),
        b'x' => {
            let kind = b"kvinmftpcdyk"[random.below(12)];
            return token(random, kind);
        }
        other => unreachable!("no kind of word is called {}", char::from(other)),
    }]
}

/// An option, mostly with the words that must follow it.
fn option(random: &mut Random, names: &str) -> Vec<Blob> {
    let name = random.part(names);
    let mut words = vec![cased(random, name)];
    match name {
        _ if random.chance(6) => {}
        "EX" | "PX" => words.push(ttl(random)),
        "EXAT" => words.push(moment(random, 1)),
        "PXAT" => words.push(moment(random, 1000)),
        "MAXLEN" | "MINID" | "LASTID" => {
            let approximate = random.chance(2);
            words.extend((name != "LASTID" && random.chance(20)).then(|| blob(if approximate { "~" } else { "=" })));
            words.extend(token(random, if name == "MAXLEN" { b'n' } else { b'j' }));
        }
        "IDLE" => words.push(blob(random.part("0/500000/500000/-5/abc/9223372036854775807"))),
        "TIME" => words.push(blob(random.part("0/1000/1500000000000/-1/99999999999999/abc"))),
        "RETRYCOUNT" => words.extend(token(random, b'n')),
        "LIMIT" => words.extend([token(random, b'n'), token(random, b'n')].concat()),
        _ => {}
    }
    words
}

/// One step of BITFIELD.
fn bitfield_step(random: &mut Random) -> Vec<Blob> {
    let name = random.part("GET/GET/SET/SET/INCRBY/INCRBY/INCRBY/OVERFLOW");
    let mut words = vec![cased(random, name)];
    if name == "OVERFLOW" {
        let how = if random.chance(3) { "FOO" } else { random.part("WRAP/SAT/FAIL/FAIL") };
        words.push(cased(random, how));
        return words;
    }
    words.push(match random.below(100) {
        0..3 => blob(random.part("u64/i65/i0/u0/x8/i/u/i-1/I8/i08/8//i9223372036854775808")),
        3..50 => blob(random.part("u1/u2/u4/u8/i1/i2/i5/i8/i64/u63")),
        _ => blob(format!("{}{}", random.part("i/u"), random.between(1, 64))),
    });
    words.push(match random.below(100) {
        0..3 => {
            blob(random.part("-1/4294967296/#-1/#4294967296/abc/##1/#/#1.5/9223372036854775807/#9223372036854775807"))
        }
        3..40 => blob(format!("#{}", random.below(9))),
        _ => blob(random.below(70).to_string()),
    });
    if name != "GET" {
        words.push(if random.chance(50) { blob(random.between(-300, 300).to_string()) } else { integer(random) });
    }
    words
}

/// Now and then with small letters in between.
fn cased(random: &mut Random, word: &str) -> Blob {
    if random.chance(70) {
        return blob(word);
    }
    blob(word.chars().map(|char| if random.chance(50) { char.to_ascii_lowercase() } else { char }).collect::<String>())
}

fn key(random: &mut Random) -> Blob {
    match random.below(100) {
        0 => Blob::EMPTY,
        1 => blob(b"\xff\x00"),
        _ => blob(random.part("k1/k2/k3/k4/k5")),
    }
}

fn value(random: &mut Random) -> Blob {
    const ODD: [&[u8]; 6] = [b"\x00\xff\x80", b"", b"\r\n", b"caf\xc3\xa9", b"'q\"", b"\xff"];
    match random.below(10) {
        0..=3 => blob(random.between(-5, 25).to_string()),
        4..=6 => blob(random.part("a/b/hello/foo bar/x")),
        7 => blob(ODD[random.below(ODD.len())]),
        8 => blob("y".repeat(random.below(60))),
        _ => integer(random),
    }
}

fn integer(random: &mut Random) -> Blob {
    if random.chance(60) { blob(random.between(-8, 17).to_string()) } else { blob(random.part(INTEGERS)) }
}

fn float(random: &mut Random) -> Blob {
    match random.below(10) {
        0..=3 => blob(random.between(-4, 8).to_string()),
        4 => blob((random.between(-2000, 2000) as f64 / 64.0).to_string()),
        5 => blob((random.below(400) as f64 / 10.0).to_string()),
        6 => blob(format!("{}e{}", random.below(9000) as f64 / 1000.0, random.between(-30, 30))),
        7 => blob(format!("{:e}", f64::from_bits(random.0.next_u64()))),
        _ => blob(random.part(FLOATS)),
    }
}

/// Long enough that time itself makes no difference, or not in the future at all.
fn ttl(random: &mut Random) -> Blob {
    match random.below(100) {
        0..70 => blob((1000 + random.below(900_000) * 7).to_string()),
        70..82 => blob(random.part(TTLS)),
        _ => match integer(random) {
            small if small.to_int().is_some_and(|number| (1..100).contains(&number)) => blob("100000"),
            other => other,
        },
    }
}

/// A moment since the epoch, in units of which a second has so many.
fn moment(random: &mut Random, units: u64) -> Blob {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("the clock is past 1970").as_secs();
    match random.below(100) {
        0..60 => blob(((now + 1000 + random.below(9000) as u64) * units).to_string()),
        60..84 => blob(random.part(MOMENTS)),
        _ => integer(random),
    }
}
