//! Draws programs: the same seed gives the same program.

use super::ast::{Ask, Cond, End, Fault, Fence, Op, Program, Server, Tell, Time, Val};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

/// A stream of choices.
pub struct Draw(ChaCha8Rng);

impl Draw {
    /// The stream with this seed.
    pub fn new(seed: u64) -> Draw {
        Draw(ChaCha8Rng::seed_from_u64(seed))
    }

    /// A number below `below`.
    pub fn below(&mut self, below: usize) -> usize {
        (self.0.next_u64() % below as u64) as usize
    }

    /// True once in `n` times.
    pub fn once_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    /// One of these.
    pub fn of<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }
}

/// The properties that verdicts are compared by.
const PROPERTIES: [&str; 5] = ["belief", "belief", "fencing-order", "effect", "deadlock"];
const FAULTS: [Fault; 16] = [
    // A pause has a length, and so counts for more.
    Fault::Pause,
    Fault::Pause,
    Fault::Break,
    Fault::Stall,
    Fault::Delay,
    Fault::Pause,
    Fault::ClientCrash,
    Fault::NodeCrash,
    Fault::ClockStep,
    Fault::ClientClockStep,
    Fault::Lag,
    Fault::SessionExpiry,
    Fault::NodePause,
    Fault::ClientPowerLoss,
    Fault::NodePowerLoss,
    Fault::Partition,
];

/// The program with this seed.
pub fn program(seed: u64) -> Program {
    let draw = &mut Draw::new(seed);
    let servers = servers(draw);
    let clients = if draw.once_in(8) { 3 } else { 2 };
    let code = match draw.below(4) {
        0 | 1 => vec![code(draw, &servers)],
        2 => (0..clients).map(|_| code(draw, &servers)).collect(),
        // All alike but for one step.
        _ => {
            let mut all = vec![code(draw, &servers); clients];
            let (client, at) = (draw.below(clients), draw.below(all[0].len()));
            all[client][at] = op(draw, &servers, 0);
            all
        }
    };
    let faults = faults(draw, &servers);
    Program {
        clients,
        code,
        end: if draw.once_in(2) { End::Writes } else { End::Waits },
        any_time: draw.once_in(3),
        time: time(draw, &faults),
        faults,
        property: draw.of(&PROPERTIES),
        servers,
    }
}

fn servers(draw: &mut Draw) -> Vec<Server> {
    let server = |draw: &mut Draw| match draw.below(12) {
        0..5 => Server::Redis { durable: draw.once_in(2) },
        5..7 => Server::ZooKeeper(draw.of(&[1, 1, 3])),
        7..9 => Server::Etcd(draw.of(&[1, 1, 3])),
        _ => Server::MySql,
    };
    let count = draw.of(&[1, 1, 1, 2, 2, 3]);
    (0..count).map(|_| server(draw)).collect()
}

fn faults(draw: &mut Draw, servers: &[Server]) -> Vec<Fault> {
    let count = draw.of(&[0, 0, 1, 1, 1, 2]);
    let mut faults = Vec::new();
    for _ in 0..count {
        let fault = draw.of(&FAULTS);
        let can = match fault {
            Fault::Lag => servers.iter().any(|server| server.members() > 1),
            Fault::SessionExpiry => servers.iter().any(|server| matches!(server, Server::ZooKeeper(_))),
            Fault::NodePause => servers.iter().any(|server| server.members() == 1),
            _ => true,
        };
        if can && !faults.contains(&fault) {
            faults.push(fault);
        }
    }
    faults
}

fn time(draw: &mut Draw, faults: &[Fault]) -> Time {
    let skewed = draw.once_in(4);
    let steps = faults.contains(&Fault::ClockStep) || faults.contains(&Fault::ClientClockStep);
    Time {
        delay_ms: draw.of(&[Some(0), Some(0), Some(0), Some(2), None]),
        pause_ms: draw.of(&[Some(4), None]),
        drift_ppm: if skewed && draw.once_in(2) { 100_000 } else { 0 },
        offset_ms: if skewed && draw.once_in(2) { 3 } else { 0 },
        step_ms: if steps { draw.of(&[-4, 4]) } else { 0 },
    }
}

