//! ZooKeeper's wire: requests and replies in jute, over a socket.

use doublehold_models::Blob;
use doublehold_models::zookeeper::wire::{Answer, CreateMode, Error, EventKind, Op, Reply, Request, Stat};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// A message that does not come within this time does not come.
const RECEIVE_WAIT: Duration = Duration::from_millis(1500);
/// The number that events carry instead of a request's.
const EVENT_XID: i32 = -1;

/// One connection to a server.
pub(crate) struct Connection {
    stream: TcpStream,
    xid: i32,
    /// The request that waits for its answer.
    asked: Option<Request>,
    /// The session and its password.
    pub session: i64,
    password: Vec<u8>,
}

impl Connection {
    /// Opens a connection and begins a session, or goes on with one.
    pub(crate) fn open(port: u16, session: i64, password: Vec<u8>, timeout_ms: u32, seen: i64) -> Self {
        let stream = TcpStream::connect(("127.0.0.1", port)).expect("the server answers");
        stream.set_read_timeout(Some(RECEIVE_WAIT)).expect("a socket takes a time-out");
        stream.set_nodelay(true).expect("a socket takes an option");
        let mut body = Writer::default();
        body.int(0).long(seen).int(timeout_ms as i32).long(session).buffer(&password).bool(false);
        let mut connection = Connection { stream, xid: 0, asked: None, session, password };
        connection.write(body);
        connection.asked = Some(Request::Connect { session, timeout_ms, seen });
        connection
    }

    pub(crate) fn password(&self) -> Vec<u8> {
        self.password.clone()
    }

    pub(crate) fn send(&mut self, request: &Request) {
        self.xid += 1;
        let mut body = Writer::default();
        body.int(self.xid).int(code_of(request));
        write_request(request, &mut body);
        self.write(body);
        self.asked = Some(request.clone());
    }

    fn write(&mut self, body: Writer) {
        let frame = [&(body.0.len() as u32).to_be_bytes()[..], &body.0].concat();
        // A server that has closed the connection is told by what it does not answer.
        let _ = self.stream.write_all(&frame);
    }

    /// The next message; `None` if nothing came in time or the connection is closed.
    pub(crate) fn receive(&mut self) -> Option<Reply> {
        let mut length = [0; 4];
        self.stream.read_exact(&mut length).ok()?;
        let mut frame = vec![0; u32::from_be_bytes(length) as usize];
        self.stream.read_exact(&mut frame).ok()?;
        let mut reader = Reader(&frame);
        if let Some(Request::Connect { .. }) = self.asked {
            self.asked = None;
            return Some(self.connected(&mut reader));
        }
        let (xid, zxid, error) = (reader.int(), reader.long(), reader.int());
        if xid == EVENT_XID {
            let kind = event_of(reader.int());
            reader.int();
            return Some(Reply::Event { kind, path: reader.text() });
        }
        let asked = self.asked.take().expect("an answer follows a request");
        Some(match (error, &asked) {
            (_, Request::Multi(ops)) => Reply::Answer { zxid, answer: read_multi(ops, &mut reader) },
            (0, _) => Reply::Answer { zxid, answer: read_answer(&asked, &mut reader) },
            (code, _) => Reply::Failed { zxid, error: error_of(code) },
        })
    }

    fn connected(&mut self, reader: &mut Reader) -> Reply {
        reader.int();
        let (timeout_ms, session) = (reader.int() as u32, reader.long());
        self.password = reader.bytes().to_vec();
        self.session = session;
        match session {
            0 => Reply::Failed { zxid: 0, error: Error::SessionExpired },
            session => Reply::Answer { zxid: 0, answer: Answer::Connected { session, timeout_ms } },
        }
    }
}

fn code_of(request: &Request) -> i32 {
    match request {
        Request::Write(op) => op_code(op),
        Request::Multi(_) => 14,
        Request::Exists { .. } => 3,
        Request::GetData { .. } => 4,
        Request::GetChildren { .. } => 12,
        Request::Sync { .. } => 9,
        Request::SetWatches { .. } => 101,
        Request::CloseSession => -11,
        Request::Connect { .. } => panic!("a connect is no request with a number"),
    }
}

fn op_code(op: &Op) -> i32 {
    match op {
        Op::Create { mode: CreateMode::Container, .. } => 19,
        Op::Create { .. } => 15,
        Op::Delete { .. } => 2,
        Op::SetData { .. } => 5,
        Op::Check { .. } => 13,
    }
}

fn write_request(request: &Request, body: &mut Writer) {
    match request {
        Request::Write(op) => write_op(op, body),
        Request::Multi(ops) => {
            for op in ops {
                body.int(op_code(op)).bool(false).int(-1);
                write_op(op, body);
            }
            body.int(-1).bool(true).int(-1);
        }
        Request::Exists { path, watch } | Request::GetData { path, watch } | Request::GetChildren { path, watch } => {
            body.buffer(path).bool(*watch);
        }
        Request::Sync { path } => {
            body.buffer(path);
        }
        Request::SetWatches { seen, data, exist, child } => {
            body.long(*seen);
            for paths in [data, exist, child] {
                body.int(paths.len() as i32);
                for path in paths {
                    body.buffer(path);
                }
            }
        }
        Request::CloseSession | Request::Connect { .. } => {}
    }
}

