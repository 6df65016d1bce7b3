//! Commands about the Cluster: CLUSTER, READONLY, READWRITE.

use super::super::address::{PORT, address};
use super::super::args::int;
use super::super::call::Call;
use super::super::reply::{Failure, Reply, not_modelled};
use super::super::table::Table;
use crate::Blob;
use crate::resp::Value;
use crate::slots::{SLOTS, slot_of};

const DISABLED: &str = "ERR This instance has cluster support disabled";

fn table<'a>(call: &'a mut Call) -> Result<&'a mut Table, Failure> {
    call.state.table.as_deref_mut().ok_or_else(|| DISABLED.into())
}

pub(in super::super) fn cluster(call: &mut Call, args: &[Blob]) -> Reply {
    let table = table(call)?;
    match (args[0].to_ascii_uppercase().as_slice(), &args[1..]) {
        (b"SLOTS", []) => Ok(slots(table)),
        (b"MYID", []) => Ok(Value::Bulk(id(table.me))),
        (b"KEYSLOT", [key]) => Ok(Value::Int(slot_of(key).into())),
        (b"COUNTKEYSINSLOT", [slot]) => {
            let slot = int(slot)?;
            if !(0..i64::from(SLOTS)).contains(&slot) {
                return Err("ERR Invalid slot".into());
            }
            // Keys that have expired and are not deleted yet count.
            let in_slot = |(key, _): &(&Blob, _)| i64::from(slot_of(key)) == slot;
            Ok(Value::Int(call.state.db.live_keys(i64::MIN).filter(in_slot).count() as i64))
        }
        _ => not_modelled(format!("CLUSTER {}", args[0].to_text())),
    }
}

/// The name of a server on the bus: 40 hexadecimal digits, random in the real server.
fn id(server: u8) -> Blob {
    Blob::from(format!("{server:040x}"))
}

fn slots(table: &Table) -> Value {
    let server = |number: u8| {
        let [host, _] = address(number);
        Value::Array(vec![host, Value::Int(PORT.into()), Value::Bulk(id(number)), Value::Array(Vec::new())])
    };
    let mut first = 0;
    let range = |(shard, last): (usize, &u16)| {
        let owner = table.owners[shard].server;
        let replicas = table.listed[shard].iter().filter(|number| **number != owner);
        let ends = [std::mem::replace(&mut first, last + 1), *last].map(|slot| Value::Int(slot.into()));
        let servers = std::iter::once(&owner).chain(replicas).map(|number| server(*number));
        Value::Array(ends.into_iter().chain(servers).collect())
    };
    Value::Array(table.last_slots.iter().enumerate().map(range).collect())
}

/// A replica serves reads to this connection from now on, or sends it to its primary.
fn reads(call: &mut Call, here: bool) -> Reply {
    let conn = call.conn;
    let readonly = &mut table(call)?.readonly;
    if here {
        readonly.insert(conn)
    } else {
        readonly.remove(&conn)
    };
    Ok(Value::OK)
}

pub(in super::super) fn readonly(call: &mut Call, _args: &[Blob]) -> Reply {
    reads(call, true)
}

pub(in super::super) fn readwrite(call: &mut Call, _args: &[Blob]) -> Reply {
    reads(call, false)
}
