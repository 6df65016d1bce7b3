//! The interpreter: real Lua 5.1, run once for each behaviour.
//!
//! A script sees its keys, its arguments and the replies to its own calls, and nothing else. So what
//! it does after the same replies is always the same, and is remembered: a tree of calls with a branch
//! for each reply, per script and arguments. The interpreter runs only where the tree has no branch yet;
//! a property test compares both ways.

use super::super::reply::{Failure, Reply, error_quoting, not_modelled};
use super::cache::{Script, sha1_hex};
use super::natives::{self, SERVER};
use super::values::{command_of, failure, from_lua, to_lua};
use crate::Blob;
use crate::names;
use crate::resp::{Command, Value};
use foldhash::fast::FixedState;
use mlua::{Function, Lua, MultiValue, Table, Value as LuaValue};
use smallvec::SmallVec;
use std::cell::RefCell;
use std::collections::HashMap;

/// Trees are thrown away together when there are this many nodes in them.
const REMEMBERED_STEPS_MAX: usize = 1 << 16;

/// What a script did at one point of its run.
#[derive(Clone)]
enum Step {
    /// It called the server; the next step depends on the reply.
    Call { command: Command, next: Vec<(Value, usize)> },
    /// It ended. Perhaps it can tell two clients apart by more than whether their names are equal.
    Done { result: Reply, tells_apart: bool },
}

/// What serves the commands of a running script. It fails only if the model does not have something.
pub(super) type Server<'a> = dyn FnMut(&Command) -> Reply + 'a;

/// One run of the interpreter.
struct Run {
    calls: Vec<(Command, Value)>,
    result: Reply,
    /// The model does not have what the last call, which is not among `calls`, asked for.
    refused_by_server: bool,
}

struct Engine {
    lua: Lua,
    natives: natives::State,
    /// The global variables, behind the stand-in that a script sees as `_G`.
    globals: Table,
    xpcall: Function,
    /// Adds its place to an error that ends a script.
    with_place: Function,
    /// The hashes of the compiled scripts, by their number.
    shas: Vec<Blob>,
    /// The compiled scripts, by their number plus one. In Lua, as there are only so many handles to what is there.
    functions: Table,
    by_body: HashMap<Blob, Script, FixedState>,
    by_sha: HashMap<Blob, u32, FixedState>,
    steps: Vec<Step>,
    roots: HashMap<(u32, usize, SmallVec<[Blob; 4]>), usize, FixedState>,
}

thread_local! {
    static ENGINE: RefCell<Engine> = RefCell::new(Engine::new());
}

/// A script, compiled if it is new on this thread.
pub(super) fn compile(body: &Blob) -> Result<Script, Failure> {
    ENGINE.with_borrow_mut(|engine| engine.compile(body))
}

/// Runs a script; the first `keys` arguments are its keys. `server` serves the commands that it calls.
pub(super) fn run(script: u32, keys: usize, args: &[Blob], server: &mut Server<'_>) -> Reply {
    ENGINE.with_borrow_mut(|engine| engine.run(script, keys, args, server))
}

/// The number of the script with this hash, if this thread has compiled it.
pub(super) fn number_of(sha: &Blob) -> Option<u32> {
    ENGINE.with_borrow(|engine| engine.by_sha.get(sha).copied())
}

/// A compiled script's hash.
pub(super) fn sha_of(script: u32) -> Blob {
    ENGINE.with_borrow(|engine| engine.shas[script as usize].clone())
}

impl Engine {
    fn new() -> Self {
        Self::start().expect("the script prelude loads")
    }

