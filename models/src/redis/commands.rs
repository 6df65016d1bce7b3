//! The command table: names, arities, flags, and the way in.

use super::args::is;
use super::call::{Call, Kind, Refused, Spec};
use super::cluster::commands as cluster;
use super::cluster::redirect;
use super::reply::{Failure, QUOTED_BYTES_MAX, c_string, error_quoting, one_line, wrong_arity};
use super::{bits, expiry, hashes, keys, lists, multi, pubsub, script, server, sets, streams, strings, zsets};
use crate::Blob;
use crate::resp::{Command, Value};

macro_rules! table {
    ($($name:literal $arity:literal $kind:ident $run:path;)*) => {
        /// The row of a command, by its name in capitals.
        fn lookup(name: &[u8]) -> Option<&'static Spec> {
            $(const _: () = assert!($name.len() <= NAME_BYTES_MAX);)*
            $(if name == $name.as_bytes() {
                static SPEC: Spec = Spec { name: $name, arity: $arity, kind: Kind::$kind, run: $run };
                return Some(&SPEC);
            })*
            None
        }
    };
}

const NAME_BYTES_MAX: usize = 18;

table! {
    "SET" -3 Write strings::set;
    "GET" 2 Read strings::get;
    "EVAL" -3 NoScript script::eval;
    "EVALSHA" -3 NoScript script::evalsha;
    "DEL" -2 Write keys::del;
    "PEXPIRE" -3 Write expiry::pexpire;
    "PTTL" 2 Read expiry::pttl;
    "INCR" 2 Write strings::incr;
    "SETNX" 3 Write strings::setnx;
    "SETEX" 4 Write strings::setex;
    "PSETEX" 4 Write strings::psetex;
    "GETSET" 3 Write strings::getset;
    "GETDEL" 2 Write strings::getdel;
    "GETEX" -2 Write strings::getex;
    "MGET" -2 Read strings::mget;
    "MSET" -3 Write strings::mset;
    "MSETNX" -3 Write strings::msetnx;
    "APPEND" 3 Write strings::append;
    "STRLEN" 2 Read strings::strlen;
    "GETRANGE" 4 Read strings::getrange;
    "SUBSTR" 4 Read strings::getrange;
    "SETRANGE" 4 Write strings::setrange;
    "DECR" 2 Write strings::decr;
    "INCRBY" 3 Write strings::incrby;
    "DECRBY" 3 Write strings::decrby;
    "SETBIT" 4 Write bits::setbit;
    "GETBIT" 3 Read bits::getbit;
    "BITCOUNT" -2 Read bits::bitcount;
    "BITFIELD" -2 Write bits::bitfield;
    "BITFIELD_RO" -2 Read bits::bitfield_ro;
    "UNLINK" -2 Write keys::del;
    "EXISTS" -2 Read keys::exists;
    "TOUCH" -2 Read keys::exists;
    "TYPE" 2 Read keys::type_of;
    "KEYS" 2 Read keys::keys;
    "SCAN" -2 Read keys::scan;
    "RENAME" 3 Write keys::rename;
    "RENAMENX" 3 Write keys::renamenx;
    "COPY" -3 Write keys::copy;
    "DBSIZE" 1 Read keys::dbsize;
    "RANDOMKEY" 1 Read keys::randomkey;
    "FLUSHALL" -1 Write keys::flush;
    "FLUSHDB" -1 Write keys::flush;
    "EXPIRE" -3 Write expiry::expire;
    "EXPIREAT" -3 Write expiry::expireat;
    "PEXPIREAT" -3 Write expiry::pexpireat;
    "TTL" 2 Read expiry::ttl;
    "EXPIRETIME" 2 Read expiry::expiretime;
    "PEXPIRETIME" 2 Read expiry::pexpiretime;
    "PERSIST" 2 Write expiry::persist;
    "HSET" -4 Write hashes::hset;
    "HMSET" -4 Write hashes::hmset;
    "HSETNX" 4 Write hashes::hsetnx;
    "HGET" 3 Read hashes::hget;
    "HMGET" -3 Read hashes::hmget;
    "HGETALL" 2 Read hashes::hgetall;
    "HDEL" -3 Write hashes::hdel;
    "HEXISTS" 3 Read hashes::hexists;
    "HLEN" 2 Read hashes::hlen;
    "HKEYS" 2 Read hashes::hkeys;
    "HVALS" 2 Read hashes::hvals;
    "HINCRBY" 4 Write hashes::hincrby;
    "HSTRLEN" 3 Read hashes::hstrlen;
    "LPUSH" -3 Write lists::lpush;
    "RPUSH" -3 Write lists::rpush;
    "LPUSHX" -3 Write lists::lpushx;
    "RPUSHX" -3 Write lists::rpushx;
    "LPOP" -2 Write lists::lpop;
    "RPOP" -2 Write lists::rpop;
    "LLEN" 2 Read lists::llen;
    "LRANGE" 4 Read lists::lrange;
    "LINDEX" 3 Read lists::lindex;
    "LPOS" -3 Read lists::lpos;
    "LSET" 4 Write lists::lset;
    "LREM" 4 Write lists::lrem;
    "LTRIM" 4 Write lists::ltrim;
    "LINSERT" 5 Write lists::linsert;
    "LMOVE" 5 Write lists::lmove;
    "RPOPLPUSH" 3 Write lists::rpoplpush;
    "SADD" -3 Write sets::sadd;
    "SREM" -3 Write sets::srem;
    "SISMEMBER" 3 Read sets::sismember;
    "SMISMEMBER" -3 Read sets::smismember;
    "SMEMBERS" 2 Read sets::smembers;
    "SCARD" 2 Read sets::scard;
    "SMOVE" 4 Write sets::smove;
    "SINTER" -2 Read sets::sinter;
    "SUNION" -2 Read sets::sunion;
    "SDIFF" -2 Read sets::sdiff;
    "ZADD" -4 Write zsets::zadd;
    "ZINCRBY" 4 Write zsets::zincrby;
    "ZSCORE" 3 Read zsets::zscore;
    "ZMSCORE" -3 Read zsets::zmscore;
    "ZREM" -3 Write zsets::zrem;
    "ZCARD" 2 Read zsets::zcard;
    "ZCOUNT" 4 Read zsets::zcount;
    "ZRANGE" -4 Read zsets::zrange;
    "ZREVRANGE" -4 Read zsets::zrevrange;
    "ZRANGEBYSCORE" -4 Read zsets::zrangebyscore;
    "ZREVRANGEBYSCORE" -4 Read zsets::zrevrangebyscore;
    "ZRANK" 3 Read zsets::zrank;
    "ZREVRANK" 3 Read zsets::zrevrank;
    "ZREMRANGEBYSCORE" 4 Write zsets::zremrangebyscore;
    "ZREMRANGEBYRANK" 4 Write zsets::zremrangebyrank;
    "ZPOPMIN" -2 Write zsets::zpopmin;
    "ZPOPMAX" -2 Write zsets::zpopmax;
    "XADD" -5 Write streams::xadd;
    "XLEN" 2 Read streams::xlen;
    "XRANGE" -4 Read streams::xrange;
    "XREVRANGE" -4 Read streams::xrevrange;
    "XDEL" -3 Write streams::xdel;
    "XTRIM" -4 Write streams::xtrim;
    "XREAD" -4 Read streams::xread;
    "XGROUP" -2 Write streams::xgroup;
    "XREADGROUP" -7 Write streams::xreadgroup;
    "XACK" -4 Write streams::xack;
    "XPENDING" -3 Read streams::xpending;
    "XCLAIM" -6 Write streams::xclaim;
    "XAUTOCLAIM" -6 Write streams::xautoclaim;
    "EVAL_RO" -3 NoScript script::eval_ro;
    "EVALSHA_RO" -3 NoScript script::evalsha_ro;
    "SCRIPT" -2 NoScript script::script;
    "MULTI" 1 NoScript multi::multi;
    "EXEC" 1 NoScript multi::exec;
    "DISCARD" 1 NoScript multi::discard;
    "WATCH" -2 NoScript multi::watch;
    "UNWATCH" 1 NoScript multi::unwatch;
    "SUBSCRIBE" -2 NoScript pubsub::subscribe;
    "UNSUBSCRIBE" -1 NoScript pubsub::unsubscribe;
    "PSUBSCRIBE" -2 NoScript pubsub::psubscribe;
    "PUNSUBSCRIBE" -1 NoScript pubsub::punsubscribe;
    "PUBLISH" 3 Publish pubsub::publish;
    "PUBSUB" -2 Control pubsub::pubsub;
    "PING" -1 Control server::ping;
    "ECHO" 2 Control server::echo;
    "TIME" 1 Control server::time;
    "SELECT" 2 Control server::select;
    "WAIT" 3 NoScript server::wait;
    "ROLE" 1 NoScript server::role;
    "CLUSTER" -2 Control cluster::cluster;
    "READONLY" 1 Control cluster::readonly;
    "READWRITE" 1 Control cluster::readwrite;
    "SAVE" 1 NoScript server::save;
    "BGSAVE" -1 NoScript server::bgsave;
}

