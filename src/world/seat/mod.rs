//! Seat: a client's side of the ports in the explored and the simulated world.
//!
//! Sans-IO: the client's code leaves what it wants in the outbox, and the host of the world puts in
//! what has happened ([`Seat::tell`]) before it polls the code again. Between two polls nothing moves.

mod etcd;
mod inbox;
mod mysql;
mod redis;
mod zookeeper;

use super::clock::Reading;
use crate::base::time::{self, Observed};
use crate::history::Event;
use crate::port::{self, Blob, Host, Instant, Outcome, Ports, WallTime};
use doublehold_models::{Digest, Request, Response};
use etcd::{Places, SeatEtcd};
use inbox::Inbox;
use mysql::SeatMySql;
use pin_project_lite::pin_project;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use redis::SeatRedis;
use smallvec::SmallVec;
use std::collections::BTreeSet;
use std::future::Future;
use std::hash::{Hash, Hasher};
use std::ops::Range;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;
use zookeeper::{SeatZooKeeper, Sessions};

/// A task of a client.
pub type Task = Pin<Box<dyn Future<Output = ()> + Send>>;

/// The tasks of a client that have not ended.
pub struct Tasks(SmallVec<[Running; 2]>);

/// A task; nobody waits for one that runs in the background.
struct Running {
    task: Task,
    background: bool,
}

impl Tasks {
    /// A client that begins with this task.
    pub fn of(first: Task) -> Self {
        Tasks(SmallVec::from_iter([Running { task: first, background: false }]))
    }
}

/// The number of something that a client waits for; unique in its execution.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct WaitId(pub u32);

impl WaitId {
    /// The series of waits for hashers that rank them.
    pub const SERIES: u16 = 1;
}

impl Hash for WaitId {
    /// The client's code knows what it waits for by their order, not by their numbers.
    fn hash<H: std::hash::Hasher>(&self, hasher: &mut H) {
        doublehold_models::ranked(Self::SERIES, self.0.into(), hasher);
    }
}

impl std::fmt::Display for WaitId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// What a client uses a connection for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Purpose {
    /// Requests and their answers; a new connection serves as well.
    Commands,
    /// The same, and the end of the connection is the end of something: a session with a database.
    Session,
    /// The server may push messages at any time: a subscription, a watch, a session with watches.
    Push,
}

/// Something that a client's code asked for.
#[derive(Debug, Hash)]
pub enum Outgoing {
    /// Send a request.
    Request {
        /// What the answer is for.
        id: WaitId,
        /// The server's place in the topology.
        node: u16,
        /// The client's number for the connection to it.
        channel: u8,
        /// What the connection is for.
        purpose: Purpose,
        /// What to send.
        request: Request,
    },
    /// Wake the client by its own monotonic clock.
    Timer {
        /// What the wake-up is for.
        id: WaitId,
        /// When, in microseconds of its own monotonic clock.
        at_mono_us: u64,
    },
    /// Nobody waits for this any more.
    Forget(WaitId),
    /// Close a connection.
    Close {
        /// The server.
        node: u16,
        /// The connection.
        channel: u8,
    },
    /// Take a connection that has been silent for so long for broken, in microseconds of the client's own clock.
    KeepAlive {
        /// The server.
        node: u16,
        /// The connection.
        channel: u8,
        /// How long.
        silence_us_max: u64,
    },
    /// An event for the history.
    Record(Event),
}

/// Something that a client is told.
#[derive(Clone, Debug)]
pub enum Told {
    /// It may begin.
    Start,
    /// A request has ended.
    Answer(WaitId, Outcome<Response>),
    /// A timer has fired.
    Fired(WaitId),
    /// A message has come that the node pushed.
    Message(u16, u8, Response),
    /// A connection has broken, and the requests on it have ended.
    Hangup(u16, u8, SmallVec<[WaitId; 4]>),
}