    fn start() -> mlua::Result<Self> {
        let libraries = mlua::StdLib::STRING | mlua::StdLib::TABLE | mlua::StdLib::MATH;
        // This leaves pcall and xpcall as Lua has them: others would add levels to the stack.
        let lua = Lua::new_with(libraries, mlua::LuaOptions::new().catch_rust_panics(true))?;
        let xpcall = lua.globals().get("xpcall")?;
        let natives = natives::State::default();
        let prelude = lua.load(include_str!("prelude.lua")).set_name("=prelude").into_function()?;
        let (globals, with_place) = prelude.call(natives.table(&lua)?)?;
        let functions = lua.create_table()?;
        Ok(Engine {
            lua,
            natives,
            globals,
            xpcall,
            with_place,
            shas: Vec::new(),
            functions,
            by_body: HashMap::default(),
            by_sha: HashMap::default(),
            steps: Vec::new(),
            roots: HashMap::default(),
        })
    }

    /// A script, compiled if it is new here.
    fn compile(&mut self, body: &Blob) -> Result<Script, Failure> {
        if let Some(script) = self.by_body.get(body) {
            return Ok(*script);
        }
        if body.starts_with(b"#!") || body.starts_with(b"\x1b") {
            return not_modelled("a script with a shebang, or a compiled one");
        }
        let environment = self.globals.raw_get::<Table>("_G").expect("the prelude sets _G");
        let chunk = self.lua.load(body.as_bytes()).set_name("@user_script").set_environment(environment);
        let function = chunk.into_function().map_err(|problem| match problem {
            mlua::Error::SyntaxError { message, .. } if !message.contains(char::REPLACEMENT_CHARACTER) => {
                let before = "ERR Error compiling script (new function): ";
                Failure::Error(error_quoting(before, message.as_bytes(), usize::MAX, ""))
            }
            other => Failure::NotModelled(format!("a script that does not compile so: {other}")),
        })?;
        let sha = sha1_hex(body);
        let script = Script::new(self.shas.len(), &sha);
        self.by_sha.insert(sha.clone(), script.number);
        self.by_body.insert(body.clone(), script);
        self.functions.raw_set(script.number + 1, function).expect("a table takes one more function");
        self.shas.push(sha);
        Ok(script)
    }

