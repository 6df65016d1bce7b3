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

/// Splits at the first client name: the text before it, the client's number, the text after it. A mark without a
/// number is text like any other.
pub(crate) fn split_at_client(bytes: &[u8]) -> Option<(&[u8], usize, &[u8])> {
    let mut from = 0;
    while bytes.len() > from + CLIENT_MARK.len() {
        let at = from + bytes[from..].windows(CLIENT_MARK.len()).position(|window| window == CLIENT_MARK)?;
        let after = &bytes[at + CLIENT_MARK.len()..];
        let digits = after.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let number = std::str::from_utf8(&after[..digits]).ok().and_then(|digits| digits.parse().ok());
        match number {
            Some(number) => return Some((&bytes[..at], number, &after[digits..])),
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
}
