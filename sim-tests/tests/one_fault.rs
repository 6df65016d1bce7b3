//! Known-bad locks that only one kind of fault breaks: under every other single fault they do no worse than a sound lock.

use doublehold::explore::exhaustive::{Exhaustive, Reduction};
use doublehold::explore::{Limits, Verdict, check};
use doublehold::scenario::Parameters;
use doublehold::world::fault::{Budgets, ClockSteps, Fault};
use doublehold_sim_tests::scenario;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// A known-bad scenario, a sound one, and the only fault that breaks the first and not the second.
const PAIRS: [(&str, &str, Fault); 5] = [
    ("mysql-user-lock-power-loss", "mysql-user-lock-power-loss-lease", Fault::ClientPowerLoss),
    ("redlock-crash-restart", "redlock-crash-restart-fixed", Fault::NodePowerLoss),
    ("mutant-late-yes-not-given-back", "mutant-late-yes-not-given-back-fixed", Fault::NodePause),
    ("mutant-fail-open", "mutant-fail-open-fixed", Fault::Partition),
    ("mutant-fence-from-clock", "mutant-fence-from-clock-forward", Fault::ClockStep),
];

/// A search ends after this many states. Where it is cut short, it still must not disagree about what it saw; that the sound
/// scenarios hold is for the catalogue's tests, which search them to their end.
const STATES_MAX: u64 = 40_000;

/// The verdict on the scenario under one fault of this kind and no other.
fn under(name: &str, fault: Fault) -> Verdict {
    let scenario = scenario(name);
    let mut parameters = Parameters { budgets: Budgets::NONE.with(fault, 1), ..scenario.defaults() };
    if parameters.assumptions.clock_steps_us.iter().next().is_none() {
        parameters.assumptions.clock_steps_us = ClockSteps([1_000_000, -1_000_000]);
    }
    let limits = Limits { states_max: Some(STATES_MAX), ..Limits::default() };
    let mut search = Exhaustive::new(Reduction::ALL);
    check(&Arc::new(scenario.setup(&parameters, 1)), &mut search, &limits, &AtomicBool::new(false), &mut |_| ()).verdict
}

#[test]
fn only_its_fault_tells_a_known_bad_lock_from_a_sound_one() {
    for (broken, sound, its_fault) in PAIRS {
        let mut complete = 0;
        for fault in Fault::ALL {
            let (broken_under, sound_under) = (under(broken, fault), under(sound, fault));
            complete += usize::from(matches!(broken_under, Verdict::Holds));
            let [is_broken, is_sound_broken] =
                [&broken_under, &sound_under].map(|verdict| matches!(verdict, Verdict::Violated(_)));
            let tells_apart = is_broken && !is_sound_broken;
            let verdicts = format!("{fault}: {broken}: {broken_under:?}; {sound}: {sound_under:?}");
            assert_eq!(tells_apart, fault == its_fault, "{verdicts}");
        }
        assert!(complete >= 6, "{broken} was searched to its end under {complete} faults only");
    }
}
