//! What threads share of a lock in the real world, in every interleaving (loom). Built only with
//! `RUSTFLAGS="--cfg madsim --cfg doublehold_loom"`: `--cfg loom` would reach into tokio.
#![cfg(doublehold_loom)]

use doublehold::lock::Lease;
use doublehold::lock::hold::{Hold, Phase};
use doublehold::lock::reentrant::{Entry, Record};
use loom::future::block_on;
use loom::sync::{Arc, Mutex};
use loom::thread;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};

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
