//! A client's seat: its tasks, what they wait for, what they have seen.

use super::exchange::{Outgoing, Purpose, Told, WaitId};
use super::inbox::Inbox;
use super::kept::Kept;
use crate::base::time::{self, Observed};
use crate::port::{self, Outcome};
use crate::world::clock::Reading;
use crate::world::message::Message;
use doublehold_models::{ClientId, Digest, Request, Response};
use pin_project_lite::pin_project;
use rand_chacha::ChaCha8Rng;
use smallvec::SmallVec;
use std::collections::BTreeSet;
use std::future::Future;
use std::hash::{Hash, Hasher};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

/// A task of a client.
pub type Task = Pin<Box<dyn Future<Output = ()> + Send>>;

/// The tasks of a client that have not ended.
pub struct Tasks(SmallVec<[Running; 2]>);

/// A task; nobody waits for one that runs in the background.
pub(super) struct Running {
    pub(super) task: Task,
    pub(super) background: bool,
}

impl Tasks {
    /// A client that begins with this task.
    pub fn of(first: Task) -> Self {
        Tasks(SmallVec::from_iter([Running { task: first, background: false }]))
    }
}

/// What became of something that a client waits for.
#[derive(Debug)]
pub(super) enum Slot {
    Waiting(Option<Waker>),
    Done(Done),
}

/// How a wait has ended.
#[derive(Debug, Hash)]
pub(super) enum Done {
    /// The request was answered, or lost.
    Answered(Outcome<Response>),
    /// The timer has fired.
    Fired,
}

impl Done {
    /// The answer to a request.
    pub(super) fn answer(self) -> Outcome<Response> {
        match self {
            Done::Answered(outcome) => outcome,
            Done::Fired => unreachable!("a request is no timer"),
        }
    }
}

/// The digest of what the code has seen: one entry an input, with the round that it belongs to.
#[derive(Default)]
pub(super) struct Seen {
    inputs: SmallVec<[(u16, u128); 12]>,
}

