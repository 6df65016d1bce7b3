//! The functions of a script's surroundings that can fail. They are native as in the real server, so that
//! an error is blamed on the line of the script that called them.

use super::super::reply::c_string;
use super::cache::sha1_hex;
use super::values::{command_of, error_table, to_integer};
use crate::Blob;
use mlua::{Error, Function, HookTriggers, Lua, LuaString, MultiValue, Result, Table, Value as LuaValue};
use std::cell::{Cell, RefCell};
use std::rc::Rc;

/// Where the function that serves the commands of the running script is kept.
pub(super) const SERVER: &str = "server";
/// The low bits of the state that `srand48` leaves.
const RANDOM_LOW: u64 = 0x330E;
const READ_ONLY: &str = "Attempt to modify a readonly table";
const MISSING_GLOBAL: &[u8] = b"Script attempted to access nonexistent global variable";
const WRONG_ARGUMENTS: &str = "ERR wrong number or type of arguments";
/// Globals of the real server that scripts do not find here.
const GLOBALS_NOT_MODELLED: &[&str] = &[
    "cjson",
    "cmsgpack",
    "bit",
    "struct",
    "loadstring",
    "load",
    "coroutine",
    "collectgarbage",
    "gcinfo",
    "__redis__err__handler",
];

/// An error on its way through Lua.
#[derive(Debug)]
enum Raised {
    /// As Lua itself raises it: a string.
    Text(Vec<u8>),
    /// As redis.call raises it: a table with the field `err`.
    Table { text: Blob, from_command: bool },
}

impl std::fmt::Display for Raised {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Raised::Text(text) => f.write_str(&String::from_utf8_lossy(text)),
            Raised::Table { text, .. } => text.fmt(f),
        }
    }
}

impl std::error::Error for Raised {}

/// An error that Lua raises from a native function, with the line that called it.
fn fail(lua: &Lua, text: impl AsRef<[u8]>) -> Error {
    Error::external(Raised::Text([caller(lua).as_bytes(), text.as_ref()].concat()))
}

/// An error that Redis raises.
fn fail_with(text: impl Into<Blob>, from_command: bool) -> Error {
    Error::external(Raised::Table { text: text.into(), from_command })
}

/// Ends a script that has asked for something that is not modelled; what that is the [`State`] knows.
fn not_modelled() -> Error {
    fail_with("not modelled", false)
}

/// Where the running native function was called, as it stands before an error's text.
fn caller(lua: &Lua) -> String {
    let place = lua.inspect_stack(1, |frame| {
        let source = frame.source().short_src.map(|source| source.into_owned());
        source.zip(frame.current_line())
    });
    place.flatten().map_or_else(String::new, |(source, line)| format!("{source}:{line}: "))
}

fn bad_argument(lua: &Lua, number: usize, problem: &str) -> Error {
    let name = lua.inspect_stack(0, |frame| frame.names().name.map(|name| name.into_owned())).flatten();
    let name = name.unwrap_or_else(|| "?".to_owned());
    fail(lua, format!("bad argument #{number} to '{name}' ({problem})"))
}

fn type_error(lua: &Lua, args: &MultiValue, number: usize, expected: &str) -> Error {
    let got = args.get(number - 1).map_or("no value", type_name);
    bad_argument(lua, number, &format!("{expected} expected, got {got}"))
}

fn type_name(value: &LuaValue) -> &'static str {
    match value {
        LuaValue::Integer(_) => "number",
        other => other.type_name(),
    }
}

fn table_argument<'a>(lua: &Lua, args: &'a MultiValue, number: usize) -> Result<&'a Table> {
    let table = args.get(number - 1).and_then(LuaValue::as_table);
    table.ok_or_else(|| type_error(lua, args, number, "table"))
}

/// Reads an argument as C's `int`.
fn int_argument(lua: &Lua, args: &MultiValue, number: usize) -> Result<i32> {
    let value = args.get(number - 1).cloned().unwrap_or(LuaValue::Nil);
    let number_of = lua.coerce_number(value)?.ok_or_else(|| type_error(lua, args, number, "number"))?;
    Ok(to_integer(number_of) as i32)
}

/// What the native functions share.
#[derive(Clone, Default)]
pub(super) struct State {
    /// The state of the random numbers once the script has seeded them. Without a seed the real server goes on where
    /// the script before has stopped.
    random: Rc<Cell<Option<u64>>>,
    /// The first thing that the script asked for and that is not modelled.
    refused: Rc<RefCell<Option<String>>>,
    /// The originals of the tables that scripts may not change, by their stand-ins.
    protected: Rc<RefCell<Option<Table>>>,
}

