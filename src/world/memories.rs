//! Memories: what the oracles remember of an execution, as a part of its state.

use crate::port::Blob;
use crate::property::{Judged, Memory, Property};
use doublehold_models::ClientId;
use std::rc::Rc;
use std::sync::Arc;

/// A broken property.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Violation {
    /// The property's name.
    pub property: String,
    /// What is wrong.
    pub what: String,
}

/// A client put the token there that a service shows for a lock.
#[derive(Clone, Debug, Hash)]
pub struct Placed {
    pub(super) lock: u8,
    pub(super) service: u8,
    pub(super) token: Blob,
    pub(super) client: ClientId,
    /// The connection had broken before the request was served: the client could not know.
    pub(super) late: bool,
}

/// What the properties remember; nothing if none of them does.
#[derive(Clone, Default, Hash)]
pub struct Memories(Option<Rc<Vec<Memory>>>);

impl Memories {
    /// What they remember at the start.
    pub fn new(properties: &[Arc<dyn Property>]) -> Self {
        let memories: Vec<Memory> = properties.iter().map(|property| property.memory()).collect();
        Memories(memories.iter().any(Memory::is_kept).then(|| Rc::new(memories)))
    }

    /// True if some property tells identical clients apart.
    pub fn tell_apart(&self) -> bool {
        self.0.iter().flat_map(|all| all.iter()).any(Memory::tells_apart)
    }

    pub(super) fn check(&mut self, number: usize, check: impl FnOnce(&mut Memory) -> Judged) -> Judged {
        match &mut self.0 {
            Some(all) if all[number].is_kept() => check(&mut Rc::make_mut(all)[number]),
            _ => check(&mut Memory::default()),
        }
    }
}
