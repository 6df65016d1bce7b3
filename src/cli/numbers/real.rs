//! The same on a real ensemble, which is started for it.

use super::Figures;
use super::patience::WAITS;
use super::segments::{CLIENTS, MERCHANTS, orders};
use crate::cli::error::CliError;
use crate::history::{Entry, Event};
use crate::lock::segmented::Segments;
use crate::lock::zookeeper::Config;
use crate::scenario::Workload;
use crate::scenario::merchants::DeadHolder;
use crate::world::real::servers::ZooKeeperServer;
use crate::world::real::{Journal, RealPorts, RedisOptions};
use std::fmt::Write;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::runtime::Runtime;

const TICK: Duration = Duration::from_millis(1000);
/// Orders of each client.
const ORDERS: usize = 5;
/// Of the dead holder's waiters: one comes this often, for as long as the short time-out and a half more.
const EVERY: Duration = Duration::from_millis(60);
const WAITERS: usize = 150;

pub(super) fn tables() -> Result<Figures, CliError> {
    let servers = ZooKeeperServer::start_ensemble(3, TICK)?;
    let addresses: Vec<String> = servers.iter().map(ZooKeeperServer::address).collect();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(|problem| CliError::Environment(format!("cannot start tokio: {problem}")))?;
    let mut figures = Figures::new(
        "# Numbers on real servers\n\nMeasured by `doublehold numbers --spawn`: three ZooKeeper servers and all clients on one machine, whose load is in them. Ratios count, not figures.\n\n",
    );
    segments(&runtime, &addresses, &mut figures.text);
    patience(&runtime, &addresses, &mut figures.text)?;
    #[cfg(feature = "real-mysql")]
    super::real_flash_sale::tables(&runtime, &mut figures)?;
    Ok(figures)
}

fn ports(client: usize, addresses: &[String], journal: &Journal) -> RealPorts {
    let ports = RealPorts::new(client, &[], RedisOptions::default(), journal.clone());
    ports.expect("there is no Redis address that could be bad").with_zookeeper(addresses)
}

/// Runs a workload's clients, and gives the seconds that they took.
fn run(
    runtime: &Runtime,
    addresses: &[String],
    workload: impl Workload,
    clients: Range<usize>,
    journal: &Journal,
) -> f64 {
    let started = Instant::now();
    runtime.block_on(async {
        let mut tasks = tokio::task::JoinSet::new();
        for client in clients {
            let (workload, ports) = (workload.clone(), ports(client, addresses, journal));
            tasks.spawn(async move { workload.run(ports).await });
        }
        while tasks.join_next().await.is_some() {}
    });
    started.elapsed().as_secs_f64()
}

fn segments(runtime: &Runtime, addresses: &[String], text: &mut String) {
    let _ = writeln!(text, "## Segmentation\n\nOrders per second, {CLIENTS} clients with {ORDERS} orders each:\n");
    text.push_str("| merchants | one lock for all | a lock for each | times |\n|---|---|---|---|\n");
    for merchants in MERCHANTS {
        let rate = |segments| {
            let seconds = run(runtime, addresses, orders(merchants, segments, ORDERS), 0..CLIENTS, &None);
            (CLIENTS * ORDERS) as f64 / seconds
        };
        let (one, each) = (rate(Segments::Hashed(1)), rate(Segments::PerKey));
        let _ = writeln!(text, "| {merchants} | {one:.0} | {each:.0} | {:.1} |", each / one);
    }
    text.push('\n');
}

fn patience(runtime: &Runtime, addresses: &[String], text: &mut String) -> Result<(), CliError> {
    let session = TICK * 20;
    let _ = writeln!(
        text,
        "## Acquisition time-out\n\nA holder dies; its session lasts {} s. {WAITERS} clients come within {} s:\n",
        session.as_secs(),
        (EVERY * WAITERS as u32).as_secs()
    );
    text.push_str(
        "| time-out | most waiting at once | most memory of this process above its beginning |\n|---|---|---|\n",
    );
    // The short one first: what an allocator has had it may keep.
    for wait in WAITS.into_iter().rev() {
        let (count, memory) = (Arc::new(Mutex::new((0_i64, 0_i64))), Arc::new(Mutex::new(0)));
        let (begin, seen, most) = (resident_bytes(), Arc::clone(&count), Arc::clone(&memory));
        let journal = move |entry: Entry| {
            let mut count = seen.lock().unwrap_or_else(PoisonError::into_inner);
            match entry.event {
                Event::Acquiring { .. } => count.0 += 1,
                Event::Acquired { .. } | Event::NotAcquired { .. } => count.0 -= 1,
                _ => {}
            }
            count.1 = count.1.max(count.0);
            let mut most = most.lock().unwrap_or_else(PoisonError::into_inner);
            *most = resident_bytes().saturating_sub(begin).max(*most);
        };
        let workload = DeadHolder { lock: Config::new(session), servers: 3, every: EVERY, wait };
        let journal: Journal = Some(Arc::new(journal));
        die_holding(addresses, &workload, &journal)?;
        run(runtime, addresses, workload, 1..WAITERS + 1, &journal);
        let most = count.lock().unwrap_or_else(PoisonError::into_inner).1;
        let memory = *memory.lock().unwrap_or_else(PoisonError::into_inner) as f64 / 1e6;
        let _ = writeln!(text, "| {} s | {most} | {memory:.1} MB |", wait.as_secs());
    }
    Ok(())
}

/// Runs the holder on a runtime of its own, which ends under it: nobody is told, and its session goes silent.
fn die_holding(addresses: &[String], workload: &DeadHolder, journal: &Journal) -> Result<(), CliError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|problem| CliError::Environment(format!("cannot start tokio: {problem}")))?;
    runtime.block_on(workload.run(ports(0, addresses, journal)));
    drop(runtime);
    Ok(())
}

/// The memory of this process that is in use now.
fn resident_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
    line.split_whitespace().next().and_then(|number| number.parse::<u64>().ok()).unwrap_or_default() * 1024
}