/// What became of something that a client waits for.
#[derive(Debug)]
enum Slot {
    Waiting(Option<Waker>),
    Done(Outcome<Response>),
}

/// The digest of what the code has seen: one entry an input, with the round that it belongs to.
#[derive(Default)]
struct Seen {
    inputs: SmallVec<[(u16, u128); 12]>,
}

struct State {
    client: u16,
    now: Reading,
    next_id: WaitId,
    next_lane: u8,
    /// Lanes that were given back.
    free_lanes: BTreeSet<u8>,
    slots: SmallVec<[(WaitId, u16, Slot); 4]>,
    inboxes: Vec<Inbox>,
    sessions: Sessions,
    places: Places,
    outbox: Vec<Outgoing>,
    spawned: Vec<Running>,
    seed: [u8; 32],
    random: Option<Box<ChaCha8Rng>>,
    draws: u32,
    unique_ids: u32,
    rounds: SmallVec<[u16; 4]>,
    next_round: u16,
    seen: Seen,
    /// Whether anybody asks for the digest of what was seen.
    keep_digest: bool,
    /// The code has read a clock since it was last told something.
    read_clock: bool,
    /// The code was told another client's name, or asked for its own number.
    told_apart: bool,
    /// What the code did with moments.
    observed: Observed,
    /// The process has ended: whatever drops now must not reach the world.
    dead: bool,
}

/// A client's seat.
pub struct Seat {
    state: Mutex<State>,
    woken: AtomicBool,
}

impl Wake for Seat {
    fn wake(self: Arc<Self>) {
        self.woken.store(true, Ordering::Relaxed);
    }
    fn wake_by_ref(self: &Arc<Self>) {
        self.woken.store(true, Ordering::Relaxed);
    }
}

