//! Calls: clients who record calls of consultants and look at the ranking.

use super::flow::Flow;
use super::guarded::LockKind;
use super::keeper;
use super::mutation::{Mutant, Mutation};
use super::{Parameters, Workload};
use crate::flow::ranking::audit::audit;
use crate::flow::ranking::{Call, Config, Kept, MIGRATIONS, Ranking, oracle};
use crate::flow::schema::migrate;
use crate::history::Fact;
use crate::lock::any::AnyLock;
use crate::lock::segmented::{Segmented, Segments};
use crate::port::mysql::MySql;
use crate::port::{Ports, Unanswered};
use crate::property::Sometimes;
use crate::world::setup::ServiceSpec;

/// The merchant whose ranking is audited.
const MERCHANT: i64 = 0;

/// Clients who record a call and look at the ranking, one after the other.
#[derive(Clone, Debug)]
pub struct Calls {
    /// How rankings are kept. The database is the first server, Redis the second; behind them are those of the lock.
    pub ranking: Config,
    /// The merchants' locks.
    pub lock: LockKind,
    /// How many consultants a merchant has.
    pub consultants: i64,
    /// How many calls each client records.
    pub calls: usize,
    /// Whether a call is there before the clients begin.
    pub begun: bool,
    /// A deliberate mistake.
    pub mutation: Option<Mutation>,
}

impl Calls {
    fn ranking<P: Ports>(&self, ports: &P) -> Ranking<P, AnyLock<P>> {
        Ranking::new(ports, self.ranking, None)
    }

    async fn run_with<P: Ports>(&self, ports: &P) {
        let servers = 2..2 + self.lock.keeper().servers();
        let locks = self.lock.locks(ports, servers).map(|make| Segmented::new(Segments::PerKey, make));
        self.call(ports, Ranking::new(ports, self.ranking, locks)).await;
    }

    async fn call<P: Ports>(&self, ports: &P, mut ranking: Ranking<P, AnyLock<P>>) {
        for _ in 0..self.calls {
            let consultant = if self.consultants == 1 { 0 } else { (ports.random() % self.consultants as u64) as i64 };
            let call = Call { id: ports.unique_id(), merchant: MERCHANT, consultant };
            ranking.record(&call).await;
            ranking.top(MERCHANT).await;
        }
    }
}

impl Flow for Calls {
    fn services(&self) -> Vec<ServiceSpec> {
        let shop = [keeper::database(), keeper::redis("redis".to_owned())];
        shop.into_iter().chain(self.lock.keeper().services(self.lock.keeper().servers())).collect()
    }

    fn sized(&self, parameters: &Parameters) -> Self {
        Calls { calls: parameters.operations, ..self.clone() }
    }

    fn sometimes(&self, _parameters: &Parameters) -> Vec<Sometimes> {
        vec![oracle::CACHED]
    }

    fn mutated(self, mutation: Mutation) -> Self {
        Calls { mutation: Some(mutation), ..self }
    }
}

impl Workload for Calls {
    async fn prepare<P: Ports>(&self, ports: P) -> Result<(), Unanswered> {
        migrate(&mut ports.mysql(self.ranking.database).session(), &MIGRATIONS).await?;
        if self.begun {
            let call = Call { id: "before".into(), merchant: MERCHANT, consultant: 0 };
            // Redis knows nothing of it.
            let mut ranking =
                Ranking::<P, AnyLock<P>>::new(&ports, Config { kept: Kept::Pushed, ..self.ranking }, None);
            ranking.record(&call).await;
        }
        Ok(())
    }

    async fn audit<P: Ports>(&self, ports: P) -> Result<Option<Fact>, Unanswered> {
        if self.ranking.kept == Kept::Applied {
            // The job brings in what a crash has left out.
            self.ranking(&ports).apply_all(MERCHANT).await;
        }
        Ok(Some(Fact::of(&audit(&ports, &self.ranking, MERCHANT).await?)))
    }

    async fn run<P: Ports>(&self, ports: P) {
        self.run_with(&Mutant::new(ports, self.mutation)).await
    }
}
