//! What a Redis server offers as a service. A lock's place is its key: a string, a hash whose first field is the
//! holder, or a set of keys, each a hold with the holder for its value.

use super::{Config, Node, Replication, Servers};
use crate::resp::Command;
use crate::{Ask, At, Blob, ConnId, Due, Ends, Holder, Lost, NodeClock, Output, Request, ServiceKind, Step, Steps};

/// Servers that have just started for the first time.
pub(crate) fn start(config: &Config) -> Servers {
    Servers::new(config)
}

impl Config {
    /// How many nodes it has.
    pub fn members(&self) -> u8 {
        match &self.cluster {
            Some(sharding) => sharding.servers(),
            None => self.replication.as_ref().map_or(1, Replication::members),
        }
    }

    /// What a node's name ends with, where there are several.
    pub fn member_name(&self, member: u8) -> String {
        let servers = self.replication.as_ref().map(Replication::servers);
        match servers.and_then(|servers| member.checked_sub(servers)) {
            Some(sentinel) => format!("sentinel-{sentinel}"),
            None => member.to_string(),
        }
    }
}

impl Ask for Command {
    fn name(&self) -> Blob {
        self.name().clone()
    }

    fn mentions(&self, key: &Blob) -> bool {
        self.words().iter().any(|word| word == key)
    }

    fn may_ask_time(&self) -> bool {
        names(self, b"TIME")
    }

    fn tells_time(&self) -> bool {
        names(self, b"TIME") || names(self, b"TTL")
    }
}

/// True if a word of the command, or of the script in it, contains this, whose first letter is a `T`.
fn names(command: &Command, part: &[u8]) -> bool {
    let has = |word: &Blob| {
        let word: &[u8] = word;
        let begins = |(at, byte): (usize, &u8)| {
            byte | 0x20 == b't' && word[at..].get(..part.len()).is_some_and(|found| found.eq_ignore_ascii_case(part))
        };
        word.iter().enumerate().any(begins)
    };
    command.words().iter().any(has)
}

impl ServiceKind for Node {
    fn handle(&mut self, clocks: &[NodeClock], conn: ConnId, request: &Request, out: &mut Vec<Output>) {
        let Request::Redis(command) = request else { panic!("a Redis was asked for {request}") };
        self.serve(clocks[0], conn, command, out);
    }

    fn disconnect(&mut self, _clocks: &[NodeClock], conn: ConnId) {
        self.forget(conn);
    }

    fn keeps(&self, conn: ConnId) -> bool {
        self.has_state_of(conn)
    }

    fn steps(&self, into: &mut Steps) {
        let member = At::Member(0);
        into.extend(self.state.disk.can_be_slow().then_some((member, Step::SlowSync)));
        into.extend(self.state.disk.is_slow().then_some((member, Step::Synced)));
    }

    fn step(&mut self, _clocks: &[NodeClock], _at: At, step: Step, _out: &mut Vec<Output>) {
        match step {
            Step::SlowSync => self.state.disk.slow_down(&self.state.db),
            Step::Synced => self.state.disk.speed_up(),
            step => panic!("a Redis does not do this: {step}"),
        }
    }

    fn numbers_clients(&self) -> bool {
        false
    }

    fn next_timer(&self, clock: NodeClock, _member: u8) -> Option<Due> {
        self.next_change(clock).map(Due::Wall)
    }

    fn wakes_clients(&self) -> bool {
        false
    }

    fn is_due(&self, clock: NodeClock, _member: u8) -> bool {
        self.has_fallen_due(clock)
    }

    fn tick(&mut self, clocks: &[NodeClock], _member: u8, _out: &mut Vec<Output>) {
        self.cycle(clocks[0]);
    }

    fn crash(&mut self, _clocks: &[NodeClock], _member: u8, lost: Lost, _out: &mut Vec<Output>) {
        self.go_down(lost);
    }

    fn restart(&mut self, clocks: &[NodeClock], _member: u8, _out: &mut Vec<Output>) {
        self.load(clocks[0]);
    }

    fn flush(&mut self) {
        self.state.disk.sync();
    }

    fn holder(&self, clocks: &[NodeClock], key: &Blob) -> Option<Holder> {
        let (token, expiry) = self.token(clocks[0], key)?;
        Some(Holder { token, ends: Ends::by_time(expiry.is_some()) })
    }

    fn value(&self, clocks: &[NodeClock], key: &Blob) -> Option<Blob> {
        self.string(clocks[0], key).map(|(value, _)| value)
    }
}
