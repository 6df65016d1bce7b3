//! Makes a program smaller, as long as it still shows something.

use super::ast::{Op, Program, Time};

/// A shrinking ends after so many tries.
const TRIES_MAX: usize = 400;

/// The smallest program that this finds for which `shows` is true, as it is for `program`.
pub fn smallest(program: &Program, mut shows: impl FnMut(&Program) -> bool) -> Program {
    let mut smallest = program.clone();
    let mut tries = 0;
    'again: loop {
        for candidate in candidates(&smallest) {
            tries += 1;
            if tries > TRIES_MAX {
                return smallest;
            }
            if shows(&candidate) {
                smallest = candidate;
                continue 'again;
            }
        }
        return smallest;
    }
}

/// Programs with one thing less, those with most less first.
fn candidates(program: &Program) -> Vec<Program> {
    let mut candidates = Vec::new();
    let mut add = |change: &dyn Fn(&mut Program)| {
        let mut candidate = program.clone();
        change(&mut candidate);
        if candidate != *program {
            candidates.push(candidate);
        }
    };
    if program.is_alike() {
        add(&|program| program.clients = program.clients.saturating_sub(1).max(1));
    } else {
        for client in 0..program.code.len() {
            add(&|program| {
                // One piece of code would be everybody's.
                if program.code.len() > 2 {
                    program.code.remove(client);
                    program.clients -= 1;
                }
            });
            add(&|program| program.code[client].clear());
        }
    }
    for fault in 0..program.faults.len() {
        add(&|program| {
            program.faults.remove(fault);
        });
    }
    for client in 0..program.code.len() {
        for smaller in smaller(&program.code[client]) {
            add(&|program| program.code[client] = smaller.clone());
        }
    }
    add(&|program| program.time = Time { drift_ppm: 0, ..program.time });
    add(&|program| program.time = Time { offset_ms: 0, ..program.time });
    add(&|program| program.time = Time { step_ms: 0, ..program.time });
    add(&|program| program.time = Time { delay_ms: Some(0), ..program.time });
    add(&|program| program.time = Time { pause_ms: None, ..program.time });
    add(&|program| program.any_time = false);
    if program.servers.len() > 1 {
        let last = program.servers.len() - 1;
        let used = program.code.iter().any(|code| uses(code, last));
        add(&|program| {
            if !used {
                program.servers.pop();
            }
        });
    }
    candidates
}

fn uses(code: &[Op], server: usize) -> bool {
    code.iter().any(|op| match op {
        Op::Ask(at, ..) | Op::Pipeline(at, ..) | Op::Send(at, _) => *at == server,
        Op::If(_, inner) | Op::Spawn(inner) | Op::Round(inner) => uses(inner, server),
        Op::Sleep(_) | Op::Tell(_) | Op::Stop => false,
    })
}

/// Pieces of code with one thing less.
fn smaller(code: &[Op]) -> Vec<Vec<Op>> {
    let mut all = Vec::new();
    for (at, op) in code.iter().enumerate() {
        let mut replace = |by: &[Op]| {
            let mut smaller = code.to_vec();
            smaller.splice(at..=at, by.iter().cloned());
            all.push(smaller);
        };
        replace(&[]);
        match op {
            Op::If(cond, inner) => {
                replace(inner);
                for less in smaller(inner) {
                    replace(&[Op::If(*cond, less)]);
                }
            }
            Op::Spawn(inner) => {
                replace(inner);
                for less in smaller(inner) {
                    replace(&[Op::Spawn(less)]);
                }
            }
            Op::Round(inner) => {
                replace(inner);
                for less in smaller(inner) {
                    replace(&[Op::Round(less)]);
                }
            }
            Op::Ask(server, ask, Some(_)) => replace(&[Op::Ask(*server, *ask, None)]),
            Op::Pipeline(server, first, second) => {
                replace(&[Op::Ask(*server, *first, None), Op::Ask(*server, *second, None)]);
            }
            Op::Send(server, ask) => replace(&[Op::Ask(*server, *ask, None)]),
            _ => {}
        }
    }
    all
}