fn code(draw: &mut Draw, servers: &[Server]) -> Vec<Op> {
    let count = draw.of(&[2, 2, 2, 3, 3, 3, 4, 4, 5, 6]);
    if !draw.once_in(3) {
        return (0..count).map(|_| op(draw, servers, 0)).collect();
    }
    // What locks are made of, with steps before, between and behind.
    let server = draw.below(servers.len());
    let mut code = idiom(draw, server, servers[server]);
    for _ in 0..draw.of(&[0, 0, 1, 2]) {
        let at = draw.below(code.len() + 1);
        code.insert(at, op(draw, servers, 0));
    }
    if draw.once_in(4) {
        code.remove(draw.below(code.len()));
    }
    code
}

/// A client that takes a lock, holds it for a while and gives it back; or another thing that is done in steps.
fn idiom(draw: &mut Draw, server: usize, kind: Server) -> Vec<Op> {
    let ask = |ask| Op::Ask(server, ask, None);
    let acquired = |valid_ms, fence| Op::Tell(Tell::Acquired { valid_ms, fence });
    let (key, ms) = (draw.below(2) as u8, draw.of(&[1, 3, 5]));
    let fence = draw.of(&[Fence::Absent, Fence::Last, Fence::Wall]);
    if draw.once_in(4) {
        // As a clock that ticks.
        let ask = |draw: &mut Draw| Op::Ask(server, simple_or_any(draw, kind), None);
        let sleep = |draw: &mut Draw| Op::Sleep(draw.of(&[1, 2, 3, 4]));
        return vec![sleep(draw), ask(draw), sleep(draw), ask(draw)];
    }
    let hold = |mut before: Vec<Op>, release: Ask| {
        before.extend([Op::Sleep(ms), Op::Tell(Tell::Releasing), ask(release)]);
        before
    };
    match kind {
        Server::Redis { .. } => match draw.below(7) {
            0 => {
                let ttl = draw.of(&[2, 4]);
                let inner = hold(vec![acquired(Some(ttl), fence)], Ask::CompareDel(key, Val::Own));
                vec![ask(Ask::SetNxPx(key, Val::Own, ttl)), Op::If(Cond::IsOk, inner)]
            }
            1 => {
                let inner = hold(vec![acquired(None, fence), ask(Ask::Incr)], Ask::CompareDel(key, Val::Own));
                vec![ask(Ask::SetNx(key, Val::Own)), Op::If(Cond::IsOk, inner)]
            }
            2 => {
                let inner = hold(vec![acquired(None, Fence::Absent)], Ask::Del(key));
                vec![ask(Ask::Zadd(Val::Own)), ask(Ask::Zrank(Val::Own)), Op::If(Cond::Nothing, inner)]
            }
            3 => {
                let inner = hold(vec![acquired(None, Fence::Absent)], Ask::CompareDel(key, Val::Own));
                vec![ask(Ask::SetUnlessSmaller(key, Val::Own)), Op::If(Cond::IsOk, inner)]
            }
            4 => {
                let steps = [Ask::Watch(key), Ask::Get(key), Ask::Multi, Ask::Set(key, Val::Own), Ask::Exec];
                let mut code: Vec<Op> = steps.into_iter().map(ask).collect();
                code.insert(2, Op::Sleep(ms));
                code
            }
            5 => vec![ask(Ask::Publish(Val::Own)), ask(Ask::Subscribe), ask(Ask::Unsubscribe), Op::Sleep(ms)],
            _ => vec![ask(Ask::Subscribe), ask(Ask::Get(key)), ask(Ask::Message)],
        },
        Server::ZooKeeper(_) => {
            let own = Ask::Create { path: 0, ephemeral: true, sequential: draw.once_in(2) };
            match draw.below(2) {
                0 => hold(vec![ask(own), Op::If(Cond::Done, vec![acquired(None, fence)])], Ask::DeleteOwn),
                _ => vec![ask(own), ask(Ask::WatchChildren), ask(Ask::Fired), ask(Ask::Children)],
            }
        }
        Server::Etcd(_) => match draw.below(2) {
            0 => {
                let inner = hold(vec![acquired(None, fence)], Ask::DeleteKey(key));
                vec![ask(Ask::PutIfAbsent(key, Val::Own)), Op::If(Cond::IsOk, inner)]
            }
            _ => vec![ask(Ask::Grant), ask(Ask::PutLeased(key, Val::Own)), ask(Ask::Range(key)), ask(Ask::Revoke)],
        },
        Server::MySql => match draw.below(3) {
            0 => {
                let inner = hold(vec![acquired(None, fence)], Ask::ReleaseLock);
                vec![ask(Ask::GetLock), Op::If(Cond::IsOk, inner)]
            }
            1 => vec![ask(Ask::TryLock), ask(Ask::DropSession), Op::Sleep(ms)],
            _ => [Ask::Begin, Ask::SelectForUpdate(key), Ask::Add(key), Ask::Commit].into_iter().map(ask).collect(),
        },
    }
}

