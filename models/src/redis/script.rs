//! EVAL and its kind: real Lua 5.1, run once for each behaviour.
//!
//! A script sees its keys, its arguments and the replies to its own calls, and nothing else. So what
//! it does after the same replies is always the same, and is remembered: a tree of calls with a branch
//! for each reply, per script and arguments. The interpreter runs only where the tree has no branch yet;
//! a property test compares both ways.

use super::call::{Call, Reply, error, int};
use super::commands::{self, Kind, Refused};
use crate::resp::{Command, Value};
use crate::{Blob, Digest};
use mlua::{Function, Lua, MultiValue, Value as LuaValue};
use smallvec::SmallVec;
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;

/// Trees are thrown away together when there are this many nodes in them.
const REMEMBERED_STEPS_MAX: usize = 1 << 16;
const NESTING_MAX: usize = 100;
const SHA_HEX_LEN: usize = 40;

/// The scripts that a server has been given, by their number in this thread's engine.
#[derive(Clone, Default)]
pub(super) struct ScriptCache(SmallVec<[u32; 6]>);

impl ScriptCache {
    fn add(&mut self, script: u32) {
        if let Err(at) = self.0.binary_search(&script) {
            self.0.insert(at, script);
        }
    }

    /// Adds the state to a fingerprint.
    pub(super) fn digest(&self, digest: &mut Digest) {
        self.0.iter().for_each(|script| digest.int(u64::from(*script)));
    }
}

/// What a script did at one point of its run.
#[derive(Clone)]
enum Step {
    /// It called the server; the next step depends on the reply.
    Call { command: Command, next: Vec<(Value, usize)> },
    /// It ended.
    Done(Value),
}

struct Script {
    sha: Blob,
    function: Function,
}

struct Engine {
    lua: Lua,
    run: Function,
    random: Rc<Cell<u64>>,
    scripts: Vec<Script>,
    by_body: HashMap<Blob, u32>,
    by_sha: HashMap<Blob, u32>,
    steps: Vec<Step>,
    roots: HashMap<(u32, usize, SmallVec<[Blob; 4]>), usize>,
}

thread_local! {
    static ENGINE: RefCell<Engine> = RefCell::new(Engine::new());
}

/// The state that `srand48(0)` leaves, from which the real server starts each script's random numbers.
const RANDOM_START: u64 = 0x330E;

/// One draw of `lrand48`, as a fraction.
fn next_random(state: &Cell<u64>) -> f64 {
    const MASK: u64 = (1 << 48) - 1;
    state.set(state.get().wrapping_mul(0x5_DEEC_E66D).wrapping_add(0xB) & MASK);
    let draw = state.get() >> 17;
    (draw % 0x7FFF_FFFF) as f64 / f64::from(0x7FFF_FFFF)
}

fn sha1_hex(bytes: &[u8]) -> Blob {
    sha1_smol::Sha1::from(bytes).digest().to_string().into()
}

impl Engine {
    fn new() -> Self {
        let start = || -> mlua::Result<(Lua, Function, Rc<Cell<u64>>)> {
            // The prelude needs `debug` to name the line of an error; scripts do not get to see it.
            let libraries = mlua::StdLib::STRING | mlua::StdLib::TABLE | mlua::StdLib::MATH;
            let lua = Lua::new_with(libraries, mlua::LuaOptions::default())?;
            let debug = lua.create_table()?;
            debug.set("getinfo", lua.create_function(place)?)?;
            lua.globals().set("debug", debug)?;
            let random = Rc::new(Cell::new(RANDOM_START));
            let state = Rc::clone(&random);
            let draw = lua.create_function(move |_, ()| Ok(next_random(&state)))?;
            let sha1 =
                lua.create_function(|_, text: mlua::LuaString| Ok(sha1_hex(&text.as_bytes()).to_text().into_owned()))?;
            let prelude = lua.load(include_str!("prelude.lua")).set_name("=prelude").into_function()?;
            let run = prelude.call((draw, sha1))?;
            Ok((lua, run, random))
        };
        let (lua, run, random) = start().expect("the script prelude loads");
        Engine {
            lua,
            run,
            random,
            scripts: Vec::new(),
            by_body: HashMap::new(),
            by_sha: HashMap::new(),
            steps: Vec::new(),
            roots: HashMap::new(),
        }
    }

