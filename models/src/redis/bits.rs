//! Strings as arrays of bits, and of integers of any width.

use super::args::{byte_range, int, is};
use super::call::Call;
use super::keyspace::{Data, Entry};
use super::reply::{Failure, Reply, SYNTAX, c_string, error};
use super::strings::{STRING_BYTES_MAX, keep_deadline};
use crate::Blob;
use crate::resp::Value;

const NOT_BIT_OFFSET: Blob = Blob::from_static(b"ERR bit offset is not an integer or out of range");
const NOT_BITFIELD_TYPE: Blob = Blob::from_static(
    b"ERR Invalid bitfield type. Use something like i16 u8. Note that u64 is not supported but i64 is.",
);

fn bit_offset(word: &Blob) -> Result<usize, Failure> {
    word.to_int().filter(|at| (0..STRING_BYTES_MAX * 8).contains(at)).map(|at| at as usize).ok_or(NOT_BIT_OFFSET.into())
}

pub(super) fn setbit(call: &mut Call, args: &[Blob]) -> Reply {
    let at = bit_offset(&args[1])?;
    let bit = args[2].to_int().filter(|bit| matches!(bit, 0 | 1));
    let bit = bit.ok_or_else(|| error("ERR bit is not an integer or out of range"))?;
    let mut text = call.string(&args[0])?.map(|text| text.to_vec()).unwrap_or_default();
    let grows = text.len() <= at / 8;
    if grows {
        text.resize(at / 8 + 1, 0);
    }
    let mask = 0x80 >> (at % 8);
    let old = text[at / 8] & mask != 0;
    text[at / 8] = if bit == 1 { text[at / 8] | mask } else { text[at / 8] & !mask };
    if grows || old != (bit == 1) {
        keep_deadline(call, &args[0], text.into());
    }
    Ok(Value::Int(old.into()))
}

pub(super) fn getbit(call: &mut Call, args: &[Blob]) -> Reply {
    let at = bit_offset(&args[1])?;
    let byte = call.string(&args[0])?.and_then(|text| text.get(at / 8).copied()).unwrap_or(0);
    Ok(Value::Int((byte & (0x80 >> (at % 8)) != 0).into()))
}

pub(super) fn bitcount(call: &mut Call, args: &[Blob]) -> Reply {
    let Some(text) = call.string(&args[0])?.cloned() else { return Ok(Value::Int(0)) };
    let is_set = |at: &usize| text[at / 8] & (0x80 >> (at % 8)) != 0;
    let bits = match &args[1..] {
        [] => 0..text.len() * 8,
        [start, stop, unit @ ..] if unit.len() <= 1 => {
            let (start, stop) = (int(start)?, int(stop)?);
            if start < 0 && stop < 0 && start > stop {
                return Ok(Value::Int(0));
            }
            let width = match unit {
                [unit] if is(unit, "BIT") => 1,
                [unit] if !is(unit, "BYTE") => return Err(SYNTAX.into()),
                _ => 8,
            };
            match byte_range(start, stop, text.len() * 8 / width) {
                Some((from, to)) => from * width..(to + 1) * width,
                None => 0..0,
            }
        }
        _ => return Err(SYNTAX.into()),
    };
    Ok(Value::Int(bits.filter(is_set).count() as i64))
}

/// What a sum becomes that its integer has no room for.
#[derive(Clone, Copy, PartialEq)]
enum Overflow {
    Wrap,
    Saturate,
    Fail,
}

/// An integer in a string: where it begins, how wide it is, and whether it has a sign.
#[derive(Clone, Copy)]
struct Field {
    at: usize,
    width: usize,
    signed: bool,
}

/// One step of BITFIELD.
enum Step {
    Get(Field),
    Set(Field, i64, Overflow),
    Add(Field, i64, Overflow),
}

impl Field {
    /// Reads the type and the offset.
    fn parse(kind: &Blob, offset: &Blob) -> Result<Field, Failure> {
        let (signed, width) = match c_string(kind, usize::MAX) {
            [b'i', width @ ..] => (true, width),
            [b'u', width @ ..] => (false, width),
            _ => return Err(NOT_BITFIELD_TYPE.into()),
        };
        let width_max = if signed { 64 } else { 63 };
        let width = Blob::copy_from(width).to_int().filter(|width| (1..=width_max).contains(width));
        let width = width.ok_or(NOT_BITFIELD_TYPE)?;
        let at = match offset.as_bytes() {
            // The offset counts integers, not bits.
            [b'#', number @ ..] => Blob::copy_from(number).to_int().map(|number| number.wrapping_mul(width)),
            _ => offset.to_int(),
        };
        let at = at.filter(|at| (0..STRING_BYTES_MAX * 8).contains(at)).ok_or(NOT_BIT_OFFSET)?;
        Ok(Field { at: at as usize, width: width as usize, signed })
    }

    fn end(self) -> usize {
        self.at + self.width
    }

    /// The least and the greatest integer that fit.
    fn range(self) -> (i128, i128) {
        match self.signed {
            true => (-(1 << (self.width - 1)), (1 << (self.width - 1)) - 1),
            false => (0, (1 << self.width) - 1),
        }
    }

    /// The integer in the text. What is beyond its end is 0.
    fn read(self, text: &[u8]) -> i128 {
        let bit = |at: usize| i128::from(text.get(at / 8).is_some_and(|byte| byte & (0x80 >> (at % 8)) != 0));
        self.fold((self.at..self.end()).fold(0, |number, at| number << 1 | bit(at)))
    }

