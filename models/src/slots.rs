//! Slots of a Redis Cluster: which of the 16384 a key is in, and how they are divided among the shards.

use crate::Blob;
use crc::{CRC_16_XMODEM, Crc};

/// How many slots there are.
pub const SLOTS: u16 = 16384;

const CRC16: Crc<u16> = Crc::<u16>::new(&CRC_16_XMODEM);

/// The hash slot of a key: of its hash tag, what is between the first `{` and the next `}`, if that is not empty;
/// otherwise of the whole key.
pub fn slot_of(key: &[u8]) -> u16 {
    CRC16.checksum(hash_tag(key).unwrap_or(key)) % SLOTS
}

/// A key in the same slot, with this behind its name, which is put in braces if it has no hash tag. For a name that has
/// none and contains `}` there is no such key: what is returned is in another slot.
pub fn beside(key: &[u8], suffix: &[u8]) -> Blob {
    Blob::copy_from(&match hash_tag(key) {
        Some(_) => [key, suffix].concat(),
        None => [b"{", key, b"}", suffix].concat(),
    })
}

fn hash_tag(key: &[u8]) -> Option<&[u8]> {
    let behind = &key[key.iter().position(|byte| *byte == b'{')? + 1..];
    let tag = &behind[..behind.iter().position(|byte| *byte == b'}')?];
    (!tag.is_empty()).then_some(tag)
}

/// The last slot of each of so many shards, as `redis-cli --cluster create` divides them.
pub fn last_slots(shards: usize) -> Vec<u16> {
    let each = f64::from(SLOTS) / shards as f64;
    let last =
        |shard: usize| if shard + 1 == shards { SLOTS - 1 } else { ((shard + 1) as f64 * each - 1.0).round() as u16 };
    (0..shards).map(last).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The examples of the Redis Cluster specification, "Hash tags" and "Appendix A".
    #[test]
    fn slots_are_those_of_the_specification() {
        assert_eq!(CRC16.checksum(b"123456789"), 0x31C3);
        assert_eq!(slot_of(b"{user1000}.following"), slot_of(b"{user1000}.followers"));
        assert_eq!(slot_of(b"foo{}{bar}"), CRC16.checksum(b"foo{}{bar}") % SLOTS);
        assert_eq!(slot_of(b"foo{{bar}}zap"), slot_of(b"{bar"));
        assert_eq!(slot_of(b"foo{bar}{zap}"), slot_of(b"bar"));
        for key in [&b"lock"[..], b"{user}lock", b"a{user}b{c}"] {
            let other = beside(key, b":fence");
            assert_eq!(slot_of(&other), slot_of(key), "{other}");
        }
        assert_eq!(last_slots(3), [5460, 10922, 16383]);
    }
}
