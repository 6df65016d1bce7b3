//! Digest: the hasher of state fingerprints, which can rename clients.
//!
//! What goes into a fingerprint the types say: every part of a state, every request and every response derives
//! [`Hash`], whose derive writes discriminants and lengths. What does not go in, or in another form, is wrapped in a type
//! that says why ([`escape`](crate::escape)).
//!
//! One thing the derive gets wrong: a list of numbers (`Vec<u64>`, `[u16; 2]`) is handed over as the bytes that this
//! machine has for it. Lists of numbers in states therefore have elements of a type of their own.

use crate::names::split_at_client;
use crate::rank::RANKED;
use smallvec::SmallVec;
use std::hash::{Hash, Hasher};

/// Stands for the client whose digest it is.
const MINE: u8 = 0xFE;

/// The upper half of the 128-bit numbers that are no numbers, but tell the digest something. Drawn by lot; a number of 128 bits
/// with this upper half must not be hashed.
const RESERVED: u64 = 0x6C1D_93A7_5E0B_F248;
/// Of these the lower half says what: a client, in its lower 16 bits.
const CLIENT: u64 = 1 << 16;
/// What follows are items whose order does not count; the next item; their end.
const ITEMS: u64 = 2 << 16;
const ITEM: u64 = 3 << 16;
const ITEMS_END: u64 = 4 << 16;

/// Before bytes that are longer than a word: this and their number.
const LONG: u64 = 0xFF << 56;
/// Before bytes that name clients; behind each piece of them: the client that is named there, or the end.
const NAMED: u64 = 0xFE << 56;
const NAME: u64 = 0xFD << 56;
const NAMED_END: u64 = 0xFC << 56;

/// The keys of the two lanes, and of their ends: the fraction of π.
const KEYS: [u64; 4] = [0x243F_6A88_85A3_08D3, 0x1319_8A2E_0370_7344, 0xA409_3822_299F_31D0, 0x082E_FA98_EC4E_6C89];
const START: Lanes = Lanes { first: 0x4528_21E6_38D0_1377, second: 0xBE54_66CF_34E9_0C6C, waits: None };
/// Stands beside the last of an odd number of words.
const ODD: u64 = 0xC0AC_29B7_C97C_50DD;

/// The number of a client, which a [`Digest`] renames.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ClientId(pub u16);

impl From<ClientId> for usize {
    fn from(client: ClientId) -> usize {
        client.0.into()
    }
}

impl Hash for ClientId {
    fn hash<H: Hasher>(&self, state: &mut H) {
        reserved(state, CLIENT | u64::from(self.0));
    }
}

/// Hashes items whose order does not count: renaming clients may change it.
pub(crate) fn unordered<T: Hash, H: Hasher>(items: impl Iterator<Item = T>, state: &mut H) {
    reserved(state, ITEMS);
    for item in items {
        reserved(state, ITEM);
        item.hash(state);
    }
    reserved(state, ITEMS_END);
}

/// Tells a digest something. To any other hasher it is a number like others.
fn reserved(state: &mut impl Hasher, what: u64) {
    state.write_u128(u128::from(RESERVED) << 64 | u128::from(what));
}

/// Two hashes of 64 bits over the same words, each with a key of its own. Words go in by twos.
#[derive(Clone, Copy)]
struct Lanes {
    first: u64,
    second: u64,
    /// The word that waits for another, if one does.
    waits: Option<u64>,
}

/// The product of two words, its halves folded into one.
const fn fold(left: u64, right: u64) -> u64 {
    let product = left as u128 * right as u128;
    product as u64 ^ (product >> 64) as u64
}

impl Lanes {
    #[inline]
    fn mix(&mut self, word: u64) {
        match self.waits.take() {
            Some(before) => self.mix_two(before, word),
            None => self.waits = Some(word),
        }
    }

    #[inline]
    fn mix_two(&mut self, one: u64, other: u64) {
        self.first = fold(self.first ^ one, KEYS[0] ^ other);
        self.second = fold(self.second ^ other, KEYS[1] ^ one);
    }