impl State {
    /// Before a script starts.
    pub(super) fn reset(&self) {
        self.random.set(None);
        *self.refused.borrow_mut() = None;
    }

    /// Takes note of something that is not modelled. The script ends here: a caught error is raised again at the next
    /// instruction.
    pub(super) fn refuse(&self, lua: &Lua, what: &str) -> Error {
        self.refused.borrow_mut().get_or_insert_with(|| what.to_owned());
        let raise = |_: &Lua, _: &mlua::debug::Debug| -> Result<mlua::VmState> { Err(not_modelled()) };
        lua.set_hook(HookTriggers::new().every_nth_instruction(1), raise)
            .map_or_else(|problem| problem, |()| not_modelled())
    }

    /// What the script that has ended asked for and is not modelled.
    pub(super) fn refusal(&self) -> Option<String> {
        if self.clean_stand_ins().unwrap_or(true) {
            let what = "a function that changes a protected table in passing";
            self.refused.borrow_mut().get_or_insert_with(|| what.to_owned());
        }
        self.refused.take()
    }

    /// Empties the stand-ins, which functions such as table.insert change although they must not.
    fn clean_stand_ins(&self) -> Result<bool> {
        let mut dirty = false;
        for pair in self.protected.borrow().iter().flat_map(|all| all.pairs::<Table, Table>()) {
            let (stand_in, _) = pair?;
            while let Some(entry) = stand_in.pairs::<LuaValue, LuaValue>().next() {
                stand_in.raw_set(entry?.0, LuaValue::Nil)?;
                dirty = true;
            }
        }
        Ok(dirty)
    }

    fn is_protected(&self, table: &Table) -> Result<bool> {
        match self.protected.borrow().as_ref() {
            Some(protected) => Ok(!protected.raw_get::<LuaValue>(table)?.is_nil()),
            None => Ok(false),
        }
    }

    /// One draw of `lrand48`, as a fraction.
    fn next_random(&self, lua: &Lua) -> Result<f64> {
        const MASK: u64 = (1 << 48) - 1;
        let Some(state) = self.random.get() else {
            return Err(self.refuse(lua, "math.random() in scripts that have not called math.randomseed()"));
        };
        let state = state.wrapping_mul(0x5_DEEC_E66D).wrapping_add(0xB) & MASK;
        self.random.set(Some(state));
        Ok(((state >> 17) % 0x7FFF_FFFF) as f64 / f64::from(0x7FFF_FFFF))
    }

    /// All of them, by name, for the prelude.
    pub(super) fn table(&self, lua: &Lua) -> Result<Table> {
        let table = lua.create_table()?;
        let protected = lua.create_table()?;
        table.raw_set("protected", &protected)?;
        *self.protected.borrow_mut() = Some(protected);
        table.raw_set("place", lua.create_function(place)?)?;
        let state = self.clone();
        let plain = move |lua: &Lua, problem: LuaValue| plain(&state, lua, problem);
        table.raw_set("plain", lua.create_function(plain)?)?;
        let state = self.clone();
        let refuse = move |lua: &Lua, what: String| -> Result<()> { Err(state.refuse(lua, &what)) };
        table.raw_set("refuse", lua.create_function(refuse)?)?;
        add_redis(lua, &table)?;
        self.add_random(lua, &table)?;
        self.add_tables(lua, &table)?;
        Ok(table)
    }

    /// math.random and math.randomseed.
    fn add_random(&self, lua: &Lua, table: &Table) -> Result<()> {
        let state = self.clone();
        let random = move |lua: &Lua, args: MultiValue| {
            let fraction = state.next_random(lua)?;
            let (low, high) = match args.len() {
                0 => return Ok(fraction),
                1 => (1, int_argument(lua, &args, 1)?),
                2 => (int_argument(lua, &args, 1)?, int_argument(lua, &args, 2)?),
                _ => return Err(fail(lua, "wrong number of arguments")),
            };
            if low > high {
                return Err(bad_argument(lua, args.len(), "interval is empty"));
            }
            let width = high.wrapping_sub(low).wrapping_add(1);
            Ok((fraction * f64::from(width)).floor() + f64::from(low))
        };
        table.raw_set("random", lua.create_function(random)?)?;
        let state = self.clone();
        let seed = move |lua: &Lua, args: MultiValue| {
            let seed = int_argument(lua, &args, 1)? as u32;
            state.random.set(Some(u64::from(seed) << 16 | RANDOM_LOW));
            Ok(())
        };
        table.raw_set("randomseed", lua.create_function(seed)?)
    }

