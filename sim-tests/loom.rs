//! What threads share of a lock in the real world, in every interleaving (loom). Built only with
//! `RUSTFLAGS="--cfg madsim --cfg doublehold_loom"`: `--cfg loom` would reach into tokio.
#![cfg(doublehold_loom)]

use doublehold::lock::Lease;
use doublehold::lock::hold::{Hold, Phase};
use doublehold::lock::local::{Forget, Local, Registry, Waiting};
use doublehold::lock::reentrant::{Entry, Record};
use doublehold::port::Instant;
use loom::future::block_on;
use loom::sync::{Arc, Mutex};
use loom::thread;
use std::future::{Future, poll_fn};
use std::mem;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

/// Who loses a hold and who releases it: one of them ends it, and everybody sees the same end.
#[test]
fn a_hold_ends_once() {
    loom::model(|| {
        let hold = Arc::new(Hold::new());
        let keeper = {
            let hold = Arc::clone(&hold);
            thread::spawn(move || (hold.lose(), hold.phase()))
        };
        let released = hold.release();
        let seen = hold.phase();
        let (lost, seen_by_keeper) = keeper.join().expect("the keeper ends");
        assert!(released != lost, "one of the two ends it: released {released}, lost {lost}");
        let end = if lost { Phase::Lost } else { Phase::Released };
        assert_eq!((seen, seen_by_keeper), (end, end));
    });
}

/// Whoever waits for the end is always woken, whether it begins to wait before or after.
#[test]
fn all_who_wait_learn_of_the_end() {
    loom::model(|| {
        let hold = Arc::new(Hold::new());
        let waiter = {
            let hold = Arc::clone(&hold);
            thread::spawn(move || block_on(hold.ended()))
        };
        let keeper = {
            let hold = Arc::clone(&hold);
            thread::spawn(move || hold.lose())
        };
        let seen = block_on(hold.ended());
        assert_eq!((seen, waiter.join().expect("it ends")), (Phase::Lost, Phase::Lost));
        assert!(keeper.join().expect("it ends"));
    });
}

/// A hold that looks first and remembers the waker in a second step, as one is tempted to write it.
#[derive(Default)]
struct LosesWakeUps {
    ended: Mutex<bool>,
    waiting: Mutex<Vec<Waker>>,
}

impl LosesWakeUps {
    fn end(&self) {
        *self.ended.lock().expect("nobody panics") = true;
        self.waiting.lock().expect("nobody panics").drain(..).for_each(Waker::wake);
    }

    async fn ended(&self) {
        poll_fn(|cx| {
            if *self.ended.lock().expect("nobody panics") {
                return Poll::Ready(());
            }
            self.waiting.lock().expect("nobody panics").push(cx.waker().clone());
            Poll::Pending
        })
        .await;
    }
}

/// Counts how often it is woken.
#[derive(Default)]
struct Woken(AtomicUsize);

