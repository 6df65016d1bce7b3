//! Absent: the port of a server that a world does not have.

use super::{Outcome, etcd, kafka, mysql, zookeeper};
use std::convert::Infallible;
use std::time::Duration;
use zookeeper::{Answer, Request, SessionId, SessionState, WatchEvent};

/// Where a world has no servers of some kind. There is no value of this type.
#[derive(Clone, Copy, Debug)]
pub struct Absent(Infallible);

impl zookeeper::ZooKeeper for Absent {
    type Session = Absent;

    async fn connect(&self, _timeout: Duration) -> Outcome<Absent> {
        match self.0 {}
    }
}

impl zookeeper::Session for Absent {
    type Watch = Absent;

    fn id(&self) -> SessionId {
        match self.0 {}
    }

    fn timeout(&self) -> Duration {
        match self.0 {}
    }

    fn state(&self) -> SessionState {
        match self.0 {}
    }

    async fn changed(&self, _from: SessionState) -> SessionState {
        match self.0 {}
    }

    async fn ask(&self, _request: Request) -> Outcome<Answer> {
        match self.0 {}
    }

    async fn ask_watching(&self, _request: Request) -> (Outcome<Answer>, Absent) {
        match self.0 {}
    }

    async fn close(&self) {
        match self.0 {}
    }
}

impl zookeeper::Watch for Absent {
    async fn fired(&mut self) -> WatchEvent {
        match self.0 {}
    }
}

impl etcd::Etcd for Absent {
    type Watch = Absent;

    async fn ask(&self, _request: etcd::Request) -> Outcome<etcd::Answered> {
        match self.0 {}
    }

    async fn watch(&self, _keys: etcd::Keys, _from: etcd::Revision) -> Outcome<Absent> {
        match self.0 {}
    }
}

impl kafka::Kafka for Absent {
    type Producer = Absent;
    type Consumer = Absent;

    async fn create_topic(&self, _topic: kafka::Topic) -> Outcome<()> {
        match self.0 {}
    }

    fn producer(&self, _topic: kafka::Topic) -> Absent {
        match self.0 {}
    }

    fn consumer(&self, _topic: kafka::Topic, _config: kafka::ConsumerConfig) -> Absent {
        match self.0 {}
    }
}

impl kafka::Producer for Absent {
    async fn send(&mut self, _record: kafka::Record) -> Outcome<(kafka::Partition, kafka::Offset)> {
        match self.0 {}
    }
}

impl kafka::Consumer for Absent {
    async fn poll(&mut self, _max: u32) -> Outcome<Vec<kafka::Received>> {
        match self.0 {}
    }

    async fn seek(&mut self, _partition: kafka::Partition, _offset: kafka::Offset) -> Outcome<()> {
        match self.0 {}
    }

    async fn lag(&mut self) -> Outcome<Vec<(kafka::Partition, i64)>> {
        match self.0 {}
    }

    async fn commit(&mut self, _partition: kafka::Partition, _next: kafka::Offset) -> Outcome<()> {
        match self.0 {}
    }

    async fn leave(&mut self) {
        match self.0 {}
    }
}

impl mysql::MySql for Absent {
    type Session = Absent;

    fn session(&self) -> Absent {
        match self.0 {}
    }
}

impl mysql::Session for Absent {
    async fn ask(&mut self, _request: mysql::Request) -> Outcome<mysql::Reply> {
        match self.0 {}
    }

    fn is_open(&self) -> bool {
        match self.0 {}
    }
}

impl etcd::Watch for Absent {
    async fn next(&mut self) -> Option<Vec<etcd::Event>> {
        match self.0 {}
    }
}