    /// Writes the integer into the text, which has room for it.
    fn write(self, text: &mut [u8], number: i128) {
        for (at, shift) in (self.at..self.end()).zip((0..self.width).rev()) {
            let mask = 0x80 >> (at % 8);
            text[at / 8] = if number >> shift & 1 == 1 { text[at / 8] | mask } else { text[at / 8] & !mask };
        }
    }

    /// The integer with the same lowest bits that fits.
    fn fold(self, number: i128) -> i128 {
        let low = number & ((1 << self.width) - 1);
        if self.signed && low >> (self.width - 1) == 1 { low - (1 << self.width) } else { low }
    }

    /// What is written for a number; `None` if nothing is.
    fn fit(self, number: i128, overflow: Overflow) -> Option<i128> {
        let (least, greatest) = self.range();
        match overflow {
            _ if (least..=greatest).contains(&number) => Some(number),
            Overflow::Wrap => Some(self.fold(number)),
            Overflow::Saturate => Some(number.clamp(least, greatest)),
            Overflow::Fail => None,
        }
    }
}

/// Reads the steps.
fn steps(args: &[Blob]) -> Result<Vec<Step>, Failure> {
    let (mut steps, mut overflow, mut rest) = (Vec::new(), Overflow::Wrap, args);
    loop {
        rest = match rest {
            [] => return Ok(steps),
            [word, kind, at, rest @ ..] if is(word, "GET") => {
                steps.push(Step::Get(Field::parse(kind, at)?));
                rest
            }
            [word, kind, at, value, rest @ ..] if is(word, "SET") => {
                steps.push(Step::Set(Field::parse(kind, at)?, int(value)?, overflow));
                rest
            }
            [word, kind, at, value, rest @ ..] if is(word, "INCRBY") => {
                steps.push(Step::Add(Field::parse(kind, at)?, int(value)?, overflow));
                rest
            }
            [word, how, rest @ ..] if is(word, "OVERFLOW") => {
                overflow = match how {
                    how if is(how, "WRAP") => Overflow::Wrap,
                    how if is(how, "SAT") => Overflow::Saturate,
                    how if is(how, "FAIL") => Overflow::Fail,
                    _ => return Err("ERR Invalid OVERFLOW type specified".into()),
                };
                rest
            }
            _ => return Err(SYNTAX.into()),
        };
    }
}

pub(super) fn bitfield(call: &mut Call, args: &[Blob]) -> Reply {
    let steps = steps(&args[1..])?;
    let written = |step: &Step| match step {
        Step::Get(_) => None,
        Step::Set(field, ..) | Step::Add(field, ..) => Some(field.end().div_ceil(8)),
    };
    match steps.iter().filter_map(written).max() {
        None => get_all(call, &args[0], &steps),
        Some(room) => run(call, &args[0], &steps, room),
    }
}

pub(super) fn bitfield_ro(call: &mut Call, args: &[Blob]) -> Reply {
    let steps = steps(&args[1..])?;
    if steps.iter().any(|step| !matches!(step, Step::Get(_))) {
        return Err("ERR BITFIELD_RO only supports the GET subcommand".into());
    }
    get_all(call, &args[0], &steps)
}

fn get_all(call: &mut Call, key: &Blob, steps: &[Step]) -> Reply {
    let text = call.string(key)?.cloned().unwrap_or_default();
    let get = |step: &Step| match step {
        Step::Get(field) => Value::Int(field.read(&text) as i64),
        Step::Set(..) | Step::Add(..) => unreachable!("nothing is written here"),
    };
    Ok(Value::Array(steps.iter().map(get).collect()))
}

/// Runs steps of which some write. The string has room for all of them first, whether or not they write.
fn run(call: &mut Call, key: &Blob, steps: &[Step], room: usize) -> Reply {
    let old = call.string(key)?.cloned();
    let mut text = old.as_ref().map(|text| text.to_vec()).unwrap_or_default();
    let grows = text.len() < room;
    text.resize(text.len().max(room), 0);
    let mut changes = 0;
    let mut replies = Vec::new();
    for step in steps {
        let (field, number, overflow, adds) = match *step {
            Step::Get(field) => {
                replies.push(Value::Int(field.read(&text) as i64));
                continue;
            }
            Step::Set(field, number, overflow) => (field, number, overflow, false),
            Step::Add(field, number, overflow) => (field, number, overflow, true),
        };
        let before = field.read(&text);
        // To an unsigned integer a negative number that is set is a large one.
        let wanted = match adds {
            true => before + i128::from(number),
            false if field.signed => i128::from(number),
            false => i128::from(number as u64),
        };
        let Some(after) = field.fit(wanted, overflow) else {
            replies.push(Value::Nil);
            continue;
        };
        field.write(&mut text, after);
        changes += u64::from(grows || before != after);
        replies.push(Value::Int(if adds { after } else { before } as i64));
    }
    if changes > 0 {
        keep_deadline(call, key, text.into());
        call.dirty += changes - 1;
    } else if grows {
        // The real server has made room and tells nothing of it.
        let expire_at = call.entry(key).and_then(|entry| entry.expire_at);
        call.db().insert(key.clone(), Entry { data: Data::Str(text.into()), expire_at });
    }
    Ok(Value::Array(replies))
}
