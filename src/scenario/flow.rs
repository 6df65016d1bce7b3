//! Flows as scenarios: servers, clients, faults and oracles of a workload that is its own judge's.

use super::mutation::Mutation;
use super::{About, CLIENTS_MAX, Expectation, Parameters, Scenario, Simulation, Workload, program};
use crate::property::{Deadlock, Property, Sometimes};
use crate::world::cut::Partitions;
use crate::world::fault::Fault;
use crate::world::setup::{ArrivalTime, ServiceSpec, Setup};
use std::fmt;
use std::ops::RangeInclusive;
use std::sync::Arc;

/// A workload that knows which servers it needs, and what a verdict about it says nothing without.
pub trait Flow: Workload + fmt::Debug {
    /// The servers, set up as their defaults are.
    fn services(&self) -> Vec<ServiceSpec>;

    /// The same for these parameters.
    fn sized(&self, parameters: &Parameters) -> Self;

    /// What must happen in some execution.
    fn sometimes(&self, parameters: &Parameters) -> Vec<Sometimes>;

    /// The fewest clients that make sense.
    fn clients_min(&self) -> usize {
        1
    }

    /// The same with a mistake.
    fn mutated(self, mutation: Mutation) -> Self;
}

/// A flow, and what it is tried with.
#[derive(Clone, Debug)]
pub struct FlowScenario<F> {
    /// What it is about.
    pub about: About,
    /// The servers.
    pub services: Vec<ServiceSpec>,
    /// What clients do.
    pub flow: F,
    /// How it is set up if the user says nothing.
    pub parameters: Parameters,
    /// How it runs in the simulated world.
    pub simulation: Simulation,
    /// What must hold.
    pub properties: Vec<Arc<dyn Property>>,
    /// When clients come.
    pub arrival: ArrivalTime,
}

impl<F: Flow> FlowScenario<F> {
    /// The same with another flow; its servers are as their defaults are.
    #[must_use]
    pub fn with(mut self, change: impl FnOnce(&mut F)) -> Self {
        change(&mut self.flow);
        self.services = self.flow.services();
        self
    }

    /// The same with servers that are set up otherwise.
    #[must_use]
    pub fn serving(mut self, change: impl FnMut(&mut ServiceSpec)) -> Self {
        self.services.iter_mut().for_each(change);
        self
    }

    /// The same with so many clients.
    #[must_use]
    pub fn clients(mut self, clients: usize) -> Self {
        self.parameters.clients = clients;
        self
    }

    /// The same with so many operations of each client.
    #[must_use]
    pub fn operations(mut self, operations: usize) -> Self {
        self.parameters.operations = operations;
        self
    }

    /// The same with so many faults of this kind.
    #[must_use]
    pub fn faults(mut self, fault: Fault, count: u8) -> Self {
        self.parameters.budgets = self.parameters.budgets.with(fault, count);
        self
    }

    /// The same with a mistake.
    #[must_use]
    pub fn mutated(mut self, mutation: Mutation) -> Self {
        self.flow = self.flow.mutated(mutation);
        self
    }

    /// The same, judged by this property alone.
    #[must_use]
    pub fn only(mut self, property: impl Property + 'static) -> Self {
        self.properties = vec![Arc::new(property)];
        self
    }

    /// The same, not judged by the property of this name.
    #[must_use]
    pub fn except(mut self, name: &str) -> Self {
        self.properties.retain(|property| property.name() != name);
        self
    }

    /// The same, judged by this property instead of the one of its name.
    #[must_use]
    pub fn judged(mut self, property: impl Property + 'static) -> Self {
        self = self.except(property.name());
        self.properties.push(Arc::new(property));
        self
    }

    /// The same, which breaks this property.
    #[must_use]
    pub fn violating(mut self, property: &'static str) -> Self {
        self.about.expects = Expectation::Violated(property);
        self
    }

    /// The flow with a mistake, which breaks the one property that is judged beside [`Deadlock`], and without.
    pub fn broken_and_fixed(
        self,
        mistake: impl FnOnce(Self) -> Self,
        suffix: &str,
        fix: &'static str,
    ) -> Vec<FlowScenario<F>> {
        let mut judged = self.properties.iter().map(|property| property.name()).filter(|name| *name != Deadlock.name());
        let (Some(property), None) = (judged.next(), judged.next()) else { panic!("a failure is about one property") };
        let broken = mistake(self.clone()).violating(property);
        let mut fixed = self;
        fixed.about.name = format!("{}-{suffix}", fixed.about.name);
        fixed.about.fix = Some(fix);
        vec![broken, fixed]
    }
}

impl<F: Flow> Scenario for FlowScenario<F> {
    fn about(&self) -> About {
        self.about.clone()
    }

    fn defaults(&self) -> Parameters {
        self.parameters.clone()
    }

    fn setup(&self, parameters: &Parameters, seed: u64) -> Setup {
        let sometimes = self.flow.sometimes(parameters).into_iter();
        let sometimes = sometimes.map(|property| Arc::new(property) as Arc<dyn Property>);
        Setup {
            services: self.services.clone(),
            clients: parameters.clients,
            program: program(self.flow.sized(parameters)),
            symmetric: true,
            arrival: self.arrival,
            budgets: parameters.budgets,
            assumptions: parameters.assumptions,
            partitions: Partitions::Any,
            locks: Vec::new(),
            resources: Vec::new(),
            properties: self.properties.iter().cloned().chain(sometimes).collect(),
            seed,
        }
    }

    fn clients(&self) -> RangeInclusive<usize> {
        self.flow.clients_min()..=CLIENTS_MAX
    }

    fn simulation(&self) -> Simulation {
        self.simulation
    }
}
