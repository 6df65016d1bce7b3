//! A group of servers, real or simulated, that goes through the same course of events.

use super::show;
use super::wire::Connection;
use doublehold_models::resp::{Command, Value};
use doublehold_models::{ConnId, Lost, NodeClock, Output, Request, Response, Service, ServiceConfig, Steps, redis};
use std::time::{Duration, Instant};

/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// Servers, real or simulated.
pub(crate) trait Group {
    /// Asks over a connection of its own. Servers have the names that they have in the model.
    fn ask(&mut self, member: u8, command: &Command) -> Value;
    fn kill(&mut self, member: u8);
    fn restart(&mut self, member: u8);
    /// Lets time pass until a member answers so.
    fn wait_until(&mut self, member: u8, command: &Command, is: &dyn Fn(&Value) -> bool);
    /// What the subscriber has been told next.
    fn told(&mut self) -> Value;
}

/// Asks over a connection of its own.
pub(crate) fn tell(port: u16, command: &Command) -> Value {
    let mut connection = Connection::open(port);
    connection.send(command);
    let reply = connection.receive().expect("a server that runs replies");
    connection.close();
    reply
}

pub(crate) fn shows(value: &Value, text: &str) -> bool {
    show(value).contains(text)
}

pub(crate) fn wait(mut done: impl FnMut() -> bool) {
    let started = Instant::now();
    while !done() {
        assert!(started.elapsed() < PATIENCE, "it takes too long");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Asks a real server over a connection of its own, WAIT behind a read: it is about what was written before the
/// connection's last command.
pub(crate) fn try_to_ask(port: u16, command: &Command) -> Option<Value> {
    let mut connection = Connection::open(port);
    if command.name().to_text() == "WAIT" {
        connection.send(&Command::new("GET").arg("a"));
        connection.receive()?;
    }
    connection.send(command);
    let reply = connection.receive()?;
    connection.close();
    Some(reply)
}

/// A reply in which the offsets of roles are left out: the model counts the bytes of commands as clients send them.
pub(crate) fn without_offsets(value: &Value) -> Value {
    match value {
        Value::Array(parts) => match &parts[..] {
            [role @ Value::Bulk(name), Value::Int(_), Value::Array(replicas)] if name.as_bytes() == b"master" => {
                Value::Array(vec![role.clone(), Value::Int(replicas.len() as i64)])
            }
            [role @ Value::Bulk(name), _, _, state, Value::Int(_)] if name.as_bytes() == b"slave" => {
                Value::Array(vec![role.clone(), state.clone()])
            }
            _ => Value::Array(parts.iter().map(without_offsets).collect()),
        },
        other => other.clone(),
    }
}

/// The model of the servers. Everything that they can do by themselves they do, while an answer is waited for.
pub(crate) struct Simulated {
    model: Service,
    members: u8,
    subscriber: ConnId,
    now_us: u64,
    told: Vec<Value>,
}

impl Simulated {
    /// With a client that listens to a channel of a member.
    pub(crate) fn start(config: redis::Config, member: u8, channel: &'static str) -> Self {
        let subscriber = ConnId { client: 9, member, lane: 0 };
        let (members, model) = (config.members(), Service::new(&ServiceConfig::Redis(config)));
        let mut group = Simulated { model, members, subscriber, now_us: 0, told: Vec::new() };
        group.send(subscriber, &Command::new("SUBSCRIBE").arg(channel));
        group.told.clear();
        group
    }

    fn clocks(&self) -> Vec<NodeClock> {
        vec![NodeClock { wall_us: self.now_us as i64, mono_us: self.now_us }; usize::from(self.members)]
    }

    fn take(&mut self, out: Vec<Output>, conn: ConnId) -> Option<Value> {
        let mut reply = None;
        for output in out {
            match output.response() {
                Some(Response::Redis(value)) if output.conn == self.subscriber => self.told.push(value.clone()),
                Some(Response::Redis(value)) if output.conn == conn => reply = Some(value.clone()),
                _ => {}
            }
        }
        reply
    }

    fn send(&mut self, conn: ConnId, command: &Command) -> Option<Value> {
        let mut out = Vec::new();
        let clocks = self.clocks();
        self.model.handle(&clocks, conn, &Request::Redis(command.clone()), &mut out);
        assert!(!out.iter().any(|one| one.as_not_modelled().is_some()), "{command}: {out:?}");
        self.take(out, conn)
    }

    /// Everything that can happen by itself does, and then a moment passes.
    fn go_on(&mut self, conn: ConnId) -> Option<Value> {
        let mut reply = None;
        loop {
            let mut steps = Steps::new();
            self.model.steps(&mut steps);
            let Some((at, step)) = steps.into_iter().find(|(_, step)| step.is_of_group()) else { break };
            let mut out = Vec::new();
            let clocks = self.clocks();
            self.model.step(&clocks, at, step, &mut out);
            reply = reply.or(self.take(out, conn));
        }
        self.now_us += 10_000;
        for member in 0..self.members {
            let mut out = Vec::new();
            if self.model.is_due(self.clocks()[0], member) {
                let clocks = self.clocks();
                self.model.tick(&clocks, member, &mut out);
            }
            reply = reply.or(self.take(out, conn));
        }
        reply
    }
}

impl Group for Simulated {
    fn ask(&mut self, member: u8, command: &Command) -> Value {
        let conn = ConnId { client: 0, member, lane: 0 };
        if command.name().to_text() == "WAIT" {
            self.send(conn, &Command::new("GET").arg("a"));
        }
        let mut reply = self.send(conn, command);
        while reply.is_none() {
            reply = self.go_on(conn);
        }
        let clocks = self.clocks();
        self.model.disconnect(&clocks, conn);
        reply.expect("just found")
    }

    fn kill(&mut self, member: u8) {
        let mut out = Vec::new();
        let clocks = self.clocks();
        self.model.crash(&clocks, member, Lost::Process, &mut out);
    }

    fn restart(&mut self, member: u8) {
        let mut out = Vec::new();
        let clocks = self.clocks();
        self.model.restart(&clocks, member, &mut out);
    }

    fn wait_until(&mut self, member: u8, command: &Command, is: &dyn Fn(&Value) -> bool) {
        for _ in 0..10_000 {
            if is(&self.ask(member, command)) {
                return;
            }
            self.go_on(self.subscriber);
        }
        panic!("member {member} never answers {command} as it should");
    }

    fn told(&mut self) -> Value {
        self.told.remove(0)
    }
}