fn op(draw: &mut Draw, servers: &[Server], depth: usize) -> Op {
    let server = draw.below(servers.len());
    match draw.below(if depth < 2 { 20 } else { 16 }) {
        0 => Op::Sleep(draw.of(&[1, 2, 3, 6])),
        1..4 => Op::Tell(tell(draw)),
        4 => match servers[server] {
            Server::Redis { .. } | Server::Etcd(_) => {
                let (first, second) = (simple(draw, servers[server]), simple(draw, servers[server]));
                Op::Pipeline(server, first, second)
            }
            _ => Op::Ask(server, ask(draw, servers[server]), None),
        },
        5 => Op::Send(server, simple(draw, servers[server])),
        6 => {
            let ask = ask(draw, servers[server]);
            Op::Ask(server, ask, Some(draw.of(&[1, 2, 3])))
        }
        7 if draw.once_in(6) => Op::Stop,
        7..16 => Op::Ask(server, ask(draw, servers[server]), None),
        16 if draw.once_in(2) => Op::Spawn(inner(draw, servers, depth)),
        16 => Op::Round(round(draw, servers)),
        _ => {
            let cond = cond(draw);
            Op::If(cond, inner(draw, servers, depth))
        }
    }
}

fn inner(draw: &mut Draw, servers: &[Server], depth: usize) -> Vec<Op> {
    let count = draw.of(&[1, 1, 2]);
    (0..count).map(|_| op(draw, servers, depth + 1)).collect()
}

/// What may be done in a round: it leaves no connection of its own behind.
fn round(draw: &mut Draw, servers: &[Server]) -> Vec<Op> {
    let plain = |at: &usize| matches!(servers[*at], Server::Redis { .. } | Server::Etcd(_));
    let plain: Vec<usize> = (0..servers.len()).filter(plain).collect();
    let count = draw.of(&[1, 2, 2]);
    let op = |draw: &mut Draw| match draw.below(4) {
        0 => Op::Sleep(draw.of(&[1, 2])),
        _ if plain.is_empty() => Op::Sleep(1),
        1 => {
            let (server, cond) = (draw.of(&plain), cond(draw));
            Op::If(cond, vec![Op::Ask(server, simple(draw, servers[server]), None)])
        }
        _ => {
            let server = draw.of(&plain);
            Op::Ask(server, simple(draw, servers[server]), draw.of(&[None, None, Some(2)]))
        }
    };
    (0..count).map(|_| op(draw)).collect()
}

fn cond(draw: &mut Draw) -> Cond {
    let ms = draw.of(&[1, 2, 3, 4]);
    match draw.below(10) {
        0 | 1 => Cond::Nothing,
        2 => Cond::Mine,
        3 => Cond::SmallerThanMine,
        4 => Cond::Done,
        5 => Cond::Indeterminate,
        6 => Cond::Elapsed(ms),
        7 => Cond::WallElapsed(ms),
        8 => Cond::WallPast(ms),
        _ => Cond::IsOk,
    }
}

fn tell(draw: &mut Draw) -> Tell {
    match draw.below(8) {
        0..3 => Tell::Acquired {
            valid_ms: draw.of(&[None, None, Some(2), Some(4)]),
            fence: draw.of(&[Fence::Absent, Fence::Last, Fence::Wall]),
        },
        3..5 => Tell::Releasing,
        5 => Tell::Acquiring,
        6 => Tell::Wrote,
        _ => Tell::Sold,
    }
}