impl Wake for Woken {
    fn wake(self: std::sync::Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// Polls once while another thread ends what is waited for: what the poll gave, and how often it was woken.
fn poll_while(wait: impl Future<Output = ()>, end: impl FnOnce() + 'static) -> (Poll<()>, usize) {
    let woken = std::sync::Arc::new(Woken::default());
    let waker = Waker::from(std::sync::Arc::clone(&woken));
    let ending = thread::spawn(end);
    let polled = pin!(wait).poll(&mut Context::from_waker(&waker));
    ending.join().expect("it ends");
    (polled, woken.0.load(Ordering::SeqCst))
}

#[test]
fn a_poll_that_has_to_wait_is_woken() {
    loom::model(|| {
        let hold = Arc::new(Hold::new());
        let ended = Arc::clone(&hold);
        let wait = async move {
            ended.ended().await;
        };
        let (polled, woken) = poll_while(wait, move || assert!(hold.lose()));
        assert_eq!(woken, usize::from(polled.is_pending()));
    });
}

/// The test above can fail: it finds the interleaving in which nobody wakes the waiter.
#[test]
#[should_panic(expected = "a wake-up is lost")]
fn a_lost_wake_up_is_found() {
    loom::model(|| {
        let hold = Arc::new(LosesWakeUps::default());
        let ended = Arc::clone(&hold);
        let wait = async move { ended.ended().await };
        let (polled, woken) = poll_while(wait, move || hold.end());
        assert!(polled.is_ready() || woken > 0, "a wake-up is lost");
    });
}

fn lease(token: &'static str) -> Lease {
    Lease { token: token.into(), fence: None, valid_until: None, session: None, hold: None }
}

/// Two threads of one owner, one that leaves while the other re-enters: the servers are told once, after the last has left.
#[test]
fn only_the_last_to_leave_tells_the_servers() {
    loom::model(|| {
        let record = Arc::new(Record::default());
        record.taken(1, &lease("hold"));
        let other = {
            let record = Arc::clone(&record);
            thread::spawn(move || match record.enter(1, |_| true) {
                Entry::Again(lease) => Some(record.leave(1, &lease)),
                Entry::Stale(_) | Entry::New => None,
            })
        };
        let first = record.leave(1, &lease("hold"));
        let again = other.join().expect("it ends");
        let told = usize::from(first) + usize::from(again == Some(true));
        assert_eq!(told, 1, "left: {first}, re-entered and left: {again:?}");
        assert_eq!(record.enter(1, |_| true), Entry::New, "nothing is left on record");
    });
}

/// Owners do not see each other's holds; and a hold that is lost, whoever notices first, goes off the record once.
#[test]
fn a_stale_hold_is_found_by_one() {
    loom::model(|| {
        let record = Arc::new(Record::default());
        record.taken(1, &lease("lost"));
        let other = {
            let record = Arc::clone(&record);
            thread::spawn(move || (record.enter(1, |_| false), record.enter(2, |_| true)))
        };
        let mine = record.enter(1, |_| false);
        let (theirs, stranger) = other.join().expect("it ends");
        let found = [&mine, &theirs].into_iter().filter(|entry| matches!(entry, Entry::Stale(_))).count();
        assert_eq!((found, stranger), (1, Entry::New), "{mine:?} {theirs:?}");
    });
}

/// Explores the interleavings in which threads are interrupted at most so often.
fn with_few_preemptions(model: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(2);
    builder.check(model);
}

/// What a mutex guards: one thread at a time is inside.
#[derive(Clone, Default)]
struct Inside(std::sync::Arc<AtomicUsize>);

impl Inside {
    /// True if no other thread is inside, although this one gives way. A thread must not panic while it has the mutex:
    /// loom would die of that.
    fn is_alone(&self) -> bool {
        let before = self.0.fetch_add(1, Ordering::SeqCst);
        thread::yield_now();
        let now = self.0.fetch_sub(1, Ordering::SeqCst);
        (before, now) == (0, 1)
    }
}

/// Waits for the mutex, and looks whether another thread is inside.
fn visit(local: &Local, inside: &Inside) -> bool {
    let _held = block_on(local.lock());
    inside.is_alone()
}

/// Threads that want a mutex have it one after the other, and each of them gets it.
#[test]
fn a_mutex_is_passed_on() {
    with_few_preemptions(|| {
        let (local, inside) = (Local::new(), Inside::default());
        let waiter = {
            let (local, inside) = (local.clone(), inside.clone());
            thread::spawn(move || visit(&local, &inside))
        };
        let mine = visit(&local, &inside);
        let other = waiter.join().expect("it has its turn");
        let free = local.try_lock().is_some();
        assert_eq!((mine, other, free), (true, true, true));
    });
}

/// Two wait for a mutex, and the first one stops to wait while the holder gives the mutex up: whether the second one is
/// woken, and has it then.
fn a_waiter_stops(stop: fn(Pin<Box<Waiting>>)) {
    loom::model(move || {
        let local = Local::new();
        let held = local.try_lock().expect("it is free");
        let wait = |waiting: &mut Pin<Box<Waiting>>| {
            let woken = std::sync::Arc::new(Woken::default());
            let waker = Waker::from(std::sync::Arc::clone(&woken));
            (waiting.as_mut().poll(&mut Context::from_waker(&waker)).is_ready(), woken)
        };
        let (mut first, mut second) = (Box::pin(local.lock()), Box::pin(local.lock()));
        let (_, (_, woken)) = (wait(&mut first), wait(&mut second));
        let holder = thread::spawn(move || drop(held));
        stop(first);
        holder.join().expect("it ends");
        let woken = woken.0.load(Ordering::SeqCst) > 0;
        let (has_it, _) = wait(&mut second);
        drop(second);
        assert!(woken && has_it, "the turn is lost");
    });
}

#[test]
fn a_waiter_that_stops_passes_its_turn_on() {
    a_waiter_stops(drop);
}

/// The test above can fail: a waiter that stops and keeps its place blocks the next one.
#[test]
#[should_panic(expected = "the turn is lost")]
fn a_place_that_is_left_behind_is_found() {
    a_waiter_stops(mem::forget);
}

/// Two threads ask a registry for the mutex of one name, each at its time.
fn two_threads_ask(forget: Forget) {
    with_few_preemptions(move || {
        let (registry, inside) = (Arc::new(Registry::new(forget)), Inside::default());
        let ask = |registry: &Registry, inside: &Inside, at_us| {
            visit(&registry.obtain(&"lock".into(), Instant::from_micros(at_us)), inside)
        };
        let other = {
            let (registry, inside) = (Arc::clone(&registry), inside.clone());
            thread::spawn(move || ask(&registry, &inside, 1))
        };
        let mine = ask(&registry, &inside, 2);
        let other = other.join().expect("it has its turn");
        drop((registry, inside));
        assert!(mine && other, "another thread is inside");
    });
}

#[test]
fn a_registry_gives_threads_one_mutex_while_it_is_used() {
    two_threads_ask(Forget::Unused);
}

/// The test above can fail: a registry that forgets a mutex that is held gives the next thread another one.
#[test]
#[should_panic(expected = "another thread is inside")]
fn a_registry_that_forgets_is_found() {
    two_threads_ask(Forget::OlderThan(Duration::ZERO));
}
