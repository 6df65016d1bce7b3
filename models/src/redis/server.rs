//! Commands about the server itself.

use super::args::int;
use super::call::Call;
use super::persistence::Save;
use super::reply::{Failure, Reply, not_modelled, wrong_arity};
use super::state::Role;
use crate::Blob;
use crate::resp::Value;

pub(super) fn ping(call: &mut Call, args: &[Blob]) -> Reply {
    if args.len() > 1 {
        return Err(wrong_arity("ping").into());
    }
    if call.state.subscribers.is_subscribed(call.conn) {
        let text = args.first().cloned().unwrap_or_default();
        return Ok(Value::Array(vec![Value::Bulk("pong".into()), Value::Bulk(text)]));
    }
    match args {
        [text] => Ok(Value::Bulk(text.clone())),
        _ => Ok(Value::Status("PONG".into())),
    }
}

pub(super) fn echo(_call: &mut Call, args: &[Blob]) -> Reply {
    Ok(Value::Bulk(args[0].clone()))
}

pub(super) fn time(call: &mut Call, _args: &[Blob]) -> Reply {
    let (seconds, micros) = (call.now_us.div_euclid(1_000_000), call.now_us.rem_euclid(1_000_000));
    Ok(Value::Array(vec![Value::Bulk(Blob::from_int(seconds)), Value::Bulk(Blob::from_int(micros))]))
}

pub(super) fn select(call: &mut Call, args: &[Blob]) -> Reply {
    let database = int(&args[0])?;
    if i32::try_from(database).is_err() {
        let range = "ERR value is out of range, value must between -2147483648 and 2147483647";
        return Err(range.into());
    }
    if call.state.table.is_some() && database != 0 {
        return Err("ERR SELECT is not allowed in cluster mode".into());
    }
    check_database(database)?;
    Ok(Value::OK)
}

/// Refuses any database but the first.
pub(super) fn check_database(number: i64) -> Result<(), Failure> {
    match number {
        0 => Ok(()),
        1..=15 => not_modelled(format!("database {number}")),
        _ => Err("ERR DB index is out of range".into()),
    }
}

/// Of a server without replicas: nobody acknowledges. The real server answers only after the timeout.
pub(super) fn wait(call: &mut Call, args: &[Blob]) -> Reply {
    let replicas = int(&args[0])?;
    if args[1].to_int().ok_or_else(|| Blob::from("ERR timeout is not an integer or out of range"))? < 0 {
        return Err("ERR timeout is negative".into());
    }
    if call.state.role != Role::Alone {
        return not_modelled("WAIT inside MULTI");
    }
    if replicas > 0 && args[1].as_bytes() == b"0" {
        return not_modelled("WAIT for replicas without a timeout");
    }
    Ok(Value::Int(0))
}

/// Of a server without replicas.
pub(super) fn role(call: &mut Call, _args: &[Blob]) -> Reply {
    if call.state.role != Role::Alone {
        return not_modelled("ROLE inside MULTI");
    }
    Ok(Value::Array(vec![Value::Bulk("master".into()), Value::Int(0), Value::Array(Vec::new())]))
}

pub(super) fn save(call: &mut Call, _args: &[Blob]) -> Reply {
    call.save = Save::Snapshot;
    Ok(Value::OK)
}

pub(super) fn bgsave(call: &mut Call, _args: &[Blob]) -> Reply {
    call.save = Save::Snapshot;
    Ok(Value::Status("Background saving started".into()))
}
