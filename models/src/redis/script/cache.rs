//! Which scripts a server has been given.

use crate::Blob;
use crate::escape::Derived;
use smallvec::SmallVec;

/// The scripts that a server has been given, by their number in this thread's engine.
#[derive(Clone, Default, Hash)]
pub(in crate::redis) struct ScriptCache {
    /// This thread's numbers of what the marks tell.
    scripts: Derived<SmallVec<[u32; 6]>>,
    /// The sum of the scripts' marks: the same on every thread, in whatever order it has numbered them.
    marks: u128,
}

impl ScriptCache {
    pub(super) fn has(&self, script: u32) -> bool {
        self.scripts.binary_search(&script).is_ok()
    }

    pub(super) fn add(&mut self, script: Script) {
        if let Err(at) = self.scripts.binary_search(&script.number) {
            self.scripts.insert(at, script.number);
            self.marks = self.marks.wrapping_add(script.mark);
        }
    }
}

/// A compiled script.
#[derive(Clone, Copy)]
pub(super) struct Script {
    /// Its number in this thread's engine.
    pub number: u32,
    /// The first 128 bits of its hash.
    mark: u128,
}

impl Script {
    pub(super) fn new(number: usize, sha: &Blob) -> Self {
        let mark = std::str::from_utf8(&sha[..32]).ok().and_then(|hex| u128::from_str_radix(hex, 16).ok());
        Script {
            number: u32::try_from(number).expect("fewer scripts than 2^32"),
            mark: mark.expect("a hash is written in hexadecimal"),
        }
    }
}

/// The hash by which a script is known.
pub(super) fn sha1_hex(bytes: &[u8]) -> Blob {
    sha1_smol::Sha1::from(bytes).digest().to_string().into()
}
