//! Lost: what a power loss took from Redis, read from the end of its append-only file.

use crate::port::Blob;
use std::fmt;

/// What is gone.
pub(super) struct Lost {
    bytes: usize,
    /// The orders whose deductions are gone.
    pub orders: Vec<Blob>,
}

impl Lost {
    /// Reads the commands that were at the end of the file.
    pub(super) fn read(bytes: &[u8]) -> Self {
        let text = String::from_utf8_lossy(bytes);
        // A command is its words, each behind its length: HSET {sku-0}:log ORDER QUANTITY.
        let words: Vec<&str> = text.split("\r\n").collect();
        let deduction = |words: &[&str]| match words {
            [name, _, key, _, order, _, _quantity] if name.eq_ignore_ascii_case("HSET") && key.ends_with(":log") => {
                Some(Blob::copy_from(order.as_bytes()))
            }
            _ => None,
        };
        Lost { bytes: bytes.len(), orders: words.windows(7).filter_map(deduction).collect() }
    }
}

impl fmt::Display for Lost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.bytes {
            0 => f.write_str("nothing is gone, as it syncs before each reply"),
            bytes => write!(f, "{bytes} bytes of its file are gone, with {} deductions", self.orders.len()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deductions_are_read_from_the_file() {
        let file = "*3\r\n$6\r\nDECRBY\r\n$13\r\n{sku-0}:stock\r\n$1\r\n1\r\n*4\r\n$4\r\nHSET\r\n$11\r\n\
                    {sku-0}:log\r\n$2\r\nab\r\n$1\r\n1\r\n*3\r\n$4\r\nHDEL\r\n$11\r\n{sku-0}:log\r\n$2\r\ncd\r\n";
        let lost = Lost::read(file.as_bytes());
        assert_eq!(lost.orders, [Blob::from("ab")]);
        assert_eq!(lost.to_string(), format!("{} bytes of its file are gone, with 1 deductions", file.len()));
        assert!(Lost::read(b"").orders.is_empty());
    }
}
