//! What the clients' libraries are told before the client's code is: a line for each kind of server whose library wants to know.

use super::client::State;
use super::exchange::WaitId;
use crate::port::Outcome;
use doublehold_models::Response;

impl State {
    /// A request was answered. Gives it back unless it was a library's own.
    pub(super) fn library_answered(&mut self, id: WaitId, outcome: Outcome<Response>) -> Option<Outcome<Response>> {
        self.session_answered(id, outcome)
    }

    /// A timer has fired. True if it was a library's own.
    pub(super) fn library_fired(&mut self, id: WaitId) -> bool {
        self.session_fired(id)
    }

    /// A node has sent something of its own accord. Gives it back unless it is for a library.
    pub(super) fn library_told(&mut self, node: u16, lane: u8, message: Response) -> Option<Response> {
        self.session_told(node, lane, message)
    }

    /// A connection has broken; the requests on it are lost already.
    pub(super) fn library_cut(&mut self, node: u16, lane: u8) {
        self.session_cut(node, lane);
    }
}
