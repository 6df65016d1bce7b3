//! A group of simulated Redis nodes, asked as clients ask.

use doublehold_models::redis::Config;
use doublehold_models::resp::{Command, Value};
use doublehold_models::{
    At, Blob, ConnId, Lost, NodeClock, Output, Request, Response, Service, ServiceConfig, Step, Steps,
};

/// Nodes that run together, and a clock that they share.
pub(crate) struct Group {
    pub(crate) service: Service,
    members: u8,
    pub(crate) now_us: u64,
    /// What the last step, or the last time that passed, sent.
    pub(crate) out: Vec<Output>,
}

impl Group {
    pub(crate) fn of(config: Config) -> Self {
        let members = config.members();
        Group { service: Service::new(&ServiceConfig::Redis(config)), members, now_us: 0, out: Vec::new() }
    }

    pub(crate) fn clocks(&self) -> Vec<NodeClock> {
        vec![NodeClock { wall_us: self.now_us as i64, mono_us: self.now_us }; usize::from(self.members)]
    }

    pub(crate) fn send(&mut self, member: u8, lane: u8, line: &str) -> Option<Value> {
        let (clocks, conn) = (self.clocks(), ConnId { client: 0, member, lane });
        let command = Command::from_words(line.split(' ').map(|word| Blob::copy_from(word.as_bytes())));
        self.out.clear();
        self.service.handle(&clocks, conn, &Request::Redis(command), &mut self.out);
        self.out.iter().find_map(|output| match output.as_reply() {
            Some(Response::Redis(value)) => Some(value.clone()),
            _ => None,
        })
    }

    pub(crate) fn ask(&mut self, member: u8, line: &str) -> Value {
        self.send(member, 0, line).unwrap_or_else(|| panic!("{line} is not answered at once"))
    }

    pub(crate) fn offers(&self, member: u8, step: Step) -> bool {
        let mut steps = Steps::new();
        self.service.steps(&mut steps);
        steps.contains(&(At::Member(member), step))
    }

    pub(crate) fn take(&mut self, member: u8, step: Step) {
        assert!(self.offers(member, step), "member {member}: {step}");
        let clocks = self.clocks();
        self.out.clear();
        self.service.step(&clocks, At::Member(member), step, &mut self.out);
    }

    pub(crate) fn crash(&mut self, member: u8) {
        let clocks = self.clocks();
        self.service.crash(&clocks, member, Lost::Process, &mut Vec::new());
    }

    pub(crate) fn restart(&mut self, member: u8) {
        let clocks = self.clocks();
        self.service.restart(&clocks, member, &mut Vec::new());
    }

    pub(crate) fn cut(&mut self, apart: &'static [u8]) {
        let clocks = self.clocks();
        let passes = move |from: u8, to: u8| apart.contains(&from) == apart.contains(&to);
        self.service.cut(&clocks, &passes, &mut Vec::new());
    }

    pub(crate) fn pass(&mut self, us: u64) {
        self.now_us += us;
        let clocks = self.clocks();
        self.out.clear();
        for member in 0..self.members {
            if self.service.is_due(clocks[usize::from(member)], member) {
                self.service.tick(&clocks, member, &mut self.out);
            }
        }
    }
}

pub(crate) fn bulk(text: &'static str) -> Value {
    Value::Bulk(text.into())
}

pub(crate) fn is_error(value: &Value, code: &str) -> bool {
    matches!(value, Value::Error(text) if text.starts_with(code.as_bytes()))
}