    /// The functions on tables that must know the protected ones.
    fn add_tables(&self, lua: &Lua, table: &Table) -> Result<()> {
        let state = self.clone();
        let missing = move |lua: &Lua, (_, name): (LuaValue, LuaValue)| -> Result<LuaValue> {
            let Some(name) = lua.coerce_string(name)? else {
                return Err(fail(lua, "Second argument to luaProtectedTableError must be a string or number"));
            };
            let name = name.as_bytes();
            if let Some(known) = GLOBALS_NOT_MODELLED.iter().find(|known| known.as_bytes() == &*name) {
                return Err(state.refuse(lua, &format!("'{known}' in scripts")));
            }
            let text = [MISSING_GLOBAL, b" '", c_string(&name, usize::MAX), b"'"].concat();
            Err(fail(lua, text))
        };
        table.raw_set("missing", lua.create_function(missing)?)?;
        let read_only = |lua: &Lua, _: MultiValue| -> Result<()> { Err(fail(lua, READ_ONLY)) };
        table.raw_set("read_only", lua.create_function(read_only)?)?;

        let state = self.clone();
        let native_next: Function = lua.globals().get("next")?;
        let next = native_next.clone();
        let guarded_next = move |lua: &Lua, args: MultiValue| {
            let table = table_argument(lua, &args, 1)?;
            if state.is_protected(table)? {
                return Err(state.refuse(lua, "next() of a protected table"));
            }
            native_next.call::<MultiValue>(args).map_err(|_| state.refuse(lua, "next() of a key that is not there"))
        };
        table.raw_set("next", lua.create_function(guarded_next)?)?;

        let state = self.clone();
        let pairs = move |lua: &Lua, args: MultiValue| {
            let table = table_argument(lua, &args, 1)?;
            match state.is_protected(table)? {
                true => Err(state.refuse(lua, "pairs() of a protected table")),
                false => Ok((next.clone(), table.clone(), LuaValue::Nil)),
            }
        };
        table.raw_set("pairs", lua.create_function(pairs)?)?;

        let state = self.clone();
        let raw_get = move |lua: &Lua, args: MultiValue| {
            let table = table_argument(lua, &args, 1)?;
            let Some(key) = args.get(1) else { return Err(bad_argument(lua, 2, "value expected")) };
            match state.is_protected(table)? {
                true => Err(state.refuse(lua, "rawget() of a protected table")),
                false => table.raw_get::<LuaValue>(key),
            }
        };
        table.raw_set("rawget", lua.create_function(raw_get)?)?;

        let state = self.clone();
        let raw_set = move |lua: &Lua, args: MultiValue| {
            let table = table_argument(lua, &args, 1)?.clone();
            let (Some(key), Some(value)) = (args.get(1), args.get(2)) else {
                return Err(bad_argument(lua, args.len() + 1, "value expected"));
            };
            if state.is_protected(&table)? {
                return Err(Error::external(Raised::Text(READ_ONLY.into())));
            }
            if key.is_nil() || matches!(key, LuaValue::Number(number) if number.is_nan()) {
                return Err(state.refuse(lua, "rawset() of an impossible key"));
            }
            table.raw_set(key, value)?;
            Ok(table)
        };
        table.raw_set("rawset", lua.create_function(raw_set)?)?;
        self.add_metatables(lua, table)
    }

    fn add_metatables(&self, lua: &Lua, table: &Table) -> Result<()> {
        let state = self.clone();
        let get = move |lua: &Lua, args: MultiValue| match args.front() {
            None => Err(bad_argument(lua, 1, "value expected")),
            Some(LuaValue::String(_)) => Err(state.refuse(lua, "getmetatable() of a string")),
            Some(LuaValue::Table(table)) if state.is_protected(table)? => {
                Err(state.refuse(lua, "getmetatable() of a protected table"))
            }
            Some(LuaValue::Table(table)) => metatable(table),
            Some(_) => Ok(LuaValue::Nil),
        };
        table.raw_set("getmetatable", lua.create_function(get)?)?;
        let state = self.clone();
        let set = move |lua: &Lua, args: MultiValue| {
            let table = table_argument(lua, &args, 1)?.clone();
            let new = match args.get(1) {
                Some(LuaValue::Nil) => None,
                Some(LuaValue::Table(new)) => Some(new.clone()),
                _ => return Err(bad_argument(lua, 2, "nil or table expected")),
            };
            if let Some(old) = table.metatable()
                && !state.is_protected(&table)?
                && !old.raw_get::<LuaValue>("__metatable")?.is_nil()
            {
                return Err(fail(lua, "cannot change a protected metatable"));
            }
            if state.is_protected(&table)? {
                return Err(Error::external(Raised::Text(READ_ONLY.into())));
            }
            table.set_metatable(new)?;
            Ok(table)
        };
        table.raw_set("setmetatable", lua.create_function(set)?)
    }
}

