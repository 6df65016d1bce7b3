//! The ZooKeeper port of a seat: the client's side of sessions.
//!
//! As the field's clients do it: when a connection breaks, what was sent and not answered is lost, the session is
//! *suspended*, and the client tries one server after the other. Connected again it leaves its watches anew; those whose event it
//! missed fire at once. It learns that its session has expired only from a server, or takes it for lost when its
//! time-out has passed by its own clock since the connection broke.
//!
//! Pings are not sent: the system knows a silent connection ([`Outgoing::KeepAlive`]) and tells both ends in time.

use super::client::{Seat, State, Wait};
use super::exchange::{Outgoing, Purpose, WaitId};
use super::sessions::{Phase, SessionSeat, WatchKind, WatchState};
use crate::port::zookeeper::{
    Answer, Error, EventKind, Request, Session, SessionId, SessionState, Watch, WatchEvent, ZooKeeper, Zxid,
};
use crate::port::{Blob, Outcome, Refusal, Unknown};
use doublehold_models::zookeeper::wire::Reply;
use doublehold_models::{Request as AnyRequest, Response};
use smallvec::SmallVec;
use std::hash::{Hash, Hasher};
use std::ops::Range;
use std::sync::Arc;
use std::task::{Poll, Waker};
use std::time::Duration;

/// After a round of servers that all refused the client waits for this part of its time-out.
const REST_SHARE: u64 = 4;

impl State {
    /// A request was answered. Returns the answer unless the request was the connect of a session.
    pub(super) fn session_answered(&mut self, id: WaitId, outcome: Outcome<Response>) -> Option<Outcome<Response>> {
        let sessions = &mut self.kept.sessions.0;
        if let Some(at) = sessions.iter().position(|session| session.phase == Phase::Connecting(id)) {
            self.connect_answered(at, outcome);
            return None;
        }
        if let Some(at) = sessions.iter().position(|session| session.sent.contains(&id)) {
            sessions[at].take_answer(id, &outcome);
        }
        Some(outcome)
    }

    /// A timer fired. True if it was a session's.
    pub(super) fn session_fired(&mut self, id: WaitId) -> bool {
        let resting = self.kept.sessions.0.iter().position(|session| session.phase == Phase::Resting(id));
        let expired = self.kept.sessions.0.iter().position(|session| session.expiry == Some(id));
        if let Some(at) = resting {
            self.try_server(at);
        } else if let Some(at) = expired {
            self.kept.sessions.0[at].expiry = None;
            self.end_session(at);
        }
        resting.or(expired).is_some()
    }

    fn open_session(&mut self, servers: Range<u16>, timeout: Duration) -> (usize, WaitId) {
        let opening = self.open_slot();
        let count = servers.end - servers.start;
        assert!(count > 0, "an ensemble has a server");
        self.told_apart |= count > 1;
        let session = SessionSeat {
            // Clients begin with different servers; the first to be tried is the next one.
            at: servers.start + (self.client + count - 1) % count,
            servers,
            lane: self.next_lane(),
            id: 0,
            asked: timeout,
            timeout_us: 0,
            seen: 0,
            phase: Phase::Ended,
            state: SessionState::Suspended,
            refused: 0,
            opening: Some(opening),
            queue: Vec::new(),
            sent: SmallVec::new(),
            expiry: None,
            watches: Vec::new(),
            watches_left: 0,
            wakers: Vec::new(),
        };
        self.kept.sessions.0.push(session);
        let at = self.kept.sessions.0.len() - 1;
        self.try_server(at);
        (at, opening)
    }

    /// Connects to the next server.
    fn try_server(&mut self, at: usize) {
        let id = self.next_id();
        let session = &mut self.kept.sessions.0[at];
        session.at = if session.at + 1 == session.servers.end { session.servers.start } else { session.at + 1 };
        session.phase = Phase::Connecting(id);
        let timeout_ms = u32::try_from(session.asked.as_millis()).unwrap_or(u32::MAX);
        let request = Request::Connect { session: session.id, timeout_ms, seen: session.seen };
        let (node, lane) = (session.at, session.lane);
        // A connection must come about within its server's share of the time-out.
        let silence_us_max = u64::from(timeout_ms) * 1000 / u64::from(session.servers.end - session.servers.start);
        self.push(Outgoing::KeepAlive { node, channel: lane, silence_us_max });
        let (purpose, request) = (Purpose::Push, AnyRequest::ZooKeeper(request));
        self.ask(id, (node, lane), purpose, request);
    }