    /// Runs a script: along the remembered steps as far as they go, then in the interpreter.
    fn run(&mut self, script: u32, keys: usize, args: &[Blob], server: &mut Server<'_>) -> Reply {
        if self.steps.len() > REMEMBERED_STEPS_MAX {
            self.steps.clear();
            self.roots.clear();
        }
        let root = (script, keys, SmallVec::from(args));
        let mut replies = Vec::new();
        if let Some(mut at) = self.roots.get(&root).copied() {
            loop {
                match &self.steps[at] {
                    Step::Done { result, tells_apart } => {
                        if *tells_apart {
                            names::note_told_apart();
                        }
                        return result.clone();
                    }
                    Step::Call { command, next } => {
                        let reply = server(command)?;
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
        let Run { calls, result, refused_by_server } = self.interpret(script, keys, args, replies, server);
        if !refused_by_server {
            let tells_apart = self.tells_apart(script, keys, args, &calls, &result);
            if tells_apart {
                names::note_told_apart();
            }
            self.remember(root, &calls, Step::Done { result: result.clone(), tells_apart });
        }
        result
    }

    /// True if the script does something else where clients have other names: it is run once more with its keys, its arguments
    /// and the replies mirrored, and what it does must be the mirror of what it did.
    fn tells_apart(
        &mut self,
        script: u32,
        keys: usize,
        args: &[Blob],
        calls: &[(Command, Value)],
        result: &Reply,
    ) -> bool {
        let names_nobody = |blob: &Blob| names::mirrored(blob).is_none();
        if args.iter().all(names_nobody) && calls.iter().all(|(_, reply)| mirror_of(reply) == *reply) {
            return false;
        }
        let mirrored_args: Vec<Blob> = args.iter().map(mirror).collect();
        let mut expected = calls.iter();
        let mut server = |command: &Command| {
            let mirrored =
                |(asked, _): &&(Command, Value)| asked.words().iter().map(mirror).eq(command.words().iter().cloned());
            match expected.next().filter(mirrored) {
                Some((_, reply)) => match mirror_of(reply) {
                    Value::Error(text) => Err(Failure::Error(text)),
                    reply => Ok(reply),
                },
                None => not_modelled("what a script asks for only where clients have other names"),
            }
        };
        let run = self.interpret(script, keys, &mirrored_args, Vec::new(), &mut server);
        let same_end = match (result, &run.result) {
            (Ok(value), Ok(other)) => mirror_of(value) == *other,
            (Err(Failure::Error(text)), Err(Failure::Error(other))) => mirror(text) == *other,
            (Err(Failure::NotModelled(_)), Err(Failure::NotModelled(_))) => true,
            _ => false,
        };
        run.calls.len() != calls.len() || !same_end
    }

    /// Runs the interpreter; the first calls are answered with `replies`, which the server has given already.
    fn interpret(
        &mut self,
        script: u32,
        keys: usize,
        args: &[Blob],
        replies: Vec<Value>,
        server: &mut Server<'_>,
    ) -> Run {
        self.natives.reset();
        let mut calls: Vec<(Command, Value)> = Vec::new();
        let mut refused_by_server = false;
        let mut known = replies.into_iter();
        let outcome = self.lua.scope(|scope| {
            let serve = scope.create_function_mut(|lua, words: MultiValue| {
                let Some(command) = command_of(&words) else {
                    return Ok(LuaValue::Nil);
                };
                let reply = match known.next().map_or_else(|| server(&command), Ok) {
                    Ok(reply) => reply,
                    Err(Failure::Error(text)) => Value::Error(text),
                    Err(Failure::NotModelled(what)) => {
                        refused_by_server = true;
                        return Err(self.natives.refuse(lua, &what));
                    }
                };
                let answer = to_lua(lua, &reply)?;
                calls.push((command, reply));
                Ok(answer)
            })?;
            self.lua.set_named_registry_value(SERVER, serve)?;
            self.globals.raw_set("KEYS", self.list(&args[..keys])?)?;
            self.globals.raw_set("ARGV", self.list(&args[keys..])?)?;
            let function = self.functions.raw_get::<Function>(script + 1)?;
            self.xpcall.call::<(bool, LuaValue)>((function, &self.with_place))
        });
        self.lua.remove_hook();
        let result = match outcome {
            Ok((true, value)) => from_lua(&value, 0),
            Ok((false, problem)) => failure(&self.lua, &problem, &self.shas[script as usize]),
            Err(problem) => not_modelled(format!("a script that fails so: {problem}")),
        };
        // What is not modelled is never passed over, even if the script caught the error.
        let result = self.natives.refusal().map_or(result, not_modelled);
        Run { calls, result, refused_by_server }
    }

    fn list(&self, blobs: &[Blob]) -> mlua::Result<Table> {
        let items = blobs.iter().map(|blob| self.lua.create_string(blob.as_bytes()));
        self.lua.create_sequence_from(items.collect::<mlua::Result<Vec<_>>>()?)
    }

    /// Adds the calls of one run to the tree.
    fn remember(&mut self, root: (u32, usize, SmallVec<[Blob; 4]>), calls: &[(Command, Value)], end: Step) {
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
            self.attach(&root, link, end);
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
                Step::Done { .. } => unreachable!("a script went on after its end"),
            },
        }
        number
    }
}

fn mirror(blob: &Blob) -> Blob {
    names::mirrored(blob).map_or_else(|| blob.clone(), Blob::from)
}

fn mirror_of(value: &Value) -> Value {
    match value {
        Value::Nil | Value::Int(_) => value.clone(),
        Value::Bulk(blob) => Value::Bulk(mirror(blob)),
        Value::Status(blob) => Value::Status(mirror(blob)),
        Value::Array(items) => Value::Array(items.iter().map(mirror_of).collect()),
        Value::Error(blob) => Value::Error(mirror(blob)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::redis::{Config, Node};
    use crate::{ConnId, Digest, NodeClock, Response};
    use std::hash::Hash;

    const CLOCK: NodeClock = NodeClock { wall_us: 1_000_000_000, mono_us: 0 };
    const SCRIPTS: &[&str] = &[
        "return redis.call('incr', KEYS[1])",
        "if redis.call('get', KEYS[1]) == ARGV[1] then return redis.call('del', KEYS[1]) else return 0 end",
        "local old = redis.call('get', KEYS[1]) redis.call('set', KEYS[1], ARGV[1]) return old",
        "return {redis.pcall('incr', KEYS[1]), redis.pcall('lpush', KEYS[2], ARGV[1]), redis.pcall('nosuch')}",
        "for i = 1, 3 do redis.call('rpush', KEYS[2], i) end return redis.call('lrange', KEYS[2], 0, -1)",
        "local ok, problem = pcall(redis.call, 'incr', KEYS[2]) return {ok, problem, redis.call('exists', KEYS[2])}",
        "redis.call('append', KEYS[1], 'x') if #redis.call('get', KEYS[1]) > 4 then error('too long') end return 'ok'",
        "math.randomseed(ARGV[1]) return redis.call('set', KEYS[1], math.random(5))",
        "return missing",
    ];

    /// The commands of one run: scripts, with plain writes in between.
    fn commands(seed: u64) -> Vec<Command> {
        let mut state = seed;
        let mut below = |limit: u64| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) % limit
        };
        let one = |_| {
            let (first, second) = (format!("k{}", below(2)), format!("k{}", below(2)));
            let arg = below(3) as i64;
            match below(5) {
                0 => Command::new("SET").arg(first).arg(arg),
                1 => Command::new("DEL").arg(first),
                _ => {
                    let script = SCRIPTS[below(SCRIPTS.len() as u64) as usize];
                    Command::new("EVAL").arg(script).arg(2i64).arg(first).arg(second).arg(arg)
                }
            }
        };
        (0..60).map(one).collect()
    }

    /// All replies, and the fingerprint of the state that is left.
    fn run(commands: &[Command], before_each: fn(&mut Engine)) -> (Vec<Response>, u128) {
        let mut node = Node::new(Config::default());
        let mut out = Vec::new();
        for command in commands {
            ENGINE.with_borrow_mut(before_each);
            node.serve(CLOCK, ConnId { client: 0, member: 0, lane: 0 }, command, &mut out);
        }
        let mut digest = Digest::default();
        node.hash(&mut digest);
        (out.iter().filter_map(crate::Output::response).cloned().collect(), digest.finish128())
    }

    #[test]
    fn scripts_do_the_same_remembered_and_interpreted() {
        for seed in 0..40 {
            let commands = commands(seed);
            let interpreted = run(&commands, |engine| {
                engine.steps.clear();
                engine.roots.clear();
            });
            let once = run(&commands, |_| ());
            let steps = ENGINE.with_borrow(|engine| engine.steps.len());
            let remembered = run(&commands, |_| ());
            assert_eq!(ENGINE.with_borrow(|engine| engine.steps.len()), steps, "the second run follows the tree");
            assert_eq!(once, interpreted, "seed {seed}");
            assert_eq!(remembered, interpreted, "seed {seed}");
        }
    }

    #[test]
    fn fingerprints_do_not_depend_on_the_order_in_which_a_thread_saw_its_scripts() {
        let load = |at: usize| Command::new("SCRIPT").arg("LOAD").arg(SCRIPTS[at]);
        let fingerprint = |commands: Vec<Command>| {
            std::thread::spawn(move || run(&commands, |_| ()).1).join().expect("the thread ends well")
        };
        let forgotten = || Command::new("SCRIPT").arg("FLUSH");
        let first = fingerprint(vec![load(0), load(1)]);
        assert_eq!(first, fingerprint(vec![load(1), load(0), load(1)]));
        assert_eq!(first, fingerprint(vec![load(2), load(1), forgotten(), load(0), load(1)]));
        assert_ne!(first, fingerprint(vec![load(0), load(2)]));
        assert_ne!(first, fingerprint(vec![load(1)]));
    }
}