/// The row of a command, whatever the case of its name.
pub(super) fn spec(name: &[u8]) -> Option<&'static Spec> {
    let mut capitals = [0u8; NAME_BYTES_MAX];
    let capitals = capitals.get_mut(..name.len())?;
    capitals.copy_from_slice(name);
    capitals.make_ascii_uppercase();
    lookup(capitals)
}

/// True unless the command surely leaves the data set as it is.
pub(super) fn may_write(command: &Command) -> bool {
    spec(command.name()).is_some_and(|spec| matches!(spec.kind, Kind::Write | Kind::NoScript))
}

/// Checks the name and the number of words.
pub(super) fn resolve(words: &[Blob]) -> Result<&'static Spec, Refused> {
    let spec = spec(&words[0]).ok_or_else(|| unknown(words))?;
    if !spec.is_container() || words.len() == 1 {
        check_arity(spec.arity, words, || spec.name.to_lowercase())?;
        return Ok(spec);
    }
    match SUBCOMMANDS.iter().find(|sub| sub.container == spec.name && is(&words[1], sub.name)) {
        None => {
            let after = format!("'. Try {} HELP.", spec.name);
            Err(Refused::Unknown(error_quoting("ERR unknown subcommand '", &words[1], QUOTED_BYTES_MAX, &after)))
        }
        Some(Subcommand { arity: None, .. }) => Err(Refused::not_modelled(&spec.full_name(words))),
        Some(Subcommand { arity: Some(arity), .. }) => {
            check_arity(*arity, words, || spec.full_name(words))?;
            Ok(spec)
        }
    }
}

