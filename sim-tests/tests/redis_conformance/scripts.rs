//! Scripts: a table of those that matter, and random ones.

use crate::generate::{Random, blob};
use doublehold_models::Blob;
use doublehold_models::resp::{Command, Value};
use doublehold_models::{ConnId, NodeClock, Request, Response, Service, ServiceConfig, redis};
use std::sync::OnceLock;

/// Conversions both ways, error texts and where they say the error is, globals, protected tables, pcall.
pub(crate) const FIXED: &[&str] = &[
    "return {KEYS, ARGV}",
    "return 3.99",
    "return -3.99",
    "return 2^63",
    "return 0/0",
    "return true",
    "return {1,2,nil,4}",
    "return {1,{2,{3,'x',{true,false}}},'e'}",
    "return {ok='fine'}",
    "return {err='bad thing'}",
    "return {err='\\na\\nb\\r\\n'}",
    "return {err=5}",
    "return {double=1.5}",
    "return setmetatable({1,2}, {__index=function(t,k) return k < 5 and k or nil end})",
    "return redis.call()",
    "return redis.call({})",
    "return redis.call('get')",
    "return redis.pcall('nosuch')",
    "return {redis.pcall('nosuch').err, redis.pcall('get').err}",
    "return redis.call('lpush', 'k1', 'x')",
    "return {redis.pcall('publish', 'c1', 'x'), redis.pcall('set', 'k1', 'v'), redis.pcall('get', 'k2')}",
    "return {redis.pcall('bitfield', 'k1', 'get', 'u8', '0'), redis.pcall('bitfield_ro', 'k1', 'get', 'u8', '0')}",
    "return redis.pcall('eval_ro', 'return 1', '0')",
    "local r = redis.pcall('lpush', 'k1', 'x') return r.err",
    "local r = redis.call('mget', 'k1', 'missing', 'k1') return {type(r[1]), type(r[2]), tostring(r[2])}",
    "return {pcall(redis.call, 'lpush', 'k1', 'a')}",
    "return {pcall(function() error('x') end)}",
    "return {pcall(function() foo = 1 end)}",
    "local ok, e = pcall(redis.call, 'get') error(e)",
    "local ok, e = pcall(redis.call, 'get') return redis.error_reply(e)",
    "return {xpcall(function() return redis.call('get') end, function(e) return e.err end)}",
    "error('x')",
    "error('x', 2)",
    "error(5)",
    "error({err='X y'})",
    "error(redis.error_reply('MY error'))",
    "local function f() return redis.call('get') end local x = f() return x",
    "local a = {} return a.b.c",
    "return KEYS[9] .. 'x'",
    "return 'a' + 1",
    "return {} < 1",
    "return 1/3 .. ''",
    "return redis.call('set', 'k1', unpack({'a','px','1000000'}))",
    "return string.format('%5.2f|%-5s|%q|%x|%g', 3.14159, 'a', 'q\\n', 255, 1e20)",
    "return {string.gsub('hello', 'l', 'L')}",
    "return tostring(1e15)",
    "return tonumber('0x10')",
    "math.randomseed(7) return {math.random(1000), math.random(1000), math.random(5, 10)}",
    "return foo",
    "foo = 1",
    "return _G.KEYS[1]",
    "string.upper = nil",
    "redis.foo = 1",
    "return redis.foo",
    "print('x')",
    "return os",
    "assert(nil, 'message')",
    "assert(redis.pcall('get').ok, 'no')",
    "return redis.sha1hex('abc')",
    "return redis.sha1hex()",
    "return redis.error_reply('-FOO bar')",
    "return redis.error_reply('a\\r\\nb c\\r\\n')",
    "return redis.status_reply('a\\nb')",
    "redis.log(redis.LOG_WARNING, 'y')",
    "return redis.call('echo', 1e17)",
    "return redis.call('echo', 0.1)",
    "return redis.call('incrby', 'k1', 1.5)",
    "return redis.call('multi')",
    "return redis.call('subscribe', 'x')",
    "return redis.call('hgetall', 'k3')",
    "return redis.call('zrange', 'k4', 0, -1, 'withscores')",
    "if redis.call('get', KEYS[1]) == ARGV[1] then return redis.call('del', KEYS[1]) else return 0 end",
    "if redis.call('get', KEYS[1]) == '10' then return redis.call('pexpire', KEYS[1], ARGV[1]) else return 0 end",
    "return (",
    "local x = 'a",
    "return ...",
    "local function deep(n) return deep(n + 1) + 1 end return deep(1)",
    "return redis.pcall('set', 'k1', 'v', 'ex', 'abc')",
    "local t = {\n1,\n2,\nnil + 1}",
    "local function f()\n  error('deep')\nend\nlocal function g()\n  f()\nend\ng()",
    "local function f()\n return error('x', 2)\nend\nlocal y = f()",
];

/// What a random script calls; `$` is filled in.
const CALLS: &str = "'get',$/'set',$,$/'incr',$/'hget',$,$/'hset',$,$,$/'hgetall',$/'lpush',$,$/'lrange',$,0,-1/'sadd',$,$/'scard',$/\
    'zadd',$,$,$/'zscore',$,$/'zrange',$,0,-1,'withscores'/'del',$/'exists',$,$/'type',$/'set',$,$,'nx'/'set',$,$,'get'/\
    'pexpire',$,100000/'persist',$/'incrby',$,$/'append',$,$/'strlen',$/'mget',$,$/'ping'/'echo',$/'nosuch',$/'get'/\
    'subscribe','c'/'publish','c',$/'getset',$,$/'llen',$/'rpop',$/'hmget',$,'a','b'/'multi'/$,$/'zincrby',$,$,$/\
    'setbit',$,$,1/'lindex',$,$/'eval','return 1',0/'script','flush'/'flushall'/'rename',$,$";
