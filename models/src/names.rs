//! Names: the clients' names inside texts, and whether code could tell their order.
//!
//! A client's unique texts begin with its name, `client-3`. Identical clients may change places in a search only as long as
//! nothing tells one name from another but by equality: a comparison that orders two names is noted here, and the search
//! then goes without symmetry.

use std::cell::Cell;

/// Marks a client's name inside keys, tokens and values: `client-3`, `client-3/7`.
const CLIENT_MARK: &[u8] = b"client-";

thread_local! {
    static COMPARED: Cell<bool> = const { Cell::new(false) };
}

/// Whether two different clients' names were ordered on this thread since the last call.
pub fn take_names_compared() -> bool {
    COMPARED.replace(false)
}

/// Notes that code can tell two clients' names apart.
pub(crate) fn note_told_apart() {
    COMPARED.set(true);
}

/// Notes that two texts are ordered.
pub(crate) fn note_comparison(left: &[u8], right: &[u8]) {
    if left.len() > CLIENT_MARK.len() && right.len() > CLIENT_MARK.len() && !COMPARED.get() {
        let names = (split_at_client(left), split_at_client(right));
        if let (Some((before, one, _)), Some((other_before, other, _))) = names
            && before == other_before
            && one != other
        {
            note_told_apart();
        }
    }
}

/// Replaces each client's name by another of the same length, so that the order of any two names below ten, or of any two
/// above, is reversed. `None` if the text names no client.
pub(crate) fn mirrored(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut mirrored = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some((before, client, after)) = split_at_client(rest) {
        mirrored.extend_from_slice(before);
        // As long as before.
        let other = if client < 10 {
            9 - client
        } else {
            109_usize.checked_sub(client).filter(|other| *other > 9).unwrap_or(client)
        };
        mirrored.extend_from_slice(CLIENT_MARK);
        mirrored.extend_from_slice(other.to_string().as_bytes());
        rest = after;
    }
    (!mirrored.is_empty()).then(|| {
        mirrored.extend_from_slice(rest);
        mirrored
    })
}

/// How far the next client mark is at least where this byte stands at the place of a mark's last: its bytes are all different.
const SKIP: [u8; 256] = {
    let mut skip = [CLIENT_MARK.len() as u8; 256];
    let mut at = 0;
    while at < CLIENT_MARK.len() - 1 {
        skip[CLIENT_MARK[at] as usize] = (CLIENT_MARK.len() - 1 - at) as u8;
        at += 1;
    }
    skip
};

/// The place of the first client mark.
fn find_mark(bytes: &[u8]) -> Option<usize> {
    const LAST: usize = CLIENT_MARK.len() - 1;
    let mut at = LAST;
    while let Some(byte) = bytes.get(at) {
        if *byte == CLIENT_MARK[LAST] && bytes[at - LAST..at] == CLIENT_MARK[..LAST] {
            return Some(at - LAST);
        }
        at += usize::from(SKIP[usize::from(*byte)]);
    }
    None
}

/// Splits at the first client name: the text before it, the client's number, the text after it. A mark without a
/// number is text like any other.
pub(crate) fn split_at_client(bytes: &[u8]) -> Option<(&[u8], usize, &[u8])> {
    let mut from = 0;
    while let Some(found) = find_mark(&bytes[from..]) {
        let (at, name) = (from + found, &bytes[from + found + CLIENT_MARK.len()..]);
        let digits = name.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let number = std::str::from_utf8(&name[..digits]).ok().and_then(|digits| digits.parse::<u32>().ok());
        match number {
            Some(number) => return Some((&bytes[..at], number as usize, &name[digits..])),
            None => from = at + CLIENT_MARK.len(),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_order_of_two_names_is_noted() {
        fn check(left: &str, right: &str, expected: bool) {
            take_names_compared();
            note_comparison(left.as_bytes(), right.as_bytes());
            assert_eq!(take_names_compared(), expected, "{left} {right}");
        }
        check("client-0/1", "client-1/1", true);
        check("a:client-0/1", "a:client-1/1", true);
        check("a:client-0/1", "b:client-1/1", false);
        check("client-0/1", "client-0/2", false);
        check("client-0/1", "stock", false);
    }

    #[test]
    fn a_mirror_turns_the_order_of_names() {
        let mirror = |text: &str| mirrored(text.as_bytes()).map(|text| String::from_utf8(text).expect("it was text"));
        assert_eq!(mirror("stock"), None);
        assert_eq!(mirror("client-"), None);
        assert_eq!(mirror("a:client-0/7:client-1"), Some("a:client-9/7:client-8".to_owned()));
        assert_eq!(mirror("client-10"), Some("client-99".to_owned()));
        assert_eq!(mirror("client-99/2"), Some("client-10/2".to_owned()));
    }

    #[test]
    fn marks_are_found_where_a_plain_search_finds_them() {
        let letters = b"clientn-x";
        let mut state = 1u64;
        for _ in 0..20_000 {
            let mut text = Vec::new();
            for _ in 0..24 {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                match state >> 60 {
                    0 => text.extend_from_slice(CLIENT_MARK),
                    _ => text.push(letters[(state >> 33) as usize % letters.len()]),
                }
            }
            let plain = text.windows(CLIENT_MARK.len()).position(|window| window == CLIENT_MARK);
            assert_eq!(find_mark(&text), plain, "{}", text.escape_ascii());
        }
    }
}
