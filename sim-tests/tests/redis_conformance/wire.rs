//! Wire: RESP2 over a TCP connection of its own, with nothing between the test and the bytes.

use doublehold_models::Blob;
use doublehold_models::resp::{Command, Value};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpStream};
use std::time::Duration;

/// How long a message may take.
const MESSAGE_WAIT: Duration = Duration::from_secs(1);

pub(crate) struct Connection {
    stream: BufReader<TcpStream>,
}

impl Connection {
    pub(crate) fn open(port: u16) -> Self {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).expect("redis-server accepts connections");
        stream.set_nodelay(true).expect("a socket has this option");
        stream.set_read_timeout(Some(MESSAGE_WAIT)).expect("a socket has this option");
        Connection { stream: BufReader::new(stream) }
    }

    pub(crate) fn send(&mut self, command: &Command) {
        let mut bytes = format!("*{}\r\n", command.words().len()).into_bytes();
        for word in command.words() {
            bytes.extend_from_slice(format!("${}\r\n", word.len()).as_bytes());
            bytes.extend_from_slice(word);
            bytes.extend_from_slice(b"\r\n");
        }
        // If the server has gone, the reply that does not come says so.
        let _ = self.stream.get_mut().write_all(&bytes);
    }

    /// The next message; `None` if none came in time.
    pub(crate) fn receive(&mut self) -> Option<Value> {
        let line = self.line()?;
        let (mark, rest) = line.split_first().expect("a reply is never an empty line");
        let number = || std::str::from_utf8(rest).ok().and_then(|digits| digits.parse::<i64>().ok());
        Some(match (mark, number()) {
            (b'+', _) => Value::Status(Blob::copy_from(rest)),
            (b'-', _) => Value::Error(Blob::copy_from(rest)),
            (b':', Some(number)) => Value::Int(number),
            (b'$' | b'*', Some(-1)) => Value::Nil,
            (b'$', Some(len)) => Value::Bulk(self.bulk(len)?),
            (b'*', Some(len)) => Value::Array((0..len).map(|_| self.receive()).collect::<Option<_>>()?),
            _ => panic!("not RESP2: {}", line.escape_ascii()),
        })
    }

    /// Ends the connection; on return the server has ended its side too.
    pub(crate) fn close(mut self) {
        let ended = self.stream.get_ref().shutdown(Shutdown::Write);
        if ended.is_ok() {
            let _ = self.stream.read_to_end(&mut Vec::new());
        }
    }

    fn line(&mut self) -> Option<Vec<u8>> {
        let mut line = Vec::new();
        self.stream.read_until(b'\n', &mut line).ok()?;
        line.strip_suffix(b"\r\n").map(<[u8]>::to_vec)
    }

    fn bulk(&mut self, len: i64) -> Option<Blob> {
        let mut bytes = vec![0; usize::try_from(len).ok()? + 2];
        self.stream.read_exact(&mut bytes).ok()?;
        bytes.strip_suffix(b"\r\n").map(Blob::copy_from)
    }
}
