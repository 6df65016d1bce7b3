//! Digest: the hasher of state fingerprints, which can rename clients.

use crate::names::split_at_client;
use foldhash::quality::FixedState;
use smallvec::SmallVec;
use std::hash::{BuildHasher, Hasher};

/// Stands for the client whose digest it is.
const MINE: u8 = 0xFE;

/// Hashes states. Where clients are interchangeable it is given their canonical numbers and writes
/// `client-2` in a key or a value under the number that client 2 has been given, so that states
/// that differ only in who is who share one fingerprint.
pub struct Digest {
    hasher: foldhash::quality::FoldHasher<'static>,
    rename: Option<[u8; Digest::RENAMED_CLIENTS_MAX]>,
    /// The clients whose names were written under their own number, a bit each.
    mentioned: u32,
    /// Numbers of which only the rank among these counts, by their route.
    ranks: SmallVec<[(u64, SmallVec<[u64; 8]>); 2]>,
}

impl Digest {
    /// More clients than this are never renamed.
    pub const RENAMED_CLIENTS_MAX: usize = 16;

    /// A digest that takes names as they are.
    pub fn new() -> Self {
        Digest { hasher: FixedState::default().build_hasher(), rename: None, mentioned: 0, ranks: SmallVec::new() }
    }

    /// A digest that writes client `i` as `numbers[i]`. Above 16 clients names are kept.
    pub fn renaming(numbers: &[u8]) -> Self {
        let mut digest = Digest::new();
        if numbers.len() <= Self::RENAMED_CLIENTS_MAX {
            let mut rename = [u8::MAX; Self::RENAMED_CLIENTS_MAX];
            rename[..numbers.len()].copy_from_slice(numbers);
            digest.rename = Some(rename);
        }
        digest
    }

    /// A digest for what one client has seen: its own name is written as "mine", and the names of
    /// others are noted in [`mentioned`](Digest::mentioned).
    pub fn naming_self(client: usize) -> Self {
        let mut digest = Digest::new();
        if client < Self::RENAMED_CLIENTS_MAX {
            let mut rename = std::array::from_fn(|other| other as u8);
            rename[client] = MINE;
            digest.rename = Some(rename);
        }
        digest
    }

    /// The clients that were named other than as "mine", a bit each; those above 31 share the last bit.
    pub fn mentioned(&self) -> u32 {
        self.mentioned
    }

    /// An empty digest that renames as this one does.
    pub fn fork(&self) -> Self {
        Digest { rename: self.rename, ranks: self.ranks.clone(), ..Digest::new() }
    }

    /// Of numbers that come on this route only the rank among `live` counts from now on; those that are not among them are
    /// all alike.
    pub fn rank(&mut self, route: u64, live: SmallVec<[u64; 8]>) {
        self.ranks.push((route, live));
    }

    /// Adds a number whose type has a route of its own: a client, or a number that may be ranked.
    fn routed(&mut self, route: u64, number: u64) {
        self.int(route);
        match self.ranks.iter().find(|(of, _)| *of == route) {
            Some((_, live)) => self.int(live.binary_search(&number).map_or(u64::MAX, |rank| rank as u64)),
            None if route == crate::ClientId::ROUTE => self.client(number as usize),
            None => self.int(number),
        }
    }

    /// The fingerprint, 128 bits.
    pub fn finish128(&self) -> u128 {
        u128::from(self.finish())
    }

    /// Adds a number.
    pub fn int(&mut self, number: u64) {
        self.hasher.write_u64(number);
    }

    /// Adds a client's number, renamed.
    pub fn client(&mut self, client: usize) {
        let number = match &self.rename {
            Some(rename) => usize::from(rename[client]),
            None => client,
        };
        self.hasher.write_usize(number);
    }

    /// Adds a text, with the clients that it names renamed.
    pub fn text(&mut self, bytes: &[u8]) {
        let mut rest = bytes;
        if let Some(rename) = self.rename {
            while let Some((before, client, after)) = split_at_client(rest) {
                // A name that stands for nobody here is text; to be safe it counts as everybody's.
                let number = rename.get(client).unwrap_or(&u8::MAX);
                if *number == u8::MAX {
                    self.mentioned = u32::MAX;
                }
                if *number != MINE {
                    self.mentioned |= 1 << client.min(31);
                }
                self.hasher.write(before);
                self.hasher.write_u16(0xC11E);
                self.hasher.write_u8(*number);
                if *number == u8::MAX {
                    self.hasher.write_usize(client);
                }
                rest = after;
            }
        }
        self.hasher.write(rest);
        self.hasher.write_usize(bytes.len());
    }

    /// Adds what a type's `Hash` writes, with the clients that its texts name renamed.
    pub fn hashed(&mut self, value: &impl std::hash::Hash) {
        value.hash(&mut IntoDigest(self));
    }

    /// The fingerprint.
    pub fn finish(&self) -> u64 {
        self.hasher.finish()
    }
}

/// Feeds what a type's `Hash` writes into a digest.
struct IntoDigest<'a>(&'a mut Digest);

impl Hasher for IntoDigest<'_> {
    fn write(&mut self, bytes: &[u8]) {
        self.0.text(bytes);
    }
    fn write_u64(&mut self, number: u64) {
        self.0.int(number);
    }
    fn write_u8(&mut self, number: u8) {
        self.0.int(number.into());
    }
    fn write_u16(&mut self, number: u16) {
        self.0.int(number.into());
    }
    fn write_u32(&mut self, number: u32) {
        self.0.int(number.into());
    }
    fn write_usize(&mut self, number: usize) {
        self.0.int(number as u64);
    }
    fn write_u128(&mut self, number: u128) {
        self.0.routed((number >> 64) as u64, number as u64);
    }
    fn finish(&self) -> u64 {
        self.0.finish()
    }
}

impl Default for Digest {
    fn default() -> Self {
        Digest::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(numbers: &[u8], text: &str) -> u64 {
        let mut digest = Digest::renaming(numbers);
        digest.text(text.as_bytes());
        digest.finish()
    }

    #[test]
    fn renaming_follows_the_client_wherever_it_is_named() {
        assert_eq!(of(&[0, 1], "client-0/3"), of(&[1, 0], "client-1/3"));
        assert_eq!(of(&[0, 1], "a:client-0:b"), of(&[1, 0], "a:client-1:b"));
        assert_ne!(of(&[0, 1], "client-0/3"), of(&[0, 1], "client-1/3"));
        assert_ne!(of(&[0, 1], "client-0/3"), of(&[0, 1], "client-0/4"));
    }

    #[test]
    fn a_mark_without_a_number_hides_no_name() {
        assert_eq!(of(&[0, 1], "client-pool:client-0"), of(&[1, 0], "client-pool:client-1"));
        assert_ne!(of(&[0, 1], "client-pool:client-0"), of(&[0, 1], "client-pool:client-1"));
    }

    #[test]
    fn texts_without_a_client_are_hashed_as_they_are() {
        assert_eq!(of(&[0, 1], "stock"), of(&[1, 0], "stock"));
        assert_ne!(of(&[0, 1], "client-"), of(&[0, 1], "client"));
    }
}
