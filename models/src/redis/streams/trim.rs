//! Trimming: the options that XADD and XTRIM share.

use super::id::{self, Given, StreamId};
use super::stream::Stream;
use crate::Blob;
use crate::redis::args::{int, is};
use crate::redis::reply::{Failure, SYNTAX, not_modelled};

/// What may stand before the ID of XADD, or behind the key of XTRIM.
#[derive(Default)]
pub(super) struct Options {
    pub keep: Option<Keep>,
    pub only_existing: bool,
    approximate: bool,
    limit: Option<i64>,
}

/// Which entries stay.
#[derive(Clone, Copy)]
pub(super) enum Keep {
    Newest(usize),
    From(StreamId),
}

impl Options {
    /// Reads the options of XADD and the ID behind them; `None` leaves it to the server. Returns what is left.
    pub(super) fn of_xadd(args: &[Blob]) -> Result<(Self, Option<Given>, &[Blob]), Failure> {
        let mut options = Options::default();
        let mut rest = args;
        let mut given = None;
        while let [word, behind @ ..] = rest {
            if word.as_bytes() == b"*" {
                rest = behind;
                break;
            }
            if let Some(left) = options.option(word, behind)? {
                rest = left;
            } else if is(word, "NOMKSTREAM") {
                options.only_existing = true;
                rest = behind;
            } else {
                given = Some(id::given(word)?);
                rest = behind;
                break;
            }
        }
        options.check()?;
        Ok((options, given, rest))
    }

    /// Reads the options of XTRIM.
    pub(super) fn of_xtrim(args: &[Blob]) -> Result<Self, Failure> {
        let mut options = Options::default();
        let mut rest = args;
        while let [word, behind @ ..] = rest {
            rest = options.option(word, behind)?.ok_or(SYNTAX)?;
        }
        options.check_limit()?;
        if options.keep.is_none() {
            return Err("ERR syntax error, XTRIM must be called with MAXLEN or MINID".into());
        }
        options.check()?;
        Ok(options)
    }

    /// Reads one option and returns what is behind it; `None` if the word is none.
    fn option<'a>(&mut self, word: &Blob, behind: &'a [Blob]) -> Result<Option<&'a [Blob]>, Failure> {
        let [first, rest @ ..] = behind else { return Ok(None) };
        if is(word, "LIMIT") {
            let limit = int(first)?;
            if limit < 0 {
                return Err("ERR The LIMIT argument must be >= 0.".into());
            }
            self.limit = Some(limit);
            return Ok(Some(rest));
        }
        if !is(word, "MAXLEN") && !is(word, "MINID") {
            return Ok(None);
        }
        if self.keep.is_some() {
            let both = "ERR syntax error, MAXLEN and MINID options at the same time are not compatible";
            return Err(both.into());
        }
        let (value, rest) = match (first.as_bytes(), rest) {
            (b"~" | b"=", [value, rest @ ..]) => {
                self.approximate = first.as_bytes() == b"~";
                (value, rest)
            }
            _ => (first, rest),
        };
        self.keep =
            Some(if is(word, "MAXLEN") { Keep::Newest(len(value)?) } else { Keep::From(id::strict(value, 0)?) });
        Ok(Some(rest))
    }

    fn check_limit(&self) -> Result<(), Failure> {
        if self.limit.is_some_and(|limit| limit > 0) && self.keep.is_none() {
            return Err("ERR syntax error, LIMIT cannot be used without specifying a trimming strategy".into());
        }
        Ok(())
    }

    fn check(&self) -> Result<(), Failure> {
        self.check_limit()?;
        if self.limit.is_some() && !self.approximate {
            return Err("ERR syntax error, LIMIT cannot be used without the special ~ option".into());
        }
        if self.approximate {
            // The real server drops whole nodes of its tree, whose size is a matter of bytes.
            return not_modelled("trimming a stream approximately (~)");
        }
        Ok(())
    }
}

fn len(word: &Blob) -> Result<usize, Failure> {
    usize::try_from(int(word)?).map_err(|_| "ERR The MAXLEN argument must be >= 0.".into())
}

/// Removes what is not to be kept, and returns how many entries that were.
pub(super) fn trim(stream: &mut Stream, keep: Keep) -> usize {
    let before = stream.entries.len();
    match keep {
        Keep::Newest(len) => (len..before).for_each(|_| drop(stream.entries.pop_first())),
        Keep::From(id) => stream.entries = stream.entries.split_off(&id),
    }
    before - stream.entries.len()
}