    /// The number of a script, compiled if it is new here.
    fn compile(&mut self, body: &Blob) -> Result<u32, Blob> {
        if let Some(script) = self.by_body.get(body) {
            return Ok(*script);
        }
        let function = self.lua.load(body.as_bytes()).set_name("@user_script").into_function().map_err(|problem| {
            let text = problem.to_string();
            let text = text.strip_prefix("syntax error: ").unwrap_or(&text);
            let text = text.lines().next().unwrap_or_default();
            error(format!("ERR Error compiling script (new function): {text}"))
        })?;
        let number = u32::try_from(self.scripts.len()).expect("fewer scripts than 2^32");
        let sha = sha1_hex(body);
        self.by_sha.insert(sha.clone(), number);
        self.by_body.insert(body.clone(), number);
        self.scripts.push(Script { sha, function });
        Ok(number)
    }

    /// Runs a script: along the remembered steps as far as they go, then in the interpreter.
    fn run(&mut self, script: u32, keys: usize, args: &[Blob], server: &mut dyn FnMut(&Command) -> Value) -> Value {
        if self.steps.len() > REMEMBERED_STEPS_MAX {
            self.steps.clear();
            self.roots.clear();
        }
        let root = (script, keys, SmallVec::from(args));
        let mut replies = Vec::new();
        if let Some(mut at) = self.roots.get(&root).copied() {
            loop {
                match &self.steps[at] {
                    Step::Done(value) => return value.clone(),
                    Step::Call { command, next } => {
                        let reply = server(command);
                        let known = next.iter().find(|(seen, _)| *seen == reply).map(|(_, step)| *step);
                        replies.push(reply);
                        match known {
                            Some(step) => at = step,
                            None => break,
                        }
                    }
                }
            }
        }
        let (calls, result) = self.interpret(script, keys, args, replies, server);
        self.remember(root, &calls, result.clone());
        result
    }

    /// Runs the interpreter; the first calls are answered with `replies`, which the server has given already.
    fn interpret(
        &mut self,
        script: u32,
        keys: usize,
        args: &[Blob],
        replies: Vec<Value>,
        server: &mut dyn FnMut(&Command) -> Value,
    ) -> (Vec<(Command, Value)>, Value) {
        self.random.set(RANDOM_START);
        let mut calls: Vec<(Command, Value)> = Vec::new();
        let mut known = replies.into_iter();
        let script = &self.scripts[script as usize];
        let text = |blob: &Blob| self.lua.create_string(blob.as_bytes());
        let outcome = self.lua.scope(|scope| {
            let serve = scope.create_function_mut(|lua, words: MultiValue| {
                let Some(command) = command_of(&words) else {
                    let text = "ERR Lua redis lib command arguments must be strings or integers";
                    return to_lua(lua, &Value::error(text));
                };
                let reply = known.next().unwrap_or_else(|| server(&command));
                let answer = to_lua(lua, &reply)?;
                calls.push((command, reply));
                Ok(answer)
            })?;
            let list = |blobs: &[Blob]| {
                let items = blobs.iter().map(text).collect::<mlua::Result<Vec<_>>>()?;
                self.lua.create_sequence_from(items)
            };
            let call = (&script.function, list(&args[..keys])?, list(&args[keys..])?, serve);
            self.run.call::<(bool, LuaValue)>(call)
        });
        let result = match outcome {
            Ok((true, value)) => from_lua(&value, 0),
            Ok((false, problem)) => failure(&problem, &script.sha),
            Err(problem) => Value::Error(error(format!("ERR {problem}"))),
        };
        (calls, result)
    }