    fn connect_answered(&mut self, at: usize, outcome: Outcome<Response>) {
        match outcome {
            Outcome::Ok(Response::ZooKeeper(Reply::Answer { zxid, answer })) => {
                let Answer::Connected { session, timeout_ms } = answer else {
                    panic!("a connect was answered with {answer}");
                };
                self.connected(at, session, timeout_ms, zxid);
            }
            Outcome::Ok(Response::ZooKeeper(Reply::Failed { error: Error::SessionExpired, .. })) => {
                self.end_session(at)
            }
            Outcome::Ok(_) | Outcome::Fail(_) | Outcome::Indeterminate(_) => self.not_connected(at),
        }
    }

    fn connected(&mut self, at: usize, id: SessionId, timeout_ms: u32, zxid: Zxid) {
        let session = &mut self.kept.sessions.0[at];
        (session.id, session.timeout_us, session.refused) = (id, u64::from(timeout_ms) * 1000, 0);
        session.phase = Phase::Up;
        let silence_us_max = session.timeout_us * 2 / 3;
        let (node, lane, expiry) = (session.at, session.lane, session.expiry.take());
        let rewatch = session.watches_to_leave();
        session.seen = session.seen.max(zxid);
        let queue = std::mem::take(&mut session.queue);
        self.push(Outgoing::KeepAlive { node, channel: lane, silence_us_max });
        if let Some(timer) = expiry {
            self.push(Outgoing::Forget(timer));
        }
        if let Some(request) = rewatch {
            let id = self.next_id();
            self.submit(at, id, request);
        }
        for (id, request) in queue {
            self.submit(at, id, request);
        }
        self.set_session_state(at, SessionState::Connected);
        if let Some(opening) = self.kept.sessions.0[at].opening.take() {
            let answer = Reply::Answer { zxid, answer: Answer::Done };
            self.complete(opening, Outcome::Ok(Response::ZooKeeper(answer)));
        }
    }

    /// A server could not be reached, or would not have us.
    fn not_connected(&mut self, at: usize) {
        self.fail_queue(at);
        let session = &mut self.kept.sessions.0[at];
        session.refused += 1;
        if !session.refused.is_multiple_of(session.servers.end - session.servers.start) {
            return self.try_server(at);
        }
        if let Some(opening) = session.opening.take() {
            // There never was a session: whoever asked for it decides what to do.
            session.phase = Phase::Ended;
            return self.complete(opening, Outcome::Fail(Refusal::Refused));
        }
        let rest_us = session.timeout_us / REST_SHARE;
        let id = self.next_id();
        self.kept.sessions.0[at].phase = Phase::Resting(id);
        let at_mono_us = self.now.mono_us + rest_us;
        self.push(Outgoing::Timer { id, at_mono_us });
    }

    fn fail_queue(&mut self, at: usize) {
        for (id, _) in std::mem::take(&mut self.kept.sessions.0[at].queue) {
            self.complete(id, Outcome::Indeterminate(Unknown::ConnectionLost));
        }
    }

    /// The connection of a session has broken; the requests on it are lost already.
    pub(super) fn session_cut(&mut self, node: u16, lane: u8) {
        let cut = |session: &SessionSeat| (session.at, session.lane) == (node, lane) && session.phase != Phase::Ended;
        let Some(at) = self.kept.sessions.0.iter().position(cut) else { return };
        let session = &mut self.kept.sessions.0[at];
        session.sent.clear();
        let unanswered = |watch: &mut WatchState| watch.request = None;
        session.watches.iter_mut().filter(|watch| watch.request.is_some()).for_each(unanswered);
        match session.phase {
            Phase::Connecting(_) => self.not_connected(at),
            Phase::Up => {
                let timeout_us = session.timeout_us;
                let id = self.next_id();
                self.kept.sessions.0[at].expiry = Some(id);
                let at_mono_us = self.now.mono_us + timeout_us;
                self.push(Outgoing::Timer { id, at_mono_us });
                self.set_session_state(at, SessionState::Suspended);
                self.try_server(at);
            }
            Phase::Resting(_) | Phase::Ended => {}
        }
    }