fn check_arity(arity: i32, words: &[Blob], name: impl FnOnce() -> String) -> Result<(), Refused> {
    let count = words.len() as i32;
    let wrong = if arity < 0 { count < -arity } else { count != arity };
    if wrong { Err(Refused::Arity(wrong_arity(&name()))) } else { Ok(()) }
}

/// What follows the name of a command that has subcommands.
struct Subcommand {
    container: &'static str,
    name: &'static str,
    /// As in [`Spec`]; `None` if the subcommand is not modelled.
    arity: Option<i32>,
}

const fn sub(container: &'static str, name: &'static str, arity: Option<i32>) -> Subcommand {
    Subcommand { container, name, arity }
}

const SUBCOMMANDS: &[Subcommand] = &[
    sub("CLUSTER", "SLOTS", Some(2)),
    sub("CLUSTER", "MYID", Some(2)),
    sub("CLUSTER", "KEYSLOT", Some(3)),
    sub("CLUSTER", "COUNTKEYSINSLOT", Some(3)),
    sub("CLUSTER", "ADDSLOTS", None),
    sub("CLUSTER", "ADDSLOTSRANGE", None),
    sub("CLUSTER", "BUMPEPOCH", None),
    sub("CLUSTER", "COUNT-FAILURE-REPORTS", None),
    sub("CLUSTER", "DELSLOTS", None),
    sub("CLUSTER", "DELSLOTSRANGE", None),
    sub("CLUSTER", "FAILOVER", None),
    sub("CLUSTER", "FLUSHSLOTS", None),
    sub("CLUSTER", "FORGET", None),
    sub("CLUSTER", "GETKEYSINSLOT", None),
    sub("CLUSTER", "HELP", None),
    sub("CLUSTER", "INFO", None),
    sub("CLUSTER", "LINKS", None),
    sub("CLUSTER", "MEET", None),
    sub("CLUSTER", "NODES", None),
    sub("CLUSTER", "REPLICAS", None),
    sub("CLUSTER", "REPLICATE", None),
    sub("CLUSTER", "RESET", None),
    sub("CLUSTER", "SAVECONFIG", None),
    sub("CLUSTER", "SET-CONFIG-EPOCH", None),
    sub("CLUSTER", "SETSLOT", None),
    sub("CLUSTER", "SHARDS", None),
    sub("CLUSTER", "SLAVES", None),
    sub("PUBSUB", "CHANNELS", Some(-2)),
    sub("PUBSUB", "NUMSUB", Some(-2)),
    sub("PUBSUB", "NUMPAT", Some(2)),
    sub("PUBSUB", "SHARDCHANNELS", None),
    sub("PUBSUB", "SHARDNUMSUB", None),
    sub("PUBSUB", "HELP", None),
    sub("SCRIPT", "LOAD", Some(3)),
    sub("SCRIPT", "EXISTS", Some(-3)),
    sub("SCRIPT", "FLUSH", Some(-2)),
    sub("SCRIPT", "KILL", Some(2)),
    sub("SCRIPT", "DEBUG", None),
    sub("SCRIPT", "HELP", None),
    sub("XGROUP", "CREATE", Some(-5)),
    sub("XGROUP", "SETID", Some(-5)),
    sub("XGROUP", "DESTROY", Some(4)),
    sub("XGROUP", "CREATECONSUMER", Some(5)),
    sub("XGROUP", "DELCONSUMER", Some(5)),
    sub("XGROUP", "HELP", None),
];

