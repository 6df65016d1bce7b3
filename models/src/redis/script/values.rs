//! Values between Lua and replies.

use super::super::number;
use super::super::reply::{Failure, Reply, c_string, not_modelled, one_line, spaces_for_line_ends};
use crate::Blob;
use crate::resp::{Command, Value};
use mlua::{Lua, MultiValue, Table, Value as LuaValue};

/// The real server nests some thousand levels deep.
const NESTING_MAX: usize = 100;

/// The command that a script's arguments spell, if they are strings and numbers.
pub(super) fn command_of(words: &MultiValue) -> Option<Command> {
    let word = |value: &LuaValue| match value {
        LuaValue::String(text) => Some(Blob::copy_from(&text.as_bytes())),
        LuaValue::Integer(number) => Some(number::format(*number as f64)),
        LuaValue::Number(number) => Some(number::format(*number)),
        _ => None,
    };
    Some(Command::from_words(words.iter().map(word).collect::<Option<Vec<Blob>>>()?))
}

/// A reply as a script sees it.
pub(super) fn to_lua(lua: &Lua, value: &Value) -> mlua::Result<LuaValue> {
    match value {
        Value::Nil => Ok(LuaValue::Boolean(false)),
        Value::Int(number) => Ok(LuaValue::Number(*number as f64)),
        Value::Bulk(text) => Ok(LuaValue::String(lua.create_string(text.as_bytes())?)),
        Value::Status(text) => {
            let table = lua.create_table()?;
            table.raw_set("ok", lua.create_string(text.as_bytes())?)?;
            Ok(LuaValue::Table(table))
        }
        Value::Error(text) => Ok(LuaValue::Table(error_table(lua, text, true)?)),
        Value::Array(items) => {
            let items = items.iter().map(|item| to_lua(lua, item)).collect::<mlua::Result<Vec<_>>>()?;
            Ok(LuaValue::Table(lua.create_sequence_from(items)?))
        }
    }
}

/// What a script returned, as a reply: numbers lose their fraction, false is nil, a table ends at its first nil.
pub(super) fn from_lua(value: &LuaValue, depth: usize) -> Result<Value, Failure> {
    match value {
        LuaValue::String(text) => Ok(Value::Bulk(Blob::copy_from(&text.as_bytes()))),
        LuaValue::Integer(number) => Ok(Value::Int(*number)),
        LuaValue::Number(number) => Ok(Value::Int(to_integer(*number))),
        LuaValue::Boolean(true) => Ok(Value::Int(1)),
        LuaValue::Table(_) if depth >= NESTING_MAX => not_modelled("a script's reply nested this deeply"),
        LuaValue::Table(table) => from_table(table, depth),
        _ => Ok(Value::Nil),
    }
}

/// C's cast, which makes the smallest integer of whatever does not fit.
pub(super) fn to_integer(number: f64) -> i64 {
    const LIMIT: f64 = 9_223_372_036_854_775_808.0;
    if (-LIMIT..LIMIT).contains(&number) { number as i64 } else { i64::MIN }
}

fn from_table(table: &Table, depth: usize) -> Result<Value, Failure> {
    let field = |name: &str| table.raw_get::<LuaValue>(name).unwrap_or(LuaValue::Nil);
    if let LuaValue::String(text) = field("err") {
        return Ok(Value::Error(one_line(c_string(&text.as_bytes(), usize::MAX))));
    }
    if let LuaValue::String(text) = field("ok") {
        return Ok(Value::Status(spaces_for_line_ends(c_string(&text.as_bytes(), usize::MAX))));
    }
    match field("double") {
        LuaValue::Integer(number) => return Ok(Value::Bulk(number::format(number as f64))),
        LuaValue::Number(number) => return Ok(Value::Bulk(number::format(number))),
        _ => {}
    }
    if let LuaValue::String(text) = field("big_number") {
        return Ok(Value::Bulk(spaces_for_line_ends(&text.as_bytes())));
    }
    if [field("verbatim_string"), field("map"), field("set")].iter().any(LuaValue::is_table) {
        return not_modelled("a script's reply with the field 'verbatim_string', 'map' or 'set'");
    }
    let mut items = Vec::new();
    while let Ok(item) = table.raw_get::<LuaValue>(items.len() + 1) {
        if item.is_nil() {
            break;
        }
        items.push(from_lua(&item, depth + 1)?);
    }
    Ok(Value::Array(items))
}

/// The error reply of a script that failed.
pub(super) fn failure(lua: &Lua, problem: &LuaValue, sha: &Blob) -> Reply {
    let field = |name: &str| match problem {
        LuaValue::Table(table) => lua.coerce_string(table.raw_get::<LuaValue>(name).ok()?).ok()?,
        _ => None,
    };
    let Some(text) = field("err") else {
        return not_modelled("a script's error without a text, of which redis-server 7.0.15 dies");
    };
    let mut reply = c_string(&text.as_bytes(), usize::MAX).to_vec();
    if let (Some(source), Some(line)) = (field("source"), field("line")) {
        let place = format!(" script: {sha}, on {}:{}.", source.to_string_lossy(), line.to_string_lossy());
        reply.extend_from_slice(place.as_bytes());
    }
    Ok(Value::Error(one_line(&reply)))
}

/// A table with the field `err`, as scripts see errors. Its text always begins with a code.
pub(super) fn error_table(lua: &Lua, text: &[u8], from_command: bool) -> mlua::Result<Table> {
    let text = c_string(text, usize::MAX);
    let (code, rest) = match text.iter().position(|byte| *byte == b' ') {
        Some(at) => (&text[..at], &text[at + 1..]),
        None => (&b"ERR"[..], text),
    };
    let is_end = |byte: &u8| matches!(byte, b'\r' | b'\n');
    let from = rest.iter().take_while(|byte| is_end(byte)).count();
    let to = rest.iter().rposition(|byte| !is_end(byte)).map_or(from, |last| last + 1);
    let table = lua.create_table()?;
    table.raw_set("err", lua.create_string([code, b" ", &rest[from..to]].concat())?)?;
    if from_command {
        table.raw_set("ignore_error_stats_update", true)?;
    }
    Ok(table)
}