    /// The session has ended, by a server's word or by the client's own clock.
    fn end_session(&mut self, at: usize) {
        let session = &mut self.kept.sessions.0[at];
        let (node, lane) = (session.at, session.lane);
        let timers = [session.expiry.take(), if let Phase::Resting(id) = session.phase { Some(id) } else { None }];
        session.phase = Phase::Ended;
        let queue = std::mem::take(&mut session.queue);
        let sent = std::mem::take(&mut session.sent);
        timers.into_iter().flatten().for_each(|timer| self.push(Outgoing::Forget(timer)));
        self.push(Outgoing::Close { node, channel: lane });
        for (id, _) in queue {
            self.complete(id, Outcome::Fail(Refusal::ZooKeeper(Error::SessionExpired)));
        }
        sent.into_iter().for_each(|id| self.complete(id, Outcome::Indeterminate(Unknown::ConnectionLost)));
        if let Some(opening) = self.kept.sessions.0[at].opening.take() {
            self.complete(opening, Outcome::Fail(Refusal::Refused));
        }
        for watch in self.kept.sessions.0[at].watches.iter_mut().filter(|watch| watch.event.is_none()) {
            watch.fire(WatchEvent::Lost);
        }
        self.set_session_state(at, SessionState::Lost);
    }

    fn set_session_state(&mut self, at: usize, state: SessionState) {
        let session = &mut self.kept.sessions.0[at];
        session.state = state;
        session.wakers.drain(..).for_each(Waker::wake);
    }

    /// Sends a request if there is a connection, and keeps it for the next one if there may be one.
    fn submit(&mut self, at: usize, id: WaitId, request: Request) {
        let session = &mut self.kept.sessions.0[at];
        let (node, lane) = (session.at, session.lane);
        match session.phase {
            Phase::Up => {
                session.sent.push(id);
                let (purpose, request) = (Purpose::Push, AnyRequest::ZooKeeper(request));
                self.ask(id, (node, lane), purpose, request);
            }
            Phase::Connecting(_) | Phase::Resting(_) => session.queue.push((id, request)),
            Phase::Ended => self.complete(id, Outcome::Fail(Refusal::ZooKeeper(Error::SessionExpired))),
        }
    }

    /// A server pushed a message. Returns it unless it is a watch event, which goes to the watches of the session.
    pub(super) fn session_told(&mut self, node: u16, lane: u8, message: Response) -> Option<Response> {
        let Response::ZooKeeper(event) = message else { return Some(message) };
        let Reply::Event { kind, path } = event else { panic!("a server sent {event} of its own accord") };
        let on = |session: &&mut SessionSeat| (session.at, session.lane) == (node, lane);
        let session = self.kept.sessions.0.iter_mut().find(on)?;
        for watch in &mut session.watches {
            if watch.is_for(kind) && watch.path == path && watch.request.is_none() && watch.event.is_none() {
                watch.fire(WatchEvent::Node(kind));
            }
        }
        None
    }
}

impl SessionSeat {
    fn take_answer(&mut self, id: WaitId, outcome: &Outcome<Response>) {
        self.sent.retain(|sent| *sent != id);
        let Outcome::Ok(Response::ZooKeeper(Reply::Answer { zxid, .. } | Reply::Failed { zxid, .. })) = outcome else {
            return;
        };
        self.seen = self.seen.max(*zxid);
        let is_there = matches!(outcome, Outcome::Ok(Response::ZooKeeper(Reply::Answer { .. })));
        for watch in self.watches.iter_mut().filter(|watch| watch.request == Some(id)) {
            watch.request = None;
            if watch.kind == WatchKind::Exist && is_there {
                watch.kind = WatchKind::Data;
            }
        }
    }

    /// The request that leaves the watches anew, if there are any.
    fn watches_to_leave(&self) -> Option<Request> {
        let of = |kind: WatchKind| {
            let waits =
                move |watch: &&WatchState| watch.kind == kind && watch.event.is_none() && watch.request.is_none();
            self.watches.iter().filter(waits).map(|watch| watch.path.clone()).collect::<Vec<Blob>>()
        };
        let (data, exist, child) = (of(WatchKind::Data), of(WatchKind::Exist), of(WatchKind::Child));
        let any = !(data.is_empty() && exist.is_empty() && child.is_empty());
        any.then_some(Request::SetWatches { seen: self.seen, data, exist, child })
    }
}

impl WatchState {
    fn is_for(&self, event: EventKind) -> bool {
        match self.kind {
            WatchKind::Child => matches!(event, EventKind::ChildrenChanged | EventKind::Deleted),
            WatchKind::Data | WatchKind::Exist => event != EventKind::ChildrenChanged,
        }
    }

    fn fire(&mut self, event: WatchEvent) {
        self.event = Some(event);
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }
}

/// An ensemble.
#[derive(Clone)]
pub struct SeatZooKeeper {
    pub(super) seat: Arc<Seat>,
    pub(super) servers: Range<u16>,
}

impl ZooKeeper for SeatZooKeeper {
    type Session = SeatSession;