/// Commands that redis-server 7.0 has and this one does not, and the two words at which it takes a client for a browser.
#[rustfmt::skip]
const NOT_MODELLED: &[&str] = &[
    "ACL", "ASKING", "AUTH", "BGREWRITEAOF", "BITOP", "BITPOS", "BLMOVE", "BLMPOP",
    "BLPOP", "BRPOP", "BRPOPLPUSH", "BZMPOP", "BZPOPMAX", "BZPOPMIN", "CLIENT", "COMMAND", "CONFIG",
    "DEBUG", "DUMP", "FAILOVER", "FCALL", "FCALL_RO", "FUNCTION", "GEOADD", "GEODIST",
    "GEOHASH", "GEOPOS", "GEORADIUS", "GEORADIUSBYMEMBER", "GEORADIUSBYMEMBER_RO", "GEORADIUS_RO", "GEOSEARCH",
    "GEOSEARCHSTORE", "HELLO", "HINCRBYFLOAT", "HOST:", "HRANDFIELD", "HSCAN", "INCRBYFLOAT", "INFO", "LASTSAVE",
    "LATENCY", "LCS", "LMPOP", "LOLWUT", "MEMORY", "MIGRATE", "MODULE", "MONITOR", "MOVE", "OBJECT", "PFADD",
    "PFCOUNT", "PFDEBUG", "PFMERGE", "PFSELFTEST", "POST", "PSYNC", "QUIT", "REPLCONF",
    "REPLICAOF", "RESET", "RESTORE", "RESTORE-ASKING", "SDIFFSTORE", "SHUTDOWN", "SINTERCARD", "SINTERSTORE",
    "SLAVEOF", "SLOWLOG", "SORT", "SORT_RO", "SPOP", "SPUBLISH", "SRANDMEMBER", "SSCAN", "SSUBSCRIBE", "SUNIONSTORE",
    "SUNSUBSCRIBE", "SWAPDB", "SYNC", "XINFO", "XSETID", "ZDIFF", "ZDIFFSTORE", "ZINTER", "ZINTERCARD", "ZINTERSTORE",
    "ZLEXCOUNT", "ZMPOP", "ZRANDMEMBER", "ZRANGEBYLEX", "ZRANGESTORE", "ZREMRANGEBYLEX", "ZREVRANGEBYLEX", "ZSCAN", "ZUNION",
    "ZUNIONSTORE",
];

fn unknown(words: &[Blob]) -> Refused {
    let name = &words[0];
    if let Some(known) = NOT_MODELLED.iter().find(|known| is(name, known)) {
        return Refused::not_modelled(known);
    }
    let mut quoted = Vec::new();
    for word in &words[1..] {
        // The room is for all quoted arguments together, quotes and spaces included.
        let Some(room) = QUOTED_BYTES_MAX.checked_sub(quoted.len()).filter(|room| *room > 0) else { break };
        quoted.extend_from_slice(&[b"'", c_string(word, room), b"' "].concat());
    }
    let name = c_string(name, QUOTED_BYTES_MAX);
    let text = [b"ERR unknown command '", name, b"', with args beginning with: ", &quoted].concat();
    Refused::Unknown(one_line(&text))
}

/// Runs a command that a client sent. `None`: its replies are in `call.replies`.
pub(super) fn dispatch(call: &mut Call, command: &Command) -> Result<Option<Value>, Failure> {
    let words = command.words();
    let spec = match resolve(words) {
        Ok(spec) => spec,
        Err(refused) => return Ok(Some(multi::refuse(call, &words[0], refused.text()?))),
    };
    if let Some(text) = redirect::refuse(call, spec, words) {
        return Ok(Some(multi::send_elsewhere(call, spec, text)));
    }
    if multi::writes(call, spec)
        && let Some(text) = call.refuse_writes()
    {
        return Ok(Some(multi::refuse(call, &words[0], text.into())));
    }
    if let Some(text) = pubsub::refuse(call, spec, words) {
        return Ok(Some(multi::refuse(call, &words[0], text)));
    }
    if let Some(reply) = multi::queue(call, spec, command)? {
        return Ok(Some(reply));
    }
    let reply = call.execute(spec, words)?;
    Ok((call.replies.is_empty() || matches!(reply, Value::Error(_))).then_some(reply))
}
