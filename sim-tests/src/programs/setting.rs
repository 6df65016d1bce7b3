//! The world of a random program: its servers, its faults, and what is assumed about time.

use super::ast::{self, Program, Server};
use super::host::{Fault, World, etcd_cluster, mysql_config};
use super::interpret::Interpreter;
use doublehold::world::fault::{Assumptions, ClockSteps};
use doublehold::world::setup::ArrivalTime;
use doublehold_models::{ServiceConfig, redis, zookeeper};
use std::sync::Arc;

impl World {
    /// A random program.
    pub fn of(program: &Program) -> World {
        let config = |server: &Server| match *server {
            Server::Redis { durable: true } => ServiceConfig::Redis(redis::Config::default()),
            Server::Redis { durable: false } => ServiceConfig::Redis(redis::Config {
                persistence: redis::Persistence::None,
                ..redis::Config::default()
            }),
            Server::ZooKeeper(servers) => {
                ServiceConfig::ZooKeeper(zookeeper::Config { servers, ..zookeeper::Config::default() })
            }
            Server::Etcd(servers) => etcd_cluster(servers),
            Server::MySql => mysql_config(),
        };
        let mut configs: Vec<ServiceConfig> = program.servers.iter().map(config).collect();
        let redis = configs.iter().position(|config| matches!(config, ServiceConfig::Redis(_)));
        if redis.is_none() && program.end == ast::End::Writes {
            configs.push(ServiceConfig::Redis(redis::Config::default()));
        }
        let mut world = World::on(configs, Interpreter(Arc::new(program.clone())), program.clients);
        if let Some(service) = redis {
            world = world.guarded("a", service, "lock");
        }
        let setup = &mut world.0;
        setup.symmetric = program.is_alike();
        setup.arrival = if program.any_time { ArrivalTime::AnyTime } else { ArrivalTime::AtStart };
        for fault in &program.faults {
            setup.budgets = setup.budgets.with(fault_of(*fault), 1);
        }
        let us = |ms: u64| ms * 1000;
        let ast::Time { delay_ms, pause_ms, drift_ppm, offset_ms, step_ms } = program.time;
        setup.assumptions = Assumptions {
            delay_us_max: delay_ms.map(us),
            pause_us_max: pause_ms.map(us),
            drift_ppm_max: drift_ppm,
            offset_us_max: us(offset_ms),
            clock_steps_us: ClockSteps([step_ms * 1000, 0]),
            ..Assumptions::default()
        };
        world.judged_by(&[program.property])
    }
}

fn fault_of(fault: ast::Fault) -> Fault {
    match fault {
        ast::Fault::Break => Fault::Break,
        ast::Fault::Stall => Fault::Stall,
        ast::Fault::Delay => Fault::Delay,
        ast::Fault::Pause => Fault::Pause,
        ast::Fault::ClientCrash => Fault::ClientCrash,
        ast::Fault::NodeCrash => Fault::NodeCrash,
        ast::Fault::ClockStep => Fault::ClockStep,
        ast::Fault::ClientClockStep => Fault::ClientClockStep,
        ast::Fault::Lag => Fault::Lag,
        ast::Fault::SessionExpiry => Fault::SessionExpiry,
        ast::Fault::NodePause => Fault::NodePause,
        ast::Fault::ClientPowerLoss => Fault::ClientPowerLoss,
        ast::Fault::NodePowerLoss => Fault::NodePowerLoss,
        ast::Fault::Partition => Fault::Partition,
    }
}