    /// Adds the calls of one run to the tree.
    fn remember(&mut self, root: (u32, usize, SmallVec<[Blob; 4]>), calls: &[(Command, Value)], result: Value) {
        let mut link: Option<(usize, Value)> = None;
        let mut at = self.roots.get(&root).copied();
        for (command, reply) in calls {
            let step = match at {
                Some(step) => step,
                None => self.attach(&root, link.take(), Step::Call { command: command.clone(), next: Vec::new() }),
            };
            let Step::Call { command: remembered, next } = &self.steps[step] else {
                unreachable!("a script ended where it had made a call before");
            };
            assert!(remembered == command, "a script made another call after the same replies: {remembered} {command}");
            at = next.iter().find(|(seen, _)| seen == reply).map(|(_, step)| *step);
            link = Some((step, reply.clone()));
        }
        if at.is_none() {
            self.attach(&root, link, Step::Done(result));
        }
    }

    fn attach(&mut self, root: &(u32, usize, SmallVec<[Blob; 4]>), link: Option<(usize, Value)>, step: Step) -> usize {
        let number = self.steps.len();
        self.steps.push(step);
        match link {
            None => {
                self.roots.insert(root.clone(), number);
            }
            Some((parent, reply)) => match &mut self.steps[parent] {
                Step::Call { next, .. } => next.push((reply, number)),
                Step::Done(_) => unreachable!("a script went on after its end"),
            },
        }
        number
    }
}

/// What the prelude asks of `debug.getinfo`: the source and line at a level of the caller's stack.
fn place(lua: &Lua, (level, _what): (usize, mlua::LuaString)) -> mlua::Result<LuaValue> {
    let found = lua.inspect_stack(level, |frame| {
        let source = frame.source().source.map(|source| source.into_owned());
        (source, frame.current_line())
    });
    let Some((source, line)) = found else { return Ok(LuaValue::Nil) };
    let table = lua.create_table()?;
    table.set("source", source)?;
    table.set("currentline", line)?;
    Ok(LuaValue::Table(table))
}

/// The command that a script's arguments spell.
fn command_of(words: &MultiValue) -> Option<Command> {
    let word = |value: &LuaValue| match value {
        LuaValue::String(text) => Some(Blob::copy_from(&text.as_bytes())),
        LuaValue::Integer(number) => Some(Blob::from_int(*number)),
        LuaValue::Number(number) => Some(super::number::format(*number)),
        _ => None,
    };
    Some(Command::from_words(words.iter().map(word).collect::<Option<Vec<Blob>>>()?))
}

/// A reply as a script sees it.
fn to_lua(lua: &Lua, value: &Value) -> mlua::Result<LuaValue> {
    let single = |field: &str, text: &Blob| {
        let table = lua.create_table()?;
        table.set(field, lua.create_string(text.as_bytes())?)?;
        Ok(LuaValue::Table(table))
    };
    match value {
        Value::Nil => Ok(LuaValue::Boolean(false)),
        Value::Int(number) => Ok(LuaValue::Number(*number as f64)),
        Value::Bulk(text) => Ok(LuaValue::String(lua.create_string(text.as_bytes())?)),
        Value::Status(text) => single("ok", text),
        Value::Error(text) => single("err", text),
        Value::Array(items) => {
            let items = items.iter().map(|item| to_lua(lua, item)).collect::<mlua::Result<Vec<_>>>()?;
            Ok(LuaValue::Table(lua.create_sequence_from(items)?))
        }
    }
}

/// What a script returned, as a reply: numbers lose their fraction, false is nil, a table ends at its first nil.
fn from_lua(value: &LuaValue, depth: usize) -> Value {
    match value {
        LuaValue::String(text) => Value::Bulk(Blob::copy_from(&text.as_bytes())),
        LuaValue::Integer(number) => Value::Int(*number),
        LuaValue::Number(number) => Value::Int(*number as i64),
        LuaValue::Boolean(true) => Value::Int(1),
        LuaValue::Table(table) => {
            let field = |name: &str| match table.raw_get::<LuaValue>(name) {
                Ok(LuaValue::String(text)) => Some(Blob::copy_from(&text.as_bytes())),
                _ => None,
            };
            if let Some(text) = field("err") {
                return Value::Error(text);
            }
            if let Some(text) = field("ok") {
                return Value::Status(text);
            }
            if depth >= NESTING_MAX {
                return Value::error("ERR reached lua stack limit");
            }
            let mut items = Vec::new();
            while let Ok(item) = table.raw_get::<LuaValue>(items.len() + 1) {
                if item.is_nil() {
                    break;
                }
                items.push(from_lua(&item, depth + 1));
            }
            Value::Array(items)
        }
        _ => Value::Nil,
    }
}