    #[inline]
    fn finish(mut self) -> u128 {
        if let Some(last) = self.waits {
            self.mix_two(last, ODD);
        }
        let first = fold(self.first ^ self.second.rotate_left(32), KEYS[2]);
        let second = fold(self.second ^ self.first.rotate_left(24), KEYS[3]);
        u128::from(first) << 64 | u128::from(second)
    }
}

/// The items of one [`unordered`] list so far.
struct Items {
    /// The hash of what came before them.
    before: Lanes,
    /// How many have begun, and the sum of the hashes of those that have ended.
    begun: u64,
    sum: u128,
}

/// Hashes states. Where clients are interchangeable it is given their canonical numbers and writes
/// `client-2` in a key or a value, and a [`ClientId`], under the number that client 2 has been given, so that states
/// that differ only in who is who share one fingerprint.
///
/// The same on every machine: numbers of all widths go in as 64 bits. Bytes ([`write`](Hasher::write)) are a text that may name
/// clients.
pub struct Digest {
    lanes: Lanes,
    rename: Option<[u8; Digest::RENAMED_CLIENTS_MAX]>,
    /// The clients that were named, by the numbers that they had before, a bit each.
    named: u32,
    items: SmallVec<[Items; 2]>,
    /// The series of which only ranks count, and their numbers that are alive, smallest first.
    ranks: SmallVec<[(u16, SmallVec<[u64; 8]>); 2]>,
}

impl Digest {
    /// More clients than this are never renamed.
    pub const RENAMED_CLIENTS_MAX: usize = 16;