pub(super) struct State {
    pub(super) client: u16,
    pub(super) now: Reading,
    pub(super) next_id: WaitId,
    pub(super) next_lane: u8,
    /// Lanes that were given back.
    pub(super) free_lanes: BTreeSet<u8>,
    pub(super) slots: SmallVec<[(WaitId, u16, Slot); 4]>,
    pub(super) inboxes: Vec<Inbox>,
    pub(super) kept: Kept,
    pub(super) outbox: Vec<Outgoing>,
    pub(super) spawned: Vec<Running>,
    pub(super) seed: [u8; 32],
    pub(super) random: Option<Box<ChaCha8Rng>>,
    pub(super) draws: u32,
    pub(super) unique_ids: u32,
    pub(super) rounds: SmallVec<[u16; 4]>,
    pub(super) next_round: u16,
    pub(super) seen: Seen,
    /// Whether anybody asks for the digest of what was seen.
    pub(super) keep_digest: bool,
    /// The code has read a clock since it was last told something.
    pub(super) read_clock: bool,
    /// The code was told another client's name, or asked for its own number.
    pub(super) told_apart: bool,
    /// What the code did with moments.
    pub(super) observed: Observed,
    /// The process has ended: whatever drops now must not reach the world.
    pub(super) dead: bool,
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
    /// Ends once the client's monotonic clock has moved by `duration`.
    pub(super) fn timer(&self, duration: Duration) -> Wait<'_> {
        let mut state = self.lock();
        let id = state.open_slot();
        let us = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        let at_mono_us = state.now.mono_us.saturating_add(us);
        state.push(Outgoing::Timer { id, at_mono_us });
        Wait { seat: self, id, open: true }
    }

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
            kept: Kept::default(),
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

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Tells the client something, at this reading of its clocks. Its code must be polled after.
    pub fn tell(&self, now: Reading, told: Told) {
        let mut state = self.lock();
        state.now = now;
        state.read_clock = false;
        state.hear(told);
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
            if let Slot::Done(done) = slot {
                digest.write_u64(at as u64);
                done.hash(&mut digest);
            }
        }
        state.inboxes.iter().for_each(|inbox| inbox.digest(&mut digest));
        state.kept.hash(&mut digest);
        digest.finish128()
    }

    /// Whether the code has read a clock since it was last told something.
    pub fn read_clock(&self) -> bool {
        self.lock().read_clock
    }

    /// Whether the code can be told apart from another client's: it was told another's name, or asked for its own
    /// number.
    pub fn is_told_apart(&self) -> bool {
        self.lock().told_apart
    }

    /// What the code did with moments since the last call.
    pub fn take_observed(&self) -> Observed {
        std::mem::take(&mut self.lock().observed)
    }

    /// Polls the tasks of this client, which has been told so many things, until none of them wants to go on. True
    /// once all that somebody waits for have ended.
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
    /// Takes in what the client is told.
    fn hear(&mut self, told: Told) {
        match told {
            Told::Start => {}
            Told::Answer(id, outcome) => {
                if let Some(outcome) = self.library_answered(id, outcome) {
                    self.complete(id, outcome);
                }
            }
            Told::Fired(id) => {
                if !self.library_fired(id) {
                    self.end_wait(id, Done::Fired);
                }
            }
            Told::Message(node, lane, message) => {
                if let Some(message) = self.library_told(node, lane, message) {
                    self.deliver(node, lane, message);
                }
            }
            Told::Hangup(node, lane, ids) => {
                self.lose(&ids);
                self.hang_up(node, lane);
                self.library_cut(node, lane);
            }
            Told::Together(all) => all.into_iter().for_each(|told| self.hear(told)),
        }
    }

    /// A request was answered, or lost.
    pub(super) fn complete(&mut self, id: WaitId, outcome: Outcome<Response>) {
        self.end_wait(id, Done::Answered(outcome));
    }

    fn end_wait(&mut self, id: WaitId, done: Done) {
        if let Some((_, _, slot)) = self.slots.iter_mut().find(|(slot, ..)| *slot == id)
            && let Slot::Waiting(Some(waker)) = std::mem::replace(slot, Slot::Done(done))
        {
            waker.wake();
        }
    }

    pub(super) fn lose(&mut self, ids: &[WaitId]) {
        for id in ids {
            self.complete(*id, Outcome::Indeterminate(port::Unknown::ConnectionLost));
        }
    }

    /// Sends a request on a connection, by its node and channel.
    pub(super) fn ask(&mut self, id: WaitId, (node, channel): (u16, u8), purpose: Purpose, request: Request) {
        let request = Arc::new(Message::new(ClientId(self.client), request));
        self.push(Outgoing::Request { id, node, channel, purpose, request });
    }

    pub(super) fn push(&mut self, outgoing: Outgoing) {
        if !self.dead {
            self.outbox.push(outgoing);
        }
    }

    pub(super) fn round(&self) -> u16 {
        self.rounds.last().copied().unwrap_or(0)
    }

    /// The number of a new round.
    pub(super) fn begin_round(&mut self) -> u16 {
        self.next_round += 1;
        self.next_round - 1
    }

    /// A digest that writes this client's own name as "mine".
    pub(super) fn own_digest(&self) -> Digest {
        Digest::naming_self(usize::from(self.client))
    }

    /// True if another client was named.
    fn names_another(&self, digest: &Digest) -> bool {
        digest.named() & !(1 << self.client.min(31)) != 0
    }

    /// Notes that the code has seen an input.
    pub(super) fn see(&mut self, round: u16, kind: u64, with: impl FnOnce(&mut Digest)) {
        if !self.keep_digest {
            return;
        }
        let mut digest = self.own_digest();
        digest.write_u64(kind);
        with(&mut digest);
        self.told_apart |= self.names_another(&digest);
        self.seen.inputs.push((round, digest.finish128()));
    }

    /// Forgets what a round has seen but for `result`, which belongs to the round around it.
    pub(super) fn end_round(&mut self, round: u16, result: Option<u128>) {
        let outer = self.round();
        self.seen.inputs.retain(|(of, _)| *of != round);
        if let Some(result) = result {
            self.seen.inputs.push((outer, result));
        }
    }

    pub(super) fn next_id(&mut self) -> WaitId {
        self.next_id.0 += 1;
        WaitId(self.next_id.0 - 1)
    }

    pub(super) fn next_lane(&mut self) -> u8 {
        if let Some(free) = self.free_lanes.pop_first() {
            return free;
        }
        self.next_lane =
            self.next_lane.checked_add(1).expect("a client opens fewer than 256 subscriptions and sessions");
        self.next_lane - 1
    }

    pub(super) fn open_slot(&mut self) -> WaitId {
        let id = self.next_id();
        let round = self.round();
        self.slots.push((id, round, Slot::Waiting(None)));
        id
    }

    /// How a wait has ended, if it has; otherwise remembers whom to wake.
    pub(super) fn poll_slot(&mut self, id: WaitId, waker: &Waker) -> Option<Done> {
        let at = self.slots.iter().position(|(slot, ..)| *slot == id).expect("a request is polled while it is open");
        if let Slot::Waiting(waiting) = &mut self.slots[at].2 {
            if waiting.as_ref().is_none_or(|known| !known.will_wake(waker)) {
                *waiting = Some(waker.clone());
            }
            return None;
        }
        match self.slots.remove(at) {
            (_, round, Slot::Done(done)) => {
                // Which of the open requests it was is told by its place among them.
                self.see(round, (at as u64) << 8 | 1, |digest| done.hash(digest));
                Some(done)
            }
            _ => unreachable!("checked above"),
        }
    }

    pub(super) fn close_slot(&mut self, id: WaitId) {
        if let Some(at) = self.slots.iter().position(|(slot, ..)| *slot == id) {
            self.slots.remove(at);
            self.kept.forget(id);
            self.push(Outgoing::Forget(id));
        }
    }
}

