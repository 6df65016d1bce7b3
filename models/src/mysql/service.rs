//! What a MySQL server offers as a service. A lock's place is a name: of a user lock, or of a row in the lock table.

use super::server::Server;
use super::{Config, wire};
use crate::{Ask, At, Blob, ConnId, Due, Ends, Holder, Lost, NodeClock, Output, Request, ServiceKind, Step, Steps};

/// A server that has just started for the first time.
pub(crate) fn start(config: &Config) -> Server {
    Server::new(config.clone())
}

impl Config {
    /// How many nodes it has.
    pub fn members(&self) -> u8 {
        1
    }
}

impl Ask for wire::Request {
    fn name(&self) -> Blob {
        self.name()
    }

    /// As a parameter, or as a word of the statement's own text.
    fn mentions(&self, key: &Blob) -> bool {
        let word = |byte: &u8| !byte.is_ascii_alphanumeric() && *byte != b'_';
        let is_param = |value: &wire::Value| matches!(value, wire::Value::Text(text) if text == key);
        self.params.iter().any(is_param) || self.sql.split(word).any(|part| part == key.as_bytes())
    }

    fn may_ask_time(&self) -> bool {
        true
    }
}

impl ServiceKind for Server {
    fn handle(&mut self, clocks: &[NodeClock], conn: ConnId, request: &Request, out: &mut Vec<Output>) {
        let Request::MySql(request) = request else { panic!("a MySQL was asked for {request}") };
        self.serve(clocks[0], conn, request, out);
    }

    fn disconnect(&mut self, clocks: &[NodeClock], conn: ConnId) {
        self.forget(clocks[0], conn);
    }

    fn keeps(&self, conn: ConnId) -> bool {
        self.has_session_on(conn)
    }

    fn is_waiting(&self, conn: ConnId) -> bool {
        self.has_waiting_on(conn)
    }

    fn steps(&self, into: &mut Steps) {
        let member = At::Member(0);
        into.extend(self.granted().map(|conn| (At::Conn(conn), Step::Grant)));
        into.extend(Step::of_lag(self.is_behind(), self.can_lag()).map(|step| (member, step)));
        into.extend(self.can_flush_slowly().then_some((member, Step::SlowSync)));
        into.extend(self.flushes_slowly().then_some((member, Step::Synced)));
    }

    fn step(&mut self, clocks: &[NodeClock], at: At, step: Step, out: &mut Vec<Output>) {
        match (at, step) {
            (At::Conn(conn), Step::Grant) => self.go_on(clocks[0], conn, out),
            (_, Step::Lag) => self.lag(),
            (_, Step::CatchUp) => self.catch_up(),
            (_, Step::SlowSync) => self.flush_slowly(true),
            (_, Step::Synced) => self.flush_slowly(false),
            (at, step) => panic!("{at:?}: a MySQL does not do this: {step}"),
        }
    }

    fn next_timer(&self, _clock: NodeClock, _member: u8) -> Option<Due> {
        self.next_due()
    }

    fn is_due(&self, clock: NodeClock, _member: u8) -> bool {
        self.has_fallen_due(clock)
    }

    fn tick(&mut self, clocks: &[NodeClock], _member: u8, out: &mut Vec<Output>) {
        self.end_what_is_over(clocks[0], out);
    }

    fn crash(&mut self, _clocks: &[NodeClock], _member: u8, lost: Lost, _out: &mut Vec<Output>) {
        self.go_down(lost);
    }

    fn restart(&mut self, _clocks: &[NodeClock], _member: u8, _out: &mut Vec<Output>) {
        self.come_up();
    }

    fn flush(&mut self) {
        self.flush_all();
    }

    /// A user lock's token is the name of its session's client; a row's is its owner.
    fn holder(&self, clocks: &[NodeClock], name: &Blob) -> Option<Holder> {
        if let Some(owner) = self.user_lock_owner(name) {
            let token = Blob::from(format!("client-{}", owner.client));
            return Some(Holder { token, ends: Ends::WithConnection(owner) });
        }
        let (token, expires) = self.lock_row(clocks[0], name)?;
        Some(Holder { token, ends: Ends::by_time(expires) })
    }

    fn value(&self, _clocks: &[NodeClock], table: &Blob) -> Option<Blob> {
        self.committed_text(table)
    }
}