impl Seat {
    /// The seat of client number `client`, whose random stream begins at `seed`. `keep_digest`: somebody
    /// will ask for [`digest`](Seat::digest).
    pub fn new(client: u16, seed: [u8; 32], keep_digest: bool) -> Arc<Self> {
        let state = State {
            client,
            now: Reading::default(),
            next_id: WaitId(0),
            next_lane: 1,
            free_lanes: BTreeSet::new(),
            slots: SmallVec::new(),
            inboxes: Vec::new(),
            sessions: Sessions::default(),
            places: Places::new(),
            outbox: Vec::new(),
            spawned: Vec::new(),
            seed,
            random: None,
            draws: 0,
            unique_ids: 0,
            rounds: SmallVec::new(),
            next_round: 1,
            seen: Seen::default(),
            keep_digest,
            read_clock: false,
            told_apart: false,
            observed: Observed::default(),
            dead: false,
        };
        Arc::new(Seat { state: Mutex::new(state), woken: AtomicBool::new(false) })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Tells the client something, at this reading of its clocks. Its code must be polled after.
    pub fn tell(&self, now: Reading, told: Told) {
        let mut state = self.lock();
        state.now = now;
        state.read_clock = false;
        match told {
            Told::Start => {}
            Told::Answer(id, outcome) => state.answered(id, outcome),
            Told::Fired(id) => state.fired(id),
            Told::Message(node, lane, Response::ZooKeeper(event)) => state.notify(node, lane, &event),
            Told::Message(node, lane, message) => state.deliver(node, lane, message),
            Told::Hangup(node, lane, ids) => {
                state.lose(&ids);
                state.hang_up(node, lane);
                state.session_cut(node, lane);
            }
        }
    }

    /// The process ends: nothing that its code does while it is dropped counts.
    pub fn kill(&self) {
        self.lock().dead = true;
    }

    /// Takes what the code asked for.
    pub fn take_outbox(&self, into: &mut Vec<Outgoing>) {
        // Swapping keeps both allocations.
        std::mem::swap(into, &mut self.lock().outbox);
    }

    /// Throws away what the code asked for: it has been done when the code ran the first time.
    pub fn clear_outbox(&self) {
        self.lock().outbox.clear();
    }

    /// The digest of what the code has seen.
    pub fn digest(&self) -> u128 {
        let state = self.lock();
        if !state.keep_digest {
            return 0;
        }
        let mut digest = state.own_digest();
        state.seen.inputs.hash(&mut digest);
        digest.write_u64(u64::from(state.draws));
        digest.write_u64(u64::from(state.unique_ids));
        // What was told but not yet looked at is on no connection any more.
        for (at, (_, _, slot)) in state.slots.iter().enumerate() {
            if let Slot::Done(outcome) = slot {
                digest.write_u64(at as u64);
                outcome.hash(&mut digest);
            }
        }
        state.inboxes.iter().for_each(|inbox| inbox.digest(&mut digest));
        state.sessions.hash(&mut digest);
        state.places.hash(&mut digest);
        digest.finish128()
    }

    /// Whether the code has read a clock since it was last told something.
    pub fn read_clock(&self) -> bool {
        self.lock().read_clock
    }

    /// Whether the code can be told apart from another client's: it was told another's name, or asked for its own number.
    pub fn is_told_apart(&self) -> bool {
        self.lock().told_apart
    }

    /// What the code did with moments since the last call.
    pub fn take_observed(&self) -> Observed {
        std::mem::take(&mut self.lock().observed)
    }

    /// Polls the tasks of this client, which has been told so many things, until none of them wants to go on. True once all that
    /// somebody waits for have ended.
    pub fn poll(self: &Arc<Self>, inputs: u32, waker: &Waker, tasks: &mut Tasks) -> bool {
        let watched = self.lock().keep_digest;
        if watched {
            time::observe(inputs);
        }
        let ended = self.poll_tasks(waker, tasks);
        if watched {
            self.lock().observed = time::observed();
        }
        ended
    }

    fn poll_tasks(self: &Arc<Self>, waker: &Waker, tasks: &mut Tasks) -> bool {
        let mut cx = Context::from_waker(waker);
        loop {
            self.woken.store(false, Ordering::Relaxed);
            tasks.0.retain(|running| running.task.as_mut().poll(&mut cx).is_pending());
            let spawned = std::mem::take(&mut self.lock().spawned);
            let again = !spawned.is_empty() || self.woken.load(Ordering::Relaxed);
            tasks.0.extend(spawned);
            if !again {
                return tasks.0.iter().all(|running| running.background);
            }
        }
    }
}

impl State {
    fn complete(&mut self, id: WaitId, outcome: Outcome<Response>) {
        if let Some((_, _, slot)) = self.slots.iter_mut().find(|(slot, ..)| *slot == id)
            && let Slot::Waiting(Some(waker)) = std::mem::replace(slot, Slot::Done(outcome))
        {
            waker.wake();
        }
    }

    fn lose(&mut self, ids: &[WaitId]) {
        for id in ids {
            self.complete(*id, Outcome::Indeterminate(port::Unknown::ConnectionLost));
        }
    }

    fn push(&mut self, outgoing: Outgoing) {
        if !self.dead {
            self.outbox.push(outgoing);
        }
    }

    fn round(&self) -> u16 {
        self.rounds.last().copied().unwrap_or(0)
    }

    /// A digest that writes this client's own name as "mine".
    fn own_digest(&self) -> Digest {
        Digest::naming_self(usize::from(self.client))
    }

    /// Notes that the code has seen an input.
    fn see(&mut self, round: u16, kind: u64, with: impl FnOnce(&mut Digest)) {
        if !self.keep_digest {
            return;
        }
        let mut digest = self.own_digest();
        digest.write_u64(kind);
        with(&mut digest);
        self.told_apart |= digest.mentioned() != 0;
        self.seen.inputs.push((round, digest.finish128()));
    }

