//! The flash sale's stages on a real MariaDB and a real Redis, which are started for it.

use super::Figures;
use super::flash_sale::{Crowd, present};
use crate::cli::error::CliError;
use crate::flow::flash_sale::Stage;
use crate::port::mysql::{MySql, Session};
use crate::port::{Command, Ports, Redis, Unanswered, answered};
use crate::scenario::Workload;
use crate::world::real::servers::{MariaDbServer, RedisServer};
use crate::world::real::{MySqlOptions, RealMySql, RealPorts, RedisOptions};
use tokio::runtime::Runtime;

const DROP: &str = "DROP TABLE IF EXISTS stock, stock_order";

pub(super) fn tables(runtime: &Runtime, figures: &mut Figures) -> Result<(), CliError> {
    let (database, redis) = (MariaDbServer::start()?, RedisServer::start()?);
    let mysql = RealMySql::new(&database.url(), MySqlOptions::default()).expect("a server that was started has a URL");
    let ports = |client| {
        let ports = RealPorts::new(client, &[redis.url()], RedisOptions::default(), None);
        ports.expect("a server that was started has a URL").with_mysql(&mysql)
    };
    let mut all = Vec::new();
    for stage in Stage::ALL {
        let crowd = Crowd::new(stage);
        runtime
            .block_on(async {
                empty(&ports(0)).await?;
                crowd.prepare(ports(0)).await?;
                let mut clients = tokio::task::JoinSet::new();
                for client in 0..crowd.clients() {
                    let (crowd, ports) = (crowd.clone(), ports(client));
                    clients.spawn(async move { crowd.run(ports).await });
                }
                while clients.join_next().await.is_some() {}
                crowd.audit(ports(0)).await
            })
            .map_err(|problem: Unanswered| CliError::Environment(problem.to_string()))?;
        all.push(crowd.measured());
    }
    present(&all, "real servers", "-real", figures);
    Ok(())
}

/// What the last stage has left.
async fn empty<P: Ports>(ports: &P) -> Result<(), Unanswered> {
    answered(DROP, ports.mysql(0).session().run(DROP, Vec::new()).await)?;
    answered("FLUSHALL", ports.redis(0).call(Command::new("FLUSHALL")).await).map(drop)
}