fn write_op(op: &Op, body: &mut Writer) {
    body.buffer(op.path());
    match op {
        Op::Create { data, mode, .. } => {
            let flags = match mode {
                CreateMode::Persistent => 0,
                CreateMode::Ephemeral => 1,
                CreateMode::PersistentSequential => 2,
                CreateMode::EphemeralSequential => 3,
                CreateMode::Container => 4,
            };
            // One entry: anyone may do anything.
            body.buffer(data).int(1).int(31).buffer(b"world").buffer(b"anyone").int(flags);
        }
        Op::SetData { data, version, .. } => {
            body.buffer(data).int(*version);
        }
        Op::Delete { version, .. } | Op::Check { version, .. } => {
            body.int(*version);
        }
    }
}

fn read_answer(asked: &Request, reader: &mut Reader) -> Answer {
    match asked {
        Request::Write(op) => read_result(op, reader),
        Request::Exists { .. } => Answer::Stat(reader.stat()),
        Request::GetData { .. } => {
            let data = Blob::copy_from(reader.bytes());
            Answer::Data(data, reader.stat())
        }
        Request::GetChildren { .. } => {
            let mut names: Vec<Blob> = (0..reader.int()).map(|_| reader.text()).collect();
            // The server keeps them in no order.
            names.sort();
            Answer::Children(names, reader.stat())
        }
        _ => Answer::Done,
    }
}

fn read_result(op: &Op, reader: &mut Reader) -> Answer {
    match op {
        Op::Create { .. } => {
            let path = reader.text();
            Answer::Created { path, stat: reader.stat() }
        }
        Op::SetData { .. } => Answer::Stat(reader.stat()),
        Op::Delete { .. } | Op::Check { .. } => Answer::Done,
    }
}

fn read_multi(ops: &[Op], reader: &mut Reader) -> Answer {
    let (mut answers, mut why) = (Vec::new(), Vec::new());
    for op in ops {
        let (code, _, _) = (reader.int(), reader.bool(), reader.int());
        match code {
            -1 => {
                let error = reader.int();
                why.push((error != 0).then(|| error_of(error)));
            }
            // Within a multi the server tells the path of what it created and nothing more.
            1 => answers.push(Answer::Created { path: reader.text(), stat: Stat::default() }),
            _ => answers.push(read_result(op, reader)),
        }
    }
    if why.is_empty() { Answer::Multi(answers) } else { Answer::MultiFailed(why) }
}

fn event_of(code: i32) -> EventKind {
    match code {
        1 => EventKind::Created,
        2 => EventKind::Deleted,
        3 => EventKind::DataChanged,
        4 => EventKind::ChildrenChanged,
        other => panic!("an event of the unknown kind {other}"),
    }
}

fn error_of(code: i32) -> Error {
    match code {
        -2 => Error::RuntimeInconsistency,
        -8 => Error::BadArguments,
        -101 => Error::NoNode,
        -103 => Error::BadVersion,
        -108 => Error::NoChildrenForEphemerals,
        -110 => Error::NodeExists,
        -111 => Error::NotEmpty,
        -112 => Error::SessionExpired,
        -118 => Error::SessionMoved,
        other => panic!("the server answers with the unknown error {other}"),
    }
}

#[derive(Default)]
struct Writer(Vec<u8>);

impl Writer {
    fn bool(&mut self, value: bool) -> &mut Self {
        self.0.push(value.into());
        self
    }
    fn int(&mut self, value: i32) -> &mut Self {
        self.0.extend(value.to_be_bytes());
        self
    }
    fn long(&mut self, value: i64) -> &mut Self {
        self.0.extend(value.to_be_bytes());
        self
    }
    fn buffer(&mut self, bytes: &[u8]) -> &mut Self {
        self.int(bytes.len() as i32);
        self.0.extend(bytes);
        self
    }
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, length: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(length);
        self.0 = rest;
        taken
    }
    fn bool(&mut self) -> bool {
        self.take(1)[0] != 0
    }
    fn int(&mut self) -> i32 {
        i32::from_be_bytes(self.take(4).try_into().expect("four bytes"))
    }
    fn long(&mut self) -> i64 {
        i64::from_be_bytes(self.take(8).try_into().expect("eight bytes"))
    }
    fn bytes(&mut self) -> &'a [u8] {
        let length = usize::try_from(self.int()).unwrap_or(0);
        self.take(length)
    }
    fn text(&mut self) -> Blob {
        Blob::copy_from(self.bytes())
    }
    fn stat(&mut self) -> Stat {
        let (czxid, mzxid) = (self.long(), self.long());
        // The times are not compared.
        self.take(16);
        let (version, cversion) = (self.int(), self.int());
        self.int();
        let ephemeral_owner = self.long();
        let (data_length, num_children, pzxid) = (self.int(), self.int(), self.long());
        Stat { czxid, mzxid, pzxid, version, cversion, ephemeral_owner, data_length, num_children }
    }
}
