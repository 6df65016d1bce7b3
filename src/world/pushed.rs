//! Pushed: something that was put on its way and will have to happen.

use super::choice::LinkName;
use super::seat::WaitId;

/// Something that was put on its way and will have to happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pushed {
    /// A request was sent on this connection.
    Serve(LinkName),
    /// Something was sent to the client on this connection.
    Deliver(LinkName),
    /// A request on this connection had to wait and may be granted what it waits for.
    Grant(LinkName),
    /// The client's end of this connection is gone. What was sent on it may be lost, or not.
    HangUp(LinkName, bool),
    /// The client on this connection will have found it silent for too long at this moment of true time.
    Silence(LinkName, u64),
    /// Something has changed in this group: its members may have steps to take.
    Steps(u8),
    /// A client's timer will be due at this moment of true time.
    Fire {
        /// The client.
        client: u8,
        /// The timer.
        id: WaitId,
        /// When.
        at_us: u64,
    },
}