    /// Forgets what a round has seen but for `result`, which belongs to the round around it.
    fn end_round(&mut self, round: u16, result: Option<u128>) {
        let outer = self.round();
        self.seen.inputs.retain(|(of, _)| *of != round);
        if let Some(result) = result {
            self.seen.inputs.push((outer, result));
        }
    }

    fn next_id(&mut self) -> WaitId {
        self.next_id.0 += 1;
        WaitId(self.next_id.0 - 1)
    }

    fn next_lane(&mut self) -> u8 {
        if let Some(free) = self.free_lanes.pop_first() {
            return free;
        }
        self.next_lane =
            self.next_lane.checked_add(1).expect("a client opens fewer than 256 subscriptions and sessions");
        self.next_lane - 1
    }

    fn open_slot(&mut self) -> WaitId {
        let id = self.next_id();
        let round = self.round();
        self.slots.push((id, round, Slot::Waiting(None)));
        id
    }

    /// The outcome of a slot if it is there; otherwise remembers whom to wake.
    fn poll_slot(&mut self, id: WaitId, waker: &Waker) -> Option<Outcome<Response>> {
        let at = self.slots.iter().position(|(slot, ..)| *slot == id).expect("a request is polled while it is open");
        if let Slot::Waiting(waiting) = &mut self.slots[at].2 {
            if waiting.as_ref().is_none_or(|known| !known.will_wake(waker)) {
                *waiting = Some(waker.clone());
            }
            return None;
        }
        match self.slots.remove(at) {
            (_, round, Slot::Done(outcome)) => {
                // Which of the open requests it was is told by its place among them.
                self.see(round, (at as u64) << 8 | 1, |digest| outcome.hash(digest));
                Some(outcome)
            }
            _ => unreachable!("checked above"),
        }
    }

    fn close_slot(&mut self, id: WaitId) {
        if let Some(at) = self.slots.iter().position(|(slot, ..)| *slot == id) {
            self.slots.remove(at);
            self.sessions.forget(id);
            self.push(Outgoing::Forget(id));
        }
    }
}

/// Waits for the answer to a request, or for a timer; dropping it tells the world that nobody waits.
struct Wait<'a> {
    seat: &'a Seat,
    id: WaitId,
    open: bool,
}

impl Future for Wait<'_> {
    type Output = Outcome<Response>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.seat.lock().poll_slot(self.id, cx.waker()) {
            Some(outcome) => {
                self.open = false;
                Poll::Ready(outcome)
            }
            None => Poll::Pending,
        }
    }
}

impl Drop for Wait<'_> {
    fn drop(&mut self) {
        if self.open {
            self.seat.lock().close_slot(self.id);
        }
    }
}

pin_project! {
    /// Runs a round: everything polled inside belongs to it.
    struct Round<'a, F> {
        seat: &'a Seat,
        #[pin]
        inner: F,
        number: u16,
        ended: bool,
    }

    impl<F> PinnedDrop for Round<'_, F> {
        fn drop(this: Pin<&mut Self>) {
            let this = this.project();
            if !*this.ended {
                this.seat.lock().end_round(*this.number, None);
            }
        }
    }
}

impl<T: Hash, F: Future<Output = T>> Future for Round<'_, F> {
    type Output = T;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T> {
        let this = self.project();
        let number = *this.number;
        this.seat.lock().rounds.push(number);
        let polled = this.inner.poll(cx);
        let mut state = this.seat.lock();
        state.rounds.pop();
        let Poll::Ready(value) = polled else { return Poll::Pending };
        let result = state.keep_digest.then(|| {
            let mut digest = state.own_digest();
            value.hash(&mut digest);
            state.told_apart |= digest.mentioned() != 0;
            digest.finish128()
        });
        state.end_round(number, result);
        drop(state);
        *this.ended = true;
        Poll::Ready(value)
    }
}

/// The ports of a client of the explored or the simulated world.
#[derive(Clone)]
pub struct SeatPorts {
    seat: Arc<Seat>,
}

