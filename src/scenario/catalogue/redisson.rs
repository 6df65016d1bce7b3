//! The watchdog lock: sound, and with each of its published mistakes.

use super::redis::TIMING;
use super::{about, base, ms, workload};
use crate::lock::redisson::{AfterFailedRenewal, AfterLoss, AfterLostReply, Config};
use crate::property;
use crate::scenario::guarded::{GuardedScenario, LockKind, Work};
use crate::world::fault::Fault;

const SOURCE: &str = "Redisson, RedissonLock";

fn watchdog(change: impl FnOnce(&mut Config)) -> LockKind {
    let mut config = TIMING.redisson();
    change(&mut config);
    LockKind::Redisson(config)
}

/// The watchdog lock and its rows.
pub(super) fn scenarios() -> Vec<GuardedScenario> {
    [sound(), r13(), r15(), r17()].concat()
}

/// Holders that hold for longer than the TTL.
fn sound() -> Vec<GuardedScenario> {
    let plain = about("redisson-lock", None, "the watchdog lock, held for longer than its TTL", SOURCE);
    let crash = about("redisson-lock-crash", None, "the watchdog lock, whose holder may crash", SOURCE);
    vec![
        base(plain, workload(watchdog(|_| ()), Work::Hold(ms(150)))),
        base(crash, workload(watchdog(|_| ()), Work::Hold(ms(50)))).faults(Fault::ClientCrash, 1),
    ]
}

fn r13() -> Vec<GuardedScenario> {
    let source = "redisson#4706, #4822";
    let summary = "an attempt whose answer was lost is sent again and counts twice; one release leaves one";
    let about = about("ambiguous-reentrant-acquire", Some("R13"), summary, source);
    let mistake = watchdog(|config| config.after_lost_reply = AfterLostReply::SendAgain);
    let broken = base(about, workload(mistake, Work::Hold(ms(20))))
        .only(property::Leak)
        .faults(Fault::Break, 1)
        .violating("leak");
    let fixed = broken.clone().lock(watchdog(|_| ())).fixed("fixed", "the lock gives back what it may have taken");
    vec![broken, fixed]
}

fn r15() -> Vec<GuardedScenario> {
    let about = about("watchdog-gives-up", Some("R15"), "one failed renewal ends the watchdog", "redisson#3194");
    let mistake = watchdog(|config| {
        config.after_failed_renewal = AfterFailedRenewal::GiveUp;
        config.after_loss = AfterLoss::Silent;
    });
    let broken = base(about, workload(mistake, Work::Hold(ms(150))))
        .only(property::Belief)
        .faults(Fault::Break, 1)
        .violating("belief");
    let fixed = broken.clone().lock(watchdog(|_| ())).fixed("fixed", "the watchdog tries again");
    vec![broken, fixed]
}

fn r17() -> Vec<GuardedScenario> {
    let source = "derived: a renewal that answers 0 ends the watchdog, and nobody tells the holder";
    let about = about("silent-loss", Some("R17"), "the lock is gone, and its holder carries on", source);
    let broken = base(about, workload(watchdog(|config| config.after_loss = AfterLoss::Silent), Work::Hold(ms(150))))
        .only(property::Belief)
        .faults(Fault::Pause, 1)
        .violating("belief");
    let fixed = broken.clone().lock(watchdog(|_| ())).fixed("fixed", "the holder knows until when its hold may last");
    vec![broken, fixed]
}
