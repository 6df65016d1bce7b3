//! What a model does not have never makes a scenario hold: the execution ends there, in each world that has models.

use doublehold::explore::exhaustive::{Exhaustive, Reduction};
use doublehold::explore::{Limits, Verdict, check};
use doublehold::history::Fact;
use doublehold::port::Unanswered;
use doublehold::port::mysql::{MySql, Session};
use doublehold::port::{Command, Outcome, Ports, Redis};
use doublehold::property::{self, NOT_MODELLED};
use doublehold::scenario::{Simulation, Workload, program};
use doublehold::trace::Recorder;
use doublehold::world::cut::Partitions;
use doublehold::world::fault::{Assumptions, Budgets};
use doublehold::world::setup::{ArrivalTime, ServiceSpec, Setup};
use doublehold::world::simulated::run;
use doublehold_models::{ServiceConfig, mysql, redis};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// Who asks for what the model does not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asks {
    /// A client, to which every error means that the lock is taken.
    Command,
    /// The same in a script that catches errors.
    Script,
    /// The same in SQL.
    Statement,
    /// Who prepares the servers.
    Prepare,
    /// Who audits them.
    Audit,
    Nothing,
}

const ASKS: [Asks; 5] = [Asks::Command, Asks::Script, Asks::Statement, Asks::Prepare, Asks::Audit];

/// A lock that takes an error for a no: nobody ever gets it where the model answers with an error.
#[derive(Clone)]
struct ErrorIsNo(Asks);

impl ErrorIsNo {
    async fn take<P: Ports>(&self, ports: &P) -> bool {
        static SCRIPT: doublehold::port::Script = doublehold::port::Script {
            body: "local ok = pcall(redis.call, 'BITOP', 'NOT', 'a', 'b') return ok and 1 or 0",
        };
        let redis = ports.redis(0);
        match self.0 {
            Asks::Command => matches!(redis.call(Command::new("SPOP").arg("free")).await, Outcome::Ok(_)),
            Asks::Script => matches!(redis.eval(&SCRIPT, &[], &[]).await, Outcome::Ok(_)),
            Asks::Statement => {
                matches!(ports.mysql(1).session().run("DO RELEASE_LOCK('a')", Vec::new()).await, Outcome::Ok(_))
            }
            Asks::Prepare | Asks::Audit | Asks::Nothing => redis.call(Command::new("PING")).await.ok().is_some(),
        }
    }
}

impl Workload for ErrorIsNo {
    async fn run<P: Ports>(&self, ports: P) {
        let _taken = self.take(&ports).await;
    }

    async fn prepare<P: Ports>(&self, ports: P) -> Result<(), Unanswered> {
        if self.0 == Asks::Prepare {
            drop(ports.redis(0).call(Command::new("LOLWUT")).await);
        }
        Ok(())
    }

    async fn audit<P: Ports>(&self, ports: P) -> Result<Option<Fact>, Unanswered> {
        if self.0 == Asks::Audit {
            drop(ports.redis(0).call(Command::new("LOLWUT")).await);
        }
        Ok(None)
    }
}

fn setup(asks: Asks) -> Arc<Setup> {
    let service = |name: &str, config| ServiceSpec { name: name.into(), config };
    Arc::new(Setup {
        services: vec![
            service("redis", ServiceConfig::Redis(redis::Config::default())),
            service("mysql", ServiceConfig::MySql(mysql::Config::default())),
        ],
        clients: 2,
        program: program(ErrorIsNo(asks)),
        symmetric: true,
        arrival: ArrivalTime::AtStart,
        partitions: Partitions::Any,
        budgets: Budgets::NONE,
        assumptions: Assumptions { delay_us_max: Some(0), ..Assumptions::default() },
        locks: Vec::new(),
        resources: Vec::new(),
        properties: vec![Arc::new(property::Deadlock)],
        seed: 1,
    })
}

#[test]
fn it_does_not_hold_in_the_explored_world() {
    for asks in ASKS {
        for reduction in [Reduction::ALL, Reduction::NONE] {
            let mut strategy = Exhaustive::new(reduction);
            let report = check(&setup(asks), &mut strategy, &Limits::default(), &AtomicBool::new(false), &mut |_| ());
            let Verdict::Violated(violation) = &report.verdict else { panic!("{asks:?}: {:?}", report.verdict) };
            assert_eq!(violation.property, NOT_MODELLED, "{asks:?}");
        }
    }
}

#[test]
fn nor_in_the_simulated_world() {
    for asks in ASKS {
        let ran = run(&setup(asks), &Simulation::default(), &[], Recorder::off());
        let violation = ran.expect("the simulated world is built").violation;
        assert_eq!(violation.map(|violation| violation.property).as_deref(), Some(NOT_MODELLED), "{asks:?}");
    }
}

/// What is modelled holds: the violations above are of what is not.
#[test]
fn what_is_modelled_holds() {
    let mut strategy = Exhaustive::new(Reduction::ALL);
    let stop = AtomicBool::new(false);
    let report = check(&setup(Asks::Nothing), &mut strategy, &Limits::default(), &stop, &mut |_| ());
    assert_eq!(report.verdict, Verdict::Holds);
}