/// What getmetatable() gives for a table.
fn metatable(table: &Table) -> Result<LuaValue> {
    let Some(metatable) = table.metatable() else { return Ok(LuaValue::Nil) };
    let instead = metatable.raw_get::<LuaValue>("__metatable")?;
    Ok(if instead.is_nil() { LuaValue::Table(metatable) } else { instead })
}

/// The members of the redis table.
fn add_redis(lua: &Lua, table: &Table) -> Result<()> {
    table.raw_set("pcall", lua.create_function(call_server)?)?;
    let call = |lua: &Lua, words: MultiValue| {
        let answer = call_server(lua, words)?;
        if let LuaValue::Table(table) = &answer
            && let LuaValue::String(text) = table.raw_get("err")?
        {
            let from_command = table.contains_key("ignore_error_stats_update")?;
            return Err(fail_with(Blob::copy_from(&text.as_bytes()), from_command));
        }
        Ok(answer)
    };
    table.raw_set("call", lua.create_function(call)?)?;
    let sha1 = |lua: &Lua, args: MultiValue| {
        if args.len() != 1 {
            return Err(fail_with("ERR wrong number of arguments", false));
        }
        // What is neither a string nor a number counts as the empty string.
        let text = lua.coerce_string(args[0].clone())?;
        let sha = text.map_or_else(|| sha1_hex(b""), |text| sha1_hex(&text.as_bytes()));
        lua.create_string(sha.as_bytes())
    };
    table.raw_set("sha1hex", lua.create_function(sha1)?)?;
    let error_reply = |lua: &Lua, args: MultiValue| {
        let Some(text) = only_string(&args) else { return error_table(lua, WRONG_ARGUMENTS.as_bytes(), false) };
        let text = text.as_bytes();
        error_table(lua, text.strip_prefix(b"-").unwrap_or(&text), false)
    };
    table.raw_set("error_reply", lua.create_function(error_reply)?)?;
    let status_reply = |lua: &Lua, args: MultiValue| {
        let Some(text) = only_string(&args) else { return error_table(lua, WRONG_ARGUMENTS.as_bytes(), false) };
        lua.create_table_from([("ok", text.clone())])
    };
    table.raw_set("status_reply", lua.create_function(status_reply)?)?;
    table.raw_set("log", lua.create_function(log)?)
}

fn only_string(args: &MultiValue) -> Option<&LuaString> {
    args.front().filter(|_| args.len() == 1)?.as_string()
}

/// redis.log: checks its arguments and keeps nothing.
fn log(lua: &Lua, args: MultiValue) -> Result<()> {
    if args.len() < 2 {
        return Err(fail_with("ERR redis.log() requires two arguments or more.", false));
    }
    let Some(level) = lua.coerce_number(args[0].clone())? else {
        return Err(fail_with("ERR First argument must be a number (log level).", false));
    };
    if !(0..=3).contains(&(to_integer(level) as i32)) {
        return Err(fail_with("ERR Invalid debug level.", false));
    }
    Ok(())
}

/// Has the server run one command; an error is a table.
fn call_server(lua: &Lua, words: MultiValue) -> Result<LuaValue> {
    let problem = if words.is_empty() {
        "ERR Please specify at least one argument for this redis lib call"
    } else if command_of(&words).is_none() {
        "ERR Lua redis lib command arguments must be strings or integers"
    } else {
        return lua.named_registry_value::<Function>(SERVER)?.call(words);
    };
    Ok(LuaValue::Table(error_table(lua, problem.as_bytes(), false)?))
}

/// What the prelude would ask of `debug.getinfo` at a level of its stack: kind, source and line.
fn place(lua: &Lua, level: usize) -> Result<(Option<&'static str>, Option<String>, LuaValue)> {
    let found = lua.inspect_stack(level, |frame| {
        let source = frame.source();
        let line = frame.current_line().map_or(-1, |line| line as i64);
        (Some(source.what), source.source.map(|source| source.into_owned()), LuaValue::Integer(line))
    });
    Ok(found.unwrap_or((None, None, LuaValue::Nil)))
}

/// The error as a script of the real server sees it: a table or a string.
fn plain(state: &State, lua: &Lua, problem: LuaValue) -> Result<LuaValue> {
    let LuaValue::Error(problem) = problem else { return Ok(problem) };
    match problem.chain().find_map(|problem| problem.downcast_ref::<Raised>()) {
        Some(Raised::Table { text, from_command }) => Ok(LuaValue::Table(error_table(lua, text, *from_command)?)),
        Some(Raised::Text(text)) => Ok(LuaValue::String(lua.create_string(text)?)),
        None => Err(state.refuse(lua, &format!("a failure of the interpreter: {problem}"))),
    }
}