/// The error reply of a script that failed.
fn failure(problem: &LuaValue, sha: &Blob) -> Value {
    let LuaValue::Table(table) = problem else { return Value::error("ERR the script failed without an error") };
    let text = match table.raw_get::<LuaValue>("err") {
        Ok(LuaValue::String(text)) => text.to_string_lossy(),
        _ => "ERR unknown error".to_owned(),
    };
    match table.raw_get::<Option<i64>>("line") {
        Ok(Some(line)) => Value::Error(error(format!("{text} script: {sha}, on @user_script:{line}."))),
        _ => Value::Error(error(format!("{text} script: {sha}"))),
    }
}

/// Runs one command of a script.
fn serve(call: &mut Call, command: &Command) -> Value {
    let words = command.words();
    match commands::resolve(words) {
        Ok(spec) if spec.kind == Kind::NoScript => Value::error("ERR This Redis command is not allowed from script"),
        Ok(spec) => commands::execute(call, spec, words),
        Err(Refused::NotModelled(text)) => Value::Error(text),
        Err(Refused::Arity(_)) => Value::error("ERR Wrong number of args calling Redis command from script"),
        Err(Refused::Unknown(_)) => Value::error("ERR Unknown Redis command called from script"),
    }
}

fn evaluate(call: &mut Call, script: u32, args: &[Blob]) -> Reply {
    let keys = usize::try_from(int(&args[0])?).map_err(|_| error("ERR Number of keys can't be negative"))?;
    if keys > args.len() - 1 {
        return Err("ERR Number of keys can't be greater than number of args".into());
    }
    let nested = std::mem::replace(&mut call.nested, true);
    let value =
        ENGINE.with_borrow_mut(|engine| engine.run(script, keys, &args[1..], &mut |command| serve(call, command)));
    call.nested = nested;
    Ok(value)
}

pub(super) fn eval(call: &mut Call, args: &[Blob]) -> Reply {
    let script = ENGINE.with_borrow_mut(|engine| engine.compile(&args[0]))?;
    call.node.scripts.add(script);
    evaluate(call, script, &args[1..])
}

/// The number of a script that this server has been given.
fn find(call: &Call, sha: &Blob) -> Option<u32> {
    if sha.len() != SHA_HEX_LEN {
        return None;
    }
    let sha = Blob::copy_from(&sha.to_ascii_lowercase());
    let script = ENGINE.with_borrow(|engine| engine.by_sha.get(&sha).copied())?;
    call.node.scripts.0.contains(&script).then_some(script)
}

pub(super) fn evalsha(call: &mut Call, args: &[Blob]) -> Reply {
    match find(call, &args[0]) {
        Some(script) => evaluate(call, script, &args[1..]),
        None => Err("NOSCRIPT No matching script. Please use EVAL.".into()),
    }
}

pub(super) fn script(call: &mut Call, args: &[Blob]) -> Reply {
    match (args[0].to_ascii_uppercase().as_slice(), &args[1..]) {
        (b"LOAD", [body]) => {
            let script = ENGINE.with_borrow_mut(|engine| engine.compile(body))?;
            call.node.scripts.add(script);
            Ok(Value::Bulk(ENGINE.with_borrow(|engine| engine.scripts[script as usize].sha.clone())))
        }
        (b"EXISTS", shas) if !shas.is_empty() => {
            Ok(Value::Array(shas.iter().map(|sha| Value::Int(find(call, sha).is_some().into())).collect()))
        }
        (b"FLUSH", options) if options.len() <= 1 => {
            call.node.scripts = ScriptCache::default();
            Ok(Value::OK)
        }
        _ => Err(error(format!(
            "ERR unknown subcommand or wrong number of arguments for '{}'. Try SCRIPT HELP.",
            args[0].to_text()
        ))),
    }
}
