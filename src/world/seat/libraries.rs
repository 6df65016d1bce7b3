//! Dispatch to the client libraries, which see each event before the client's code: a line for each kind of server
//! whose library handles such events.

use super::client::State;
use super::exchange::WaitId;
use crate::port::Outcome;
use doublehold_models::Response;

impl State {
    /// A request was answered. Returns the answer unless the request was a library's own.
    pub(super) fn library_answered(&mut self, id: WaitId, outcome: Outcome<Response>) -> Option<Outcome<Response>> {
        self.session_answered(id, outcome)
    }

    /// A timer fired. True if it was a library's own.
    pub(super) fn library_fired(&mut self, id: WaitId) -> bool {
        self.session_fired(id)
    }

    /// A server pushed a message. Returns it unless a library has handled it.
    pub(super) fn library_told(&mut self, node: u16, lane: u8, message: Response) -> Option<Response> {
        self.session_told(node, lane, message)
    }

    /// A connection broke. Its outstanding requests have already failed as indeterminate.
    pub(super) fn library_cut(&mut self, node: u16, lane: u8) {
        self.session_cut(node, lane);
    }
}
