//! Articles: clients who read an article, and one who writes it.

use super::flow::Flow;
use super::keeper;
use super::mutation::{Mutant, Mutation};
use super::{Parameters, Workload};
use crate::flow::cache_aside::{Article, Config, MIGRATIONS, oracle};
use crate::flow::schema::migrate;
use crate::history::Fact;
use crate::port::mysql::MySql;
use crate::port::{Ports, Unanswered};
use crate::property::Sometimes;
use crate::world::setup::ServiceSpec;

/// The article.
const ARTICLE: i64 = 1;

/// The first client writes the article, the others read it, each so often.
#[derive(Clone, Copy, Debug)]
pub struct Articles {
    /// How it is cached. The database is the first server, Redis the second.
    pub cached: Config,
    /// How often.
    pub times: usize,
    /// A deliberate mistake.
    pub mutation: Option<Mutation>,
}

impl Articles {
    async fn run_with<P: Ports>(&self, ports: &P) {
        let mut article = Article::new(ports, self.cached, ARTICLE);
        let writes = ports.client() == 0;
        for _ in 0..self.times {
            match writes {
                true => article.write().await,
                false => _ = article.read().await,
            }
        }
    }
}

impl Flow for Articles {
    fn services(&self) -> Vec<ServiceSpec> {
        vec![keeper::database(), keeper::redis("redis".to_owned())]
    }

    fn sized(&self, parameters: &Parameters) -> Self {
        Articles { times: parameters.operations, ..*self }
    }

    fn sometimes(&self, _parameters: &Parameters) -> Vec<Sometimes> {
        vec![oracle::CACHED]
    }

    fn clients_min(&self) -> usize {
        2
    }

    fn mutated(self, mutation: Mutation) -> Self {
        Articles { mutation: Some(mutation), ..self }
    }
}

impl Workload for Articles {
    async fn prepare<P: Ports>(&self, ports: P) -> Result<(), Unanswered> {
        migrate(&mut ports.mysql(self.cached.database).session(), &MIGRATIONS).await?;
        Article::new(&ports, self.cached, ARTICLE).create().await
    }

    async fn audit<P: Ports>(&self, ports: P) -> Result<Option<Fact>, Unanswered> {
        Ok(Some(Fact::of(&Article::new(&ports, self.cached, ARTICLE).audit().await?)))
    }

    async fn run<P: Ports>(&self, ports: P) {
        self.run_with(&Mutant::new(ports, self.mutation)).await
    }
}
