//! The command.
use doublehold::explore::exhaustive::*;
use doublehold::explore::*;
use doublehold::scenario::*;
use std::sync::Arc;
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;
fn main() {
    let args: Vec<String> = std::env::args().collect();
    let registry = Registry::standard();
    for scenario in registry.select(&args[1]) {
        let mut p = scenario.defaults();
        if let Some(n) = args.get(2) {
            p.clients = n.parse().unwrap();
        }
        if let Some(n) = args.get(3) {
            p.assumptions.expiries_max = Some(n.parse().unwrap());
        }
        for red in [Reduction::ALL, Reduction::NONE] {
            if args.get(4).is_some() && red == Reduction::NONE {
                continue;
            }
            let setup = Arc::new(scenario.setup(&p, 1));
            let t = std::time::Instant::now();
            let stop = std::sync::atomic::AtomicBool::new(false);
            let limits = Limits { time_max: Some(std::time::Duration::from_secs(30)), ..Limits::default() };
            let mut s = Exhaustive::new(red);
            let r = check(&setup, &mut s, &limits, &stop, &mut |_| ());
            println!(
                "{:32} {:?} {:?} {:?} {:?} len {:?}",
                scenario.about().name,
                scenario.about().expects,
                r.verdict,
                r.progress,
                t.elapsed(),
                r.counterexample.map(|c| c.len())
            );
        }
    }
}