impl SeatPorts {
    /// The ports of the client in this seat.
    pub fn new(seat: &Arc<Seat>) -> Self {
        SeatPorts { seat: Arc::clone(seat) }
    }
}

impl Host for SeatPorts {
    fn monotonic(&self) -> Instant {
        let mut state = self.seat.lock();
        state.read_clock = true;
        let (round, now) = (state.round(), state.now);
        state.see(round, 2, |digest| digest.write_u64(now.mono_us));
        now.instant()
    }

    fn wall(&self) -> WallTime {
        let mut state = self.seat.lock();
        state.read_clock = true;
        let (round, now) = (state.round(), state.now);
        state.see(round, 3, |digest| digest.write_u64(now.wall_us as u64));
        now.wall()
    }

    async fn sleep(&self, duration: Duration) {
        let wait = {
            let mut state = self.seat.lock();
            let id = state.open_slot();
            let us = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
            let at_mono_us = state.now.mono_us.saturating_add(us);
            state.push(Outgoing::Timer { id, at_mono_us });
            Wait { seat: &self.seat, id, open: true }
        };
        drop(wait.await);
    }

    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let mut state = self.seat.lock();
        if !state.dead {
            state.spawned.push(Running { task: Box::pin(task), background: false });
        }
    }

    fn spawn_background(&self, task: impl Future<Output = ()> + Send + 'static) {
        let mut state = self.seat.lock();
        if !state.dead {
            state.spawned.push(Running { task: Box::pin(task), background: true });
        }
    }

    fn random(&self) -> u64 {
        let mut state = self.seat.lock();
        state.draws += 1;
        let seed = state.seed;
        state.random.get_or_insert_with(|| Box::new(ChaCha8Rng::from_seed(seed))).next_u64()
    }

    fn unique_id(&self) -> Blob {
        let mut state = self.seat.lock();
        state.unique_ids += 1;
        let (client, number) = (i64::from(state.client), i64::from(state.unique_ids));
        let mut text = SmallVec::<[u8; 24]>::new();
        text.extend_from_slice(b"client-");
        text.extend_from_slice(&Blob::from_int(client));
        text.push(b'/');
        text.extend_from_slice(&Blob::from_int(number));
        Blob::copy_from(&text)
    }

    fn round<T: Hash + Send>(&self, inner: impl Future<Output = T> + Send) -> impl Future<Output = T> + Send {
        let mut state = self.seat.lock();
        let number = state.next_round;
        state.next_round += 1;
        drop(state);
        Round { seat: &self.seat, inner, number, ended: false }
    }
}

impl Ports for SeatPorts {
    type Redis = SeatRedis;
    type ZooKeeper = SeatZooKeeper;
    type Etcd = SeatEtcd;
    type MySql = SeatMySql;

    fn redis(&self, server: usize) -> SeatRedis {
        SeatRedis { seat: Arc::clone(&self.seat), node: place(server), channel: 0 }
    }

    fn mysql(&self, server: usize) -> SeatMySql {
        SeatMySql { seat: Arc::clone(&self.seat), node: place(server) }
    }

    fn zookeeper(&self, servers: Range<usize>) -> SeatZooKeeper {
        SeatZooKeeper { seat: Arc::clone(&self.seat), servers: places(servers) }
    }

    fn etcd(&self, servers: Range<usize>) -> SeatEtcd {
        SeatEtcd { seat: Arc::clone(&self.seat), servers: places(servers) }
    }

    fn client(&self) -> usize {
        let mut state = self.seat.lock();
        state.told_apart = true;
        usize::from(state.client)
    }

    fn record(&self, event: Event) {
        self.seat.lock().push(Outgoing::Record(event));
    }
}

fn place(server: usize) -> u16 {
    u16::try_from(server).expect("a topology has fewer servers than 65536")
}

fn places(servers: Range<usize>) -> Range<u16> {
    place(servers.start)..place(servers.end)
}
