//! What is kept in Redis of what is in MySQL: the call ranking, rows S11, S12, and cache-aside, row S7.

use super::{about, listed, ms, small_flow};
use crate::flow::cache_aside::{self, Invalidation, oracle::CacheAgrees};
use crate::flow::ranking::{self, Kept, oracle::RankingAgrees};
use crate::lock::mysql::Retry;
use crate::scenario::articles::Articles;
use crate::scenario::flow::FlowScenario;
use crate::scenario::guarded::LockKind;
use crate::scenario::locks::Timing;
use crate::scenario::mutation::{Edit, Mutation};
use crate::scenario::ranking::Calls;
use crate::world::fault::Fault;
use std::sync::Arc;

const CRM: &str = "article crm";
const SOURCE: &str = "Memcache at Facebook, leases";

/// Two calls of one consultant, counted as they should be.
fn calls(name: &str, row: Option<&'static str>, summary: &'static str) -> FlowScenario<Calls> {
    let retry = Retry { tries: 2, delay: ms(0), unknown: true };
    let ranking = ranking::Config { database: 0, cache: 1, kept: Kept::Applied, retry, lock_wait: ms(1000) };
    let flow = Calls { ranking, lock: LockKind::None, consultants: 1, calls: 1, begun: false, mutation: None };
    small_flow(about(name, row, summary, CRM), flow, vec![Arc::new(RankingAgrees)])
}

/// The merchant's lock, as the article has it.
fn zookeeper() -> LockKind {
    listed("zookeeper", &Timing::VIRTUAL)
}

pub(super) fn rankings() -> Vec<FlowScenario<Calls>> {
    let locked = |calls: &mut Calls| calls.lock = zookeeper();
    let pushed = |calls: &mut Calls| (calls.ranking.kept, calls.begun) = (Kept::Pushed, true);
    let summary = "two clients find the list missing, and both push the consultants";
    let twice = calls("ranking-pushed-twice", Some("S11"), summary).with(pushed).with(locked);
    let lock = "the merchant's lock on ZooKeeper, and the list is looked at again inside it";
    let summary = "two first calls of a consultant are one";
    let lost = calls("ranking-call-lost", Some("S12"), summary);
    let script = "a script counts each call once, however often it is brought";
    let summary = "the set has expired, and a call makes a new one, which is taken for the whole ranking";
    let partial = calls("ranking-partial", Some("S12"), summary).with(|calls| calls.begun = true);
    let added = |sound: FlowScenario<Calls>| sound.with(|calls| calls.ranking.kept = Kept::Added);
    [
        vec![
            calls("ranking", None, "calls are recorded and ranked, and a client ends between any two steps")
                .faults(Fault::ClientCrash, 1),
            calls("ranking-break", None, "calls are recorded and ranked, and a connection breaks")
                .faults(Fault::Break, 1),
            calls("ranking-locked", None, "the ranking is rebuilt under the merchant's lock, and a client ends")
                .with(locked)
                .faults(Fault::ClientCrash, 1),
        ],
        vec![ranking_day()],
        twice.broken_and_fixed(|sound| sound.with(|calls| calls.lock = LockKind::None), "locked", lock),
        lost.broken_and_fixed(added, "applied", script),
        partial.broken_and_fixed(added, "complete", "the set counts as complete only after a rebuild"),
        vec![known_bad()],
    ]
    .concat()
}

/// A day of calls: in the simulated world ten clients, and every kind of fault.
fn ranking_day() -> FlowScenario<Calls> {
    let mut day = calls("ranking-day", None, "a day of calls; in the simulated world with every fault")
        .with(|calls| calls.consultants = 3)
        .faults(Fault::ClientCrash, 1)
        .with_every_fault();
    (day.simulation.clients, day.simulation.operations) = (10, 10);
    day.simulation.fault_every_us = 300_000;
    day
}

/// The script forgets which calls it has counted.
fn known_bad() -> FlowScenario<Calls> {
    let edit = Edit { passage: "if redis.call('HSETNX', calls, call, consultant) == 1 then", mistake: "if true then" };
    calls("mutant-ranking-counted-twice", None, "a call is counted each time that it is brought")
        .mutated(Mutation::Text(edit))
        .violating("ranking-agrees")
}

/// One writer, one reader.
fn article(name: &str, row: Option<&'static str>, summary: &'static str) -> FlowScenario<Articles> {
    let cached = cache_aside::Config { database: 0, cache: 1, invalidation: Invalidation::BeforeCommit };
    let flow = Articles { cached, times: 1, mutation: None };
    small_flow(about(name, row, summary, SOURCE), flow, vec![Arc::new(CacheAgrees)])
}

pub(super) fn articles() -> Vec<FlowScenario<Articles>> {
    let by = |invalidation| {
        move |sound: FlowScenario<Articles>| sound.with(|articles| articles.cached.invalidation = invalidation)
    };
    let summary = "a reader sets what it has read over the deletion of a later writer";
    let stale = by(Invalidation::AfterCommit)(article("cache-aside-stale-set", Some("S7"), summary));
    let fix = "the set has a version, and an older one is refused";
    let summary = "a writer ends between its commit and the deletion in Redis: the old copy stays";
    let crashed = article("cache-aside-writer-crash", None, summary).operations(2).faults(Fault::ClientCrash, 1);
    let announced = "Redis is told of the version before the commit, under the row's lock";
    let mut day =
        article("cache-aside-day", None, "a day of readers and a writer; in the simulated world with every fault")
            .faults(Fault::ClientCrash, 1)
            .with_every_fault();
    (day.simulation.clients, day.simulation.operations) = (10, 10);
    day.simulation.fault_every_us = 300_000;
    let two = |name: &str, summary, fault| article(name, None, summary).operations(2).faults(fault, 1);
    [
        stale.broken_and_fixed(by(Invalidation::Plain), "versioned", fix),
        crashed.broken_and_fixed(by(Invalidation::AfterCommit), "announced", announced),
        vec![
            two("cache-aside-break", "an article is written and read; a connection breaks", Fault::Break),
            two("cache-aside-delay", "an article is written and read; a message is late", Fault::Delay),
            two("cache-aside-node-crash", "an article is written and read; a server goes down", Fault::NodeCrash),
            day,
        ],
    ]
    .concat()
}