/// Expressions without parts, between semicolons.
const ATOMS: &str = "KEYS[1];KEYS[2];ARGV[1];ARGV[2];1;-3;2.7;'a';'b';nil;true;false;{};tonumber(ARGV[1]);#KEYS;#ARGV;v;w;v;\
    1e15;2^53;10/3;'5';{1,2,nil,4};{'a',{1,{2}}};{ok='fine'};{err='bad thing'};{1,'x',true,false};math.floor(2.5);\
    tostring(1.5);0/0;1/0;-0;3.99";
const FUNCTIONS: &str = "tonumber/type/#/not /math.floor/-/string.len/string.upper/math.abs/table.concat/select('#', /redis.error_reply/\
    redis.status_reply/tostring(1) .. ";

/// A script of the table.
pub(crate) fn fixed(random: &mut Random) -> &'static str {
    FIXED[random.below(FIXED.len())]
}

/// The hash of a script of the table, or something like it.
pub(crate) fn sha(random: &mut Random) -> Blob {
    static SHAS: OnceLock<Vec<Blob>> = OnceLock::new();
    let shas = SHAS.get_or_init(|| FIXED.iter().filter_map(|script| sha_of(script)).collect());
    let known = &shas[random.below(shas.len())];
    match random.below(20) {
        0 => "abc".into(),
        1 => "ffffffffffffffffffffffffffffffffffffffff".into(),
        2 => blob(known.to_ascii_uppercase()),
        _ => known.clone(),
    }
}

/// The hash that the model gives a script; SCRIPT LOAD compares it with the real one.
fn sha_of(script: &str) -> Option<Blob> {
    let mut out = Vec::new();
    let load = Request::Redis(Command::from_words(["SCRIPT".into(), "LOAD".into(), blob(script)]));
    let clock = NodeClock { wall_us: 0, mono_us: 0 };
    Service::new(&ServiceConfig::Redis(redis::Config::default())).handle(
        &[clock],
        ConnId { client: 0, member: 0, lane: 0 },
        &load,
        &mut out,
    );
    match out.first()?.response()? {
        Response::Redis(Value::Bulk(sha)) => Some(sha.clone()),
        _ => None,
    }
}

fn atom(random: &mut Random) -> &'static str {
    let at = random.below(ATOMS.split(';').count());
    ATOMS.split(';').nth(at).expect("there are that many atoms")
}

fn call(random: &mut Random) -> String {
    let function = random.part("redis.call/redis.call/redis.pcall");
    let mut text = format!("{function}(");
    let mut holes = 0;
    for char in random.part(CALLS).chars() {
        match char {
            '$' if holes == 0 && random.chance(85) => text += random.part("KEYS[1]/KEYS[2]/KEYS[1]"),
            '$' if random.chance(80) => text += random.part("ARGV[1]/ARGV[2]/'a'/'b'/1/2/2.5/v"),
            '$' => text += atom(random),
            other => text.push(other),
        }
        holes += usize::from(char == '$');
    }
    text + ")"
}

fn expression(random: &mut Random, depth: usize) -> String {
    let Some(depth) = depth.checked_sub(1) else { return atom(random).to_owned() };
    let inner = |random: &mut Random| expression(random, depth);
    match random.below(16) {
        0..=5 => call(random),
        6 => atom(random).to_owned(),
        7 => format!("{{{}, {}}}", inner(random), inner(random)),
        8 => format!("({} {} {})", inner(random), random.part("or/and"), inner(random)),
        9 | 10 => format!("({} {} {})", inner(random), random.part("+/-/*/%/../==/</<=/~="), inner(random)),
        11 | 12 => match random.part(FUNCTIONS) {
            open if open.ends_with(' ') && open.contains(',') => format!("{open}{})", inner(random)),
            function => format!("{function}({})", inner(random)),
        },
        13 => format!("({})[{}]", inner(random), random.part("1/2/'ok'/'err'/v")),
        14 => format!("{{pcall(function() return {} end)}}", inner(random)),
        _ => format!("string.format({}, {})", random.part("'%d'/'%s'/'%.3f'/'%5.1f|%q'"), inner(random)),
    }
}

fn statement(random: &mut Random) -> String {
    match random.below(8) {
        0..=2 => format!("v = {}", expression(random, 2)),
        3 => format!("w = {}", expression(random, 2)),
        4 => format!(
            "if {} then v = {} else return {} end",
            expression(random, 1),
            expression(random, 2),
            expression(random, 2)
        ),
        5 => format!("for i = 1, 3 do w = {} end", expression(random, 1)),
        6 => format!("local function f(x) return {} end; v = f(w)", expression(random, 2).replace("ARGV[1]", "x")),
        _ => call(random),
    }
}

/// A random script: two variables, some statements, an end.
pub(crate) fn generated(random: &mut Random) -> String {
    let between = if random.chance(50) { "\n" } else { " " };
    let mut parts =
        vec![format!("local v = {}", expression(random, 2)), format!("local w = {}", expression(random, 1))];
    (0..random.below(4)).for_each(|_| parts.push(statement(random)));
    parts.push(match random.below(14) {
        0 => format!("error({})", random.part("'boom'/5/{err='X y'}/'boom', 2/redis.pcall('get')")),
        1 => format!("glob = {}", atom(random)),
        2 => format!("return undefinedvar + {}", atom(random)),
        3 => "return".to_owned(),
        4 => format!("return assert({}, 'asserted')", expression(random, 1)),
        _ => format!("return {}", expression(random, 3)),
    });
    parts.join(between)
}