    /// A digest that takes names as they are.
    #[inline]
    pub fn new() -> Self {
        Digest { lanes: START, rename: None, named: 0, items: SmallVec::new(), ranks: SmallVec::new() }
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
    /// others are noted in [`named`](Digest::named).
    #[inline]
    pub fn naming_self(client: usize) -> Self {
        let mut digest = Digest::new();
        if client < Self::RENAMED_CLIENTS_MAX {
            let mut rename = std::array::from_fn(|other| other as u8);
            rename[client] = MINE;
            digest.rename = Some(rename);
        }
        digest
    }

    /// The clients that were named, a bit each, by the numbers that they had before they were renamed. Those above 31 share the
    /// last bit; where nobody is renamed there are none.
    pub fn named(&self) -> u32 {
        self.named
    }

    /// The digest of a few words.
    pub fn of_words(words: impl Iterator<Item = u64>) -> u128 {
        let mut lanes = START;
        words.for_each(|word| lanes.mix(word));
        lanes.finish()
    }

    /// Of the numbers of this series only the rank among `live`, smallest first, counts from now on. Those that are not among
    /// them are all alike.
    pub fn rank(&mut self, series: u16, live: SmallVec<[u64; 8]>) {
        self.ranks.push((series, live));
    }

    /// The fingerprint.
    #[inline]
    pub fn finish128(&self) -> u128 {
        debug_assert!(self.items.is_empty(), "a list of items has no end");
        self.lanes.finish()
    }

    /// Writes a client under the number that it has been given.
    #[inline]
    fn name(&mut self, client: usize) {
        let Some(rename) = &self.rename else { return self.lanes.mix(NAME | client as u64) };
        self.named |= 1 << client.min(31);
        // A name of no client here is text.
        let number = *rename.get(client).unwrap_or(&u8::MAX);
        self.lanes.mix(NAME | u64::from(number));
        if number == u8::MAX {
            self.lanes.mix(client as u64);
        }
    }

    /// Writes bytes as they are, so that their end can be told: up to seven in one word with their number, others behind their
    /// number, the last word overlapping the one before.
    fn bytes(&mut self, bytes: &[u8]) {
        let (words, rest) = bytes.as_chunks::<8>();
        if words.is_empty() {
            return self.lanes.mix(short(rest));
        }
        self.lanes.mix(LONG | bytes.len() as u64);
        words.iter().for_each(|word| self.lanes.mix(u64::from_le_bytes(*word)));
        if let Some(last) = bytes.last_chunk::<8>().filter(|_| !rest.is_empty()) {
            self.lanes.mix(u64::from_le_bytes(*last));
        }
    }

    fn tell(&mut self, what: u64) {
        match what & !0xFFFF {
            CLIENT => self.name((what & 0xFFFF) as usize),
            ITEMS => {
                self.items.push(Items { before: self.lanes, begun: 0, sum: 0 });
            }
            ITEM => {
                self.end_item();
                self.lanes = START;
                self.items.last_mut().expect("items have a beginning").begun += 1;
            }
            ITEMS_END => {
                self.end_item();
                let Items { before, begun, sum } = self.items.pop().expect("items have a beginning");
                self.lanes = before;
                [begun, sum as u64, (sum >> 64) as u64].into_iter().for_each(|word| self.lanes.mix(word));
            }
            _ => unreachable!("nobody tells a digest {what:#x}"),
        }
    }

    #[inline]
    fn ranked(&mut self, series: u16, number: u64) {
        let live = self.ranks.iter().find(|(of, _)| *of == series);
        let rank = |live: &SmallVec<[u64; 8]>| live.binary_search(&number).map_or(u64::MAX, |rank| rank as u64);
        self.lanes.mix(live.map_or(number, |(_, live)| rank(live)));
    }

    fn end_item(&mut self) {
        let items = self.items.last_mut().expect("items have a beginning");
        if items.begun > 0 {
            items.sum = items.sum.wrapping_add(self.lanes.finish());
        }
    }
}

impl Hasher for Digest {
    /// Adds a text, with the clients that it names renamed.
    fn write(&mut self, bytes: &[u8]) {
        let mut rest = bytes;
        if self.rename.is_some()
            && let Some((before, client, after)) = split_at_client(rest)
        {
            self.lanes.mix(NAMED);
            let mut next = Some((before, client, after));
            while let Some((before, client, after)) = next {
                self.bytes(before);
                self.name(client);
                rest = after;
                next = split_at_client(rest);
            }
            self.bytes(rest);
            return self.lanes.mix(NAMED_END);
        }
        self.bytes(rest);
    }

    #[inline]
    fn write_u8(&mut self, number: u8) {
        self.lanes.mix(number.into());
    }

    #[inline]
    fn write_u16(&mut self, number: u16) {
        self.lanes.mix(number.into());
    }

    #[inline]
    fn write_u32(&mut self, number: u32) {
        self.lanes.mix(number.into());
    }

    #[inline]
    fn write_u64(&mut self, number: u64) {
        self.lanes.mix(number);
    }

    /// Adds a number, or tells the digest something: see `RESERVED`.
    #[inline]
    fn write_u128(&mut self, number: u128) {
        let (high, low) = ((number >> 64) as u64, number as u64);
        if high == RESERVED {
            return self.tell(low);
        }
        if high & !0xFFFF == RANKED {
            return self.ranked(high as u16, low);
        }
        self.lanes.mix(low);
        self.lanes.mix(high);
    }

    #[inline]
    fn write_usize(&mut self, number: usize) {
        self.lanes.mix(number as u64);
    }

    #[inline]
    fn write_i8(&mut self, number: i8) {
        self.lanes.mix(i64::from(number).cast_unsigned());
    }

    #[inline]
    fn write_i16(&mut self, number: i16) {
        self.lanes.mix(i64::from(number).cast_unsigned());
    }

    #[inline]
    fn write_i32(&mut self, number: i32) {
        self.lanes.mix(i64::from(number).cast_unsigned());
    }

    #[inline]
    fn write_i64(&mut self, number: i64) {
        self.lanes.mix(number.cast_unsigned());
    }

    #[inline]
    fn write_i128(&mut self, number: i128) {
        self.write_u128(number.cast_unsigned());
    }

