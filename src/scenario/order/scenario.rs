//! The scenario of the order flow: its servers, its customers, its faults, its oracles.

use super::Orders;
use crate::flow::order::oracle;
use crate::property::Property;
use crate::scenario::{About, CLIENTS_MAX, Parameters, Scenario, Simulation, program};
use crate::world::setup::{ArrivalTime, ServiceSpec, Setup};
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

/// Customers of the order flow.
#[derive(Clone, Debug)]
pub struct OrderScenario {
    /// What it is about.
    pub about: About,
    /// The servers.
    pub services: Vec<ServiceSpec>,
    /// What clients do.
    pub workload: Orders,
    /// How it is set up if the user says nothing.
    pub parameters: Parameters,
    /// How it runs in the simulated world.
    pub simulation: Simulation,
    /// What must hold.
    pub properties: Vec<Arc<dyn Property>>,
    /// When customers come.
    pub arrival: ArrivalTime,
}

impl OrderScenario {
    /// What a verdict says nothing without.
    fn sometimes(&self, parameters: &Parameters) -> Vec<Arc<dyn Property>> {
        let customers = parameters.clients - usize::from(self.workload.jobs.is_some());
        let pieces = self.workload.stock.of(parameters.operations) * self.workload.skus.of(parameters.operations);
        let sells_out = (customers * parameters.operations) as i64 > pieces;
        let hot = if self.workload.hot { oracle::PLACED_HOT } else { oracle::PLACED_COLD };
        [(true, hot), (self.workload.pay, oracle::PAID), (sells_out, oracle::SOLD_OUT)]
            .into_iter()
            .filter(|(must, _)| *must)
            .map(|(_, sometimes)| Arc::new(sometimes) as Arc<dyn Property>)
            .collect()
    }
}

impl Scenario for OrderScenario {
    fn about(&self) -> About {
        self.about.clone()
    }

    fn defaults(&self) -> Parameters {
        self.parameters.clone()
    }

    fn setup(&self, parameters: &Parameters, seed: u64) -> Setup {
        let think = Duration::from_micros(parameters.think_us_max);
        let workload = Orders { orders: parameters.operations, think, ..self.workload.clone() };
        Setup {
            services: self.services.clone(),
            clients: parameters.clients,
            program: program(workload),
            symmetric: true,
            arrival: self.arrival,
            budgets: parameters.budgets,
            assumptions: parameters.assumptions,
            locks: Vec::new(),
            resources: Vec::new(),
            properties: self.properties.iter().cloned().chain(self.sometimes(parameters)).collect(),
            seed,
        }
    }

    fn clients(&self) -> RangeInclusive<usize> {
        1 + usize::from(self.workload.jobs.is_some())..=CLIENTS_MAX
    }

    fn simulation(&self) -> Simulation {
        self.simulation
    }
}