/// A request that is answered at once, and that can be sent beside another.
fn simple(draw: &mut Draw, server: Server) -> Ask {
    loop {
        let ask = ask(draw, server);
        let keeps = matches!(ask, Ask::Subscribe | Ask::Unsubscribe | Ask::Message | Ask::Fired | Ask::CloseSession)
            || matches!(ask, Ask::WatchPath(_) | Ask::WatchChildren | Ask::WatchKey(_) | Ask::Event | Ask::DropSession)
            || matches!(ask, Ask::Grant | Ask::Revoke | Ask::PutLeased(..) | Ask::DeleteOwn);
        if !keeps {
            return ask;
        }
    }
}

fn simple_or_any(draw: &mut Draw, server: Server) -> Ask {
    match server {
        Server::Redis { .. } => {
            draw.of(&[Ask::Set(0, Val::Own), Ask::Get(0), Ask::Get(0), Ask::SetNxPx(0, Val::Own, 2)])
        }
        server => simple(draw, server),
    }
}

fn ask(draw: &mut Draw, server: Server) -> Ask {
    let key = draw.below(2) as u8;
    let val = draw.of(&[Val::Own, Val::Own, Val::Const, Val::Last]);
    let ms = draw.of(&[2, 4, 6]);
    match server {
        Server::Redis { .. } => ask_redis(draw, key, val, ms),
        Server::ZooKeeper(_) => ask_zookeeper(draw, key),
        Server::Etcd(_) => ask_etcd(draw, key, val),
        Server::MySql => ask_mysql(draw, key, val),
    }
}

fn ask_redis(draw: &mut Draw, key: u8, val: Val, ms: u64) -> Ask {
    draw.of(&[
        Ask::Set(key, val),
        Ask::Set(key, val),
        Ask::SetNx(key, val),
        Ask::SetNx(key, val),
        Ask::SetNxPx(key, val, ms),
        Ask::SetNxPx(key, val, ms),
        Ask::Get(key),
        Ask::Get(key),
        Ask::Get(key),
        Ask::Del(key),
        Ask::Incr,
        Ask::Exists(key),
        Ask::Pttl(key),
        Ask::Pexpire(key, ms),
        Ask::Zadd(val),
        Ask::Zadd(val),
        Ask::Zrank(val),
        Ask::Zrange,
        Ask::Lpush(val),
        Ask::Lrange,
        Ask::CompareDel(key, val),
        Ask::SetUnlessSmaller(key, val),
        Ask::Watch(key),
        Ask::Watch(key),
        Ask::Multi,
        Ask::Multi,
        Ask::Exec,
        Ask::Exec,
        Ask::Discard,
        Ask::Publish(val),
        Ask::Subscribe,
        Ask::Unsubscribe,
        Ask::Message,
    ])
}

fn ask_zookeeper(draw: &mut Draw, key: u8) -> Ask {
    let (ephemeral, sequential) = (!draw.once_in(3), draw.once_in(2));
    draw.of(&[
        Ask::Create { path: key, ephemeral, sequential },
        Ask::Create { path: key, ephemeral, sequential },
        Ask::Delete(key),
        Ask::DeleteOwn,
        Ask::PathExists(key),
        Ask::Children,
        Ask::WatchPath(key),
        Ask::WatchChildren,
        Ask::Fired,
        Ask::CloseSession,
    ])
}

fn ask_etcd(draw: &mut Draw, key: u8, val: Val) -> Ask {
    draw.of(&[
        Ask::Put(key, val),
        Ask::PutLeased(key, val),
        Ask::Range(key),
        Ask::Range(key),
        Ask::PutIfAbsent(key, val),
        Ask::PutIfAbsent(key, val),
        Ask::DeleteKey(key),
        Ask::Grant,
        Ask::Revoke,
        Ask::WatchKey(key),
        Ask::Event,
    ])
}

fn ask_mysql(draw: &mut Draw, key: u8, val: Val) -> Ask {
    draw.of(&[
        Ask::Begin,
        Ask::Begin,
        Ask::Commit,
        Ask::Rollback,
        Ask::Select(key),
        Ask::SelectForUpdate(key),
        Ask::Add(key),
        Ask::Add(key),
        Ask::Insert(val),
        Ask::GetLock,
        Ask::TryLock,
        Ask::TryLock,
        Ask::ReleaseLock,
        Ask::DropSession,
    ])
}
