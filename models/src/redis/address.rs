//! Where clients find the servers.

use crate::resp::Value;

/// The port of all servers.
pub(super) const PORT: u16 = 6379;

/// Where clients find a server: a name that says which member it is, and the port.
pub(super) fn address(number: u8) -> [Value; 2] {
    [Value::Bulk(format!("member-{number}").into()), Value::Bulk(PORT.to_string().into())]
}
