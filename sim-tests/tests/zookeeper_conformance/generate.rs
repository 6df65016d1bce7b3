//! Random sequences of ZooKeeper requests by several sessions.

use doublehold_models::zookeeper::wire::{ANY_VERSION, CreateMode, Op, Request};
use doublehold_models::{Blob, ConnId, Request as AnyRequest};
use doublehold_sim_tests::conformance::Step;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

/// What the families are about, by their numbers.
pub(crate) const FAMILIES: [&str; 5] = ["nodes", "sequential", "watches", "multi", "reconnect"];
/// The sessions' clients.
const CLIENTS: u16 = 3;
/// The longest that a session may live without a ping, which these clients do not send.
const TIMEOUT_MS: u32 = 20_000;
/// The model's numbers of sessions count from here.
const FIRST_SESSION: i64 = 1 << 56;
/// Under this node everything happens: the root is not empty on a real server.
pub(crate) const BASE: &str = "/t";

struct Generator {
    random: ChaCha8Rng,
    steps: Vec<Step>,
    /// Each client's session, while it is connected or can go on.
    sessions: [Option<i64>; CLIENTS as usize],
    opened: i64,
    watches: bool,
}

/// A sequence of a family.
pub(crate) fn sequence(family: usize, seed: u64, steps: usize) -> Vec<Step> {
    let random = ChaCha8Rng::seed_from_u64(seed ^ (family as u64) << 32);
    let watches = matches!(FAMILIES[family], "watches" | "reconnect");
    let mut generator = Generator { random, steps: Vec::new(), sessions: [None; CLIENTS as usize], opened: 0, watches };
    (0..CLIENTS).for_each(|client| generator.connect(client));
    generator.send(0, Request::Write(create(BASE.into(), CreateMode::Persistent)));
    while generator.steps.len() < steps {
        generator.step(FAMILIES[family]);
    }
    // The final tree, node by node.
    for path in paths() {
        generator.send(0, Request::GetData { path: path.clone(), watch: false });
        generator.send(0, Request::GetChildren { path, watch: false });
    }
    generator.steps
}

fn paths() -> Vec<Blob> {
    let below = ["", "/a", "/b", "/a/x", "/a/y", "/b/x", "/q", "/q/n-0000000000", "/q/n-0000000001", "/a/x/deep"];
    below.iter().map(|end| Blob::from(format!("{BASE}{end}"))).collect()
}

fn create(path: Blob, mode: CreateMode) -> Op {
    Op::Create { path, data: "data".into(), mode }
}

impl Generator {
    fn below(&mut self, below: usize) -> usize {
        self.random.next_u64() as usize % below
    }

    fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    fn send(&mut self, client: u16, request: Request) {
        self.steps.push(Step::Send(ConnId { client, member: 0, lane: 0 }, AnyRequest::ZooKeeper(request)));
    }

    fn connect(&mut self, client: u16) {
        self.opened += 1;
        self.sessions[usize::from(client)] = Some(FIRST_SESSION + self.opened);
        self.send(client, Request::Connect { session: 0, timeout_ms: TIMEOUT_MS, seen: 0 });
    }

    fn step(&mut self, family: &str) {
        let client = self.below(CLIENTS.into()) as u16;
        if self.sessions[usize::from(client)].is_none() {
            return self.connect(client);
        }
        match family {
            "sequential" if self.chance(8) => {
                self.send(client, Request::CloseSession);
                self.sessions[usize::from(client)] = None;
            }
            "reconnect" if self.chance(15) => self.reconnect(client),
            "multi" if self.chance(60) => {
                let count = 1 + self.below(4);
                let ops = (0..count).map(|_| self.op_or_check()).collect();
                self.send(client, Request::Multi(ops));
            }
            _ if self.chance(55) => {
                let op = self.op(family);
                self.send(client, Request::Write(op));
            }
            _ => {
                let read = self.read();
                self.send(client, read);
            }
        }
    }

    /// The connection breaks, and the client goes on with its session; sometimes with one that has never been.
    fn reconnect(&mut self, client: u16) {
        let conn = ConnId { client, member: 0, lane: 0 };
        let session = self.sessions[usize::from(client)].expect("seen by the caller");
        self.steps.push(Step::Close(conn));
        self.send(client, Request::Connect { session, timeout_ms: TIMEOUT_MS, seen: 0 });
        let mut some = |percent| paths().into_iter().filter(|_| self.chance(percent)).collect::<Vec<Blob>>();
        let (data, exist, child) = (some(20), some(20), some(20));
        // Whatever was seen, the watches on what changed at all fire.
        self.send(client, Request::SetWatches { seen: 0, data, exist, child });
    }

    fn path(&mut self) -> Blob {
        let paths = paths();
        let at = self.below(paths.len());
        match self.below(40) {
            0 => "/nowhere/at/all".into(),
            1 => BASE.into(),
            _ => paths[at].clone(),
        }
    }

    fn version(&mut self) -> i32 {
        match self.below(6) {
            0 => 0,
            1 => 1,
            2 => 7,
            _ => ANY_VERSION,
        }
    }

    /// A check is none alone: the server takes it only within a multi.
    fn op_or_check(&mut self) -> Op {
        if self.chance(15) {
            return Op::Check { path: self.path(), version: self.version() };
        }
        self.op("multi")
    }

    fn op(&mut self, family: &str) -> Op {
        let (path, version) = (self.path(), self.version());
        let mode = match (family, self.below(8)) {
            (_, 0) => CreateMode::Ephemeral,
            ("sequential", 1..4) => CreateMode::EphemeralSequential,
            ("sequential" | "multi", 4) => CreateMode::PersistentSequential,
            (_, 5) => CreateMode::Container,
            _ => CreateMode::Persistent,
        };
        match self.below(10) {
            0..5 if mode.is_sequential() => create(Blob::from(format!("{BASE}/q/n-")), mode),
            0..5 => create(path, mode),
            5..7 => Op::Delete { path, version },
            _ => Op::SetData { path, data: "other".into(), version },
        }
    }

    fn read(&mut self) -> Request {
        let path = self.path();
        let watch = self.watches && self.chance(70);
        match self.below(10) {
            0..3 => Request::Exists { path, watch },
            3..6 => Request::GetData { path, watch },
            6..9 => Request::GetChildren { path, watch },
            _ => Request::Sync { path },
        }
    }
}