impl State {
    pub(super) fn inbox(&mut self, node: u16, lane: u8) -> Option<&mut Inbox> {
        self.inboxes.iter_mut().find(|inbox| (inbox.node, inbox.lane) == (node, lane))
    }

    pub(super) fn deliver(&mut self, node: u16, lane: u8, message: Response) {
        if let Some(inbox) = self.inbox(node, lane) {
            inbox.messages.push_back(message);
            inbox.wake();
        }
    }

    pub(super) fn drop_inbox(&mut self, node: u16, lane: u8) {
        self.inboxes.retain(|inbox| (inbox.node, inbox.lane) != (node, lane));
    }

    pub(super) fn hang_up(&mut self, node: u16, lane: u8) {
        if let Some(inbox) = self.inbox(node, lane) {
            inbox.closed = true;
            inbox.wake();
        }
    }
}

/// Waits for the answer to a request, or for a timer; dropping it tells the world that nobody waits.
pub(super) struct Wait<'a> {
    pub(super) seat: &'a Seat,
    pub(super) id: WaitId,
    pub(super) open: bool,
}

impl Wait<'_> {
    /// The answer to a request.
    pub(super) async fn answer(self) -> Outcome<Response> {
        self.await.answer()
    }
}

impl Future for Wait<'_> {
    type Output = Done;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.seat.lock().poll_slot(self.id, cx.waker()) {
            Some(done) => {
                self.open = false;
                Poll::Ready(done)
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
    pub(super) struct Round<'a, F> {
        pub(super) seat: &'a Seat,
        #[pin]
        pub(super) inner: F,
        pub(super) number: u16,
        pub(super) ended: bool,
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
            state.told_apart |= state.names_another(&digest);
            digest.finish128()
        });
        state.end_round(number, result);
        drop(state);
        *this.ended = true;
        Poll::Ready(value)
    }
}