    async fn connect(&self, timeout: Duration) -> Outcome<SeatSession> {
        let (at, id) = self.seat.lock().open_session(self.servers.clone(), timeout);
        let opened = Wait { seat: &self.seat, id, open: true }.answer().await;
        opened.map(|_| SeatSession { seat: Arc::clone(&self.seat), at })
    }
}

/// A session.
#[derive(Clone)]
pub struct SeatSession {
    seat: Arc<Seat>,
    at: usize,
}

impl SeatSession {
    fn send(&self, request: Request, watch: Option<WatchKind>) -> (Wait<'_>, u32) {
        let mut state = self.seat.lock();
        let id = state.open_slot();
        let session = &mut state.kept.sessions.0[self.at];
        let number = session.watches_left;
        if let Some(kind) = watch {
            session.watches_left += 1;
            let path = request.paths().first().map(|path| Blob::clone(path)).expect("a read names a path");
            session.watches.push(WatchState { number, request: Some(id), kind, path, event: None, waker: None });
        }
        state.submit(self.at, id, request);
        drop(state);
        (Wait { seat: &self.seat, id, open: true }, number)
    }
}

fn answer_of(outcome: Outcome<Response>) -> Outcome<Answer> {
    match outcome {
        Outcome::Ok(Response::ZooKeeper(Reply::Failed { error, .. })) => Outcome::Fail(Refusal::ZooKeeper(error)),
        other => other.map(|response| match response {
            Response::ZooKeeper(Reply::Answer { answer, .. }) => answer,
            other => panic!("a ZooKeeper answered with {other}"),
        }),
    }
}

impl Session for SeatSession {
    type Watch = SeatWatch;

    fn id(&self) -> SessionId {
        self.seat.lock().kept.sessions.0[self.at].id
    }

    fn timeout(&self) -> Duration {
        Duration::from_micros(self.seat.lock().kept.sessions.0[self.at].timeout_us)
    }

    fn state(&self) -> SessionState {
        let mut state = self.seat.lock();
        let (round, now) = (state.round(), state.kept.sessions.0[self.at].state);
        state.see(round, 5, |digest| digest.write_u64(now as u64));
        now
    }

    async fn changed(&self, from: SessionState) -> SessionState {
        std::future::poll_fn(|cx| {
            let mut state = self.seat.lock();
            let session = &mut state.kept.sessions.0[self.at];
            let now = session.state;
            if now == from {
                session.wakers.push(cx.waker().clone());
                return Poll::Pending;
            }
            let round = state.round();
            state.see(round, 6, |digest| digest.write_u64(now as u64));
            Poll::Ready(now)
        })
        .await
    }

    async fn ask(&self, request: Request) -> Outcome<Answer> {
        answer_of(self.send(request, None).0.answer().await)
    }

    async fn ask_watching(&self, request: Request) -> (Outcome<Answer>, SeatWatch) {
        let kind = match &request {
            Request::Exists { .. } => WatchKind::Exist,
            Request::GetChildren { .. } => WatchKind::Child,
            _ => WatchKind::Data,
        };
        let (wait, number) = self.send(request, Some(kind));
        let watch = SeatWatch { seat: Arc::clone(&self.seat), at: self.at, number };
        (answer_of(wait.answer().await), watch)
    }

    async fn close(&self) {
        let (wait, _) = self.send(Request::CloseSession, None);
        drop(wait.await);
        let mut state = self.seat.lock();
        if state.kept.sessions.0[self.at].phase != Phase::Ended {
            state.end_session(self.at);
        }
    }
}

/// A watch.
pub struct SeatWatch {
    seat: Arc<Seat>,
    at: usize,
    number: u32,
}

impl Watch for SeatWatch {
    async fn fired(&mut self) -> WatchEvent {
        std::future::poll_fn(|cx| {
            let mut state = self.seat.lock();
            let watches = &mut state.kept.sessions.0[self.at].watches;
            let watch = watches.iter_mut().find(|watch| watch.number == self.number);
            let watch = watch.expect("a watch is kept as long as somebody has it");
            let Some(event) = watch.event else {
                watch.waker = Some(cx.waker().clone());
                return Poll::Pending;
            };
            let round = state.round();
            state.see(round, 7, |digest| event.hash(digest));
            Poll::Ready(event)
        })
        .await
    }
}

impl Drop for SeatWatch {
    fn drop(&mut self) {
        let mut state = self.seat.lock();
        state.kept.sessions.0[self.at].watches.retain(|watch| watch.number != self.number);
    }
}