    /// Discriminants come this way.
    #[inline]
    fn write_isize(&mut self, number: isize) {
        self.lanes.mix((number as i64).cast_unsigned());
    }

    /// The upper half of [`finish128`](Digest::finish128).
    #[inline]
    fn finish(&self) -> u64 {
        (self.finish128() >> 64) as u64
    }
}

impl Default for Digest {
    fn default() -> Self {
        Digest::new()
    }
}

/// Up to seven bytes in one word, the last byte of which is their number.
fn short(bytes: &[u8]) -> u64 {
    let len = bytes.len();
    let word = match (bytes.first_chunk::<4>(), bytes.last_chunk::<4>()) {
        // Where they overlap they are the same.
        (Some(first), Some(last)) => {
            u64::from(u32::from_le_bytes(*first)) | u64::from(u32::from_le_bytes(*last)) << (8 * (len - 4))
        }
        _ => bytes.iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte)),
    };
    word | (len as u64) << 56
}

/// A change of one field, and what it changes.
#[cfg(test)]
pub(crate) type Mutation<T> = (&'static str, fn(&mut T));

/// Demands that each of these changes of one field shows in the digest, and each in its own way.
#[cfg(test)]
pub(crate) fn each_shows<T: Hash + Clone>(value: &T, changes: &[Mutation<T>]) {
    let of = |value: &T| {
        let mut digest = Digest::new();
        value.hash(&mut digest);
        digest.finish128()
    };
    let mut seen = vec![("nothing", of(value))];
    for (name, change) in changes {
        let mut changed = value.clone();
        change(&mut changed);
        let digest = of(&changed);
        let same = seen.iter().find(|(_, other)| *other == digest);
        assert!(same.is_none(), "a change of {name} looks like one of {}", same.map_or("", |(other, _)| other));
        seen.push((name, digest));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(numbers: &[u8], value: &(impl Hash + ?Sized)) -> u128 {
        let mut digest = Digest::renaming(numbers);
        value.hash(&mut digest);
        digest.finish128()
    }

    #[test]
    fn renaming_follows_the_client_wherever_it_is_named() {
        assert_eq!(of(&[0, 1], "client-0/3"), of(&[1, 0], "client-1/3"));
        assert_eq!(of(&[0, 1], "a:client-0:b"), of(&[1, 0], "a:client-1:b"));
        assert_ne!(of(&[0, 1], "client-0/3"), of(&[0, 1], "client-1/3"));
        assert_ne!(of(&[0, 1], "client-0/3"), of(&[0, 1], "client-0/4"));
        assert_eq!(of(&[0, 1], &ClientId(0)), of(&[1, 0], &ClientId(1)));
        assert_ne!(of(&[0, 1], &ClientId(0)), of(&[0, 1], &ClientId(1)));
    }

    #[test]
    fn a_mark_without_a_number_hides_no_name() {
        assert_eq!(of(&[0, 1], "client-pool:client-0"), of(&[1, 0], "client-pool:client-1"));
        assert_ne!(of(&[0, 1], "client-pool:client-0"), of(&[0, 1], "client-pool:client-1"));
        assert_eq!(of(&[0, 1], "cliclient-client-0"), of(&[1, 0], "cliclient-client-1"));
    }

    #[test]
    fn texts_without_a_client_are_hashed_as_they_are() {
        assert_eq!(of(&[0, 1], "stock"), of(&[1, 0], "stock"));
        assert_ne!(of(&[0, 1], "client-"), of(&[0, 1], "client"));
    }

    #[test]
    fn clients_are_told_by_the_numbers_that_they_had() {
        fn check(text: &str, expected: u32) {
            let mut digest = Digest::naming_self(1);
            digest.write(text.as_bytes());
            assert_eq!(digest.named(), expected, "{text}");
        }
        check("client-1/7", 1 << 1);
        check("client-0", 1);
        check("client-1 and client-3", 1 << 1 | 1 << 3);
        check("client-40", 1 << 31);
        let mut digest = Digest::naming_self(1);
        ClientId(2).hash(&mut digest);
        assert_eq!(digest.named(), 1 << 2);
    }

    /// A caller that is no client has a number too.
    #[test]
    fn a_number_that_is_no_clients_is_renamed_to_nothing_else() {
        assert_ne!(of(&[0, 1], &ClientId(u16::MAX)), of(&[0, 1], &ClientId(u16::MAX - 1)));
        assert_ne!(of(&[0, 1], &ClientId(u16::MAX)), of(&[0, 1], &ClientId(0)));
    }

    #[test]
    fn of_ranked_numbers_only_the_rank_counts() {
        struct Order(u64);
        impl Hash for Order {
            fn hash<H: Hasher>(&self, state: &mut H) {
                crate::ranked(7, self.0, state);
            }
        }
        let of = |live: &[u64], number: u64| {
            let mut digest = Digest::new();
            digest.rank(7, SmallVec::from_slice(live));
            Order(number).hash(&mut digest);
            digest.finish128()
        };
        assert_eq!(of(&[3, 9], 9), of(&[1, 2], 2));
        assert_ne!(of(&[3, 9], 3), of(&[3, 9], 9));
        assert_eq!(of(&[3, 9], 4), of(&[3, 9], 5));
        assert_ne!(of(&[3, 9], 4), of(&[3, 9], 9));
        let plain = |number: u64| {
            let mut digest = Digest::new();
            Order(number).hash(&mut digest);
            digest.finish128()
        };
        assert_ne!(plain(1), plain(2));
    }

    #[test]
    fn the_end_of_bytes_can_be_told() {
        let of = |parts: &[&[u8]], number: u64| {
            let mut digest = Digest::new();
            parts.iter().for_each(|part| digest.write(part));
            digest.write_u64(number);
            digest.finish128()
        };
        let mut seen = std::collections::BTreeSet::new();
        let bytes = [b'a'; 40];
        for cut in 0..=40 {
            assert!(seen.insert(of(&[&bytes[..cut], &bytes[cut..]], 0)), "cut at {cut}");
            assert!(seen.insert(of(&[&bytes[..cut]], 0)), "{cut} bytes");
            assert!(seen.insert(of(&[&[0; 40][..cut], b"x"], 0)), "{cut} zero bytes");
        }
        assert_ne!(of(&[b"abcdefg"], 0), of(&[b"abcdefg\x07"], 0));
    }

    #[test]
    fn the_order_of_items_counts_only_where_it_shall() {
        struct Bag(Vec<&'static str>);
        impl Hash for Bag {
            fn hash<H: Hasher>(&self, state: &mut H) {
                unordered(self.0.iter(), state);
            }
        }
        let bag = |items: &[&'static str]| of(&[0, 1], &Bag(items.to_vec()));
        assert_eq!(bag(&["a", "b"]), bag(&["b", "a"]));
        assert_ne!(bag(&["a", "b"]), bag(&["a", "b", "b"]));
        assert_ne!(bag(&["a", "a"]), bag(&["b", "b"]));
        assert_ne!(bag(&["ab"]), bag(&["a", "b"]));
        assert_ne!(bag(&[]), bag(&[""]));
        assert_eq!(of(&[0, 1], &Bag(vec!["client-0", "client-1"])), of(&[1, 0], &Bag(vec!["client-0", "client-1"])));
    }

    /// The same on every machine: what this build says is what all say.
    #[test]
    fn the_hash_is_pinned() {
        let mut digest = Digest::new();
        ("a text of some length", 7_u8, -1_i32, [Some(1_u64), None].to_vec(), ClientId(3)).hash(&mut digest);
        assert_eq!(digest.finish128(), PINNED, "{:#x}", digest.finish128());
    }

    const PINNED: u128 = 0x6F20_DE91_3478_1B61_9C64_C5AE_FF18_B40B;
}
