//! Memory: what a property remembers of an execution. It is part of the state: two states in which a property remembers
//! something else are two.

use std::any::Any;
use std::fmt;
use std::hash::{Hash, Hasher};

/// What a property remembers; nothing by default.
#[derive(Clone, Default)]
pub struct Memory {
    cell: Kept,
    /// It tells clients apart by more than their [`ClientId`](doublehold_models::ClientId)s.
    tells_apart: bool,
}

#[derive(Default)]
struct Kept(Option<Box<dyn Cell>>);

trait Cell: Send + Sync {
    fn copy(&self) -> Box<dyn Cell>;
    fn hash_into(&self, hasher: &mut dyn Hasher);
    fn as_any(&mut self) -> &mut dyn Any;
}

impl<T: Clone + Hash + Send + Sync + 'static> Cell for T {
    fn copy(&self) -> Box<dyn Cell> {
        Box::new(self.clone())
    }

    fn hash_into(&self, mut hasher: &mut dyn Hasher) {
        self.hash(&mut hasher);
    }

    fn as_any(&mut self) -> &mut dyn Any {
        self
    }
}

impl Memory {
    /// A memory that begins with this. Identical clients may no longer change places.
    pub fn of<T: Clone + Hash + Send + Sync + 'static>(start: T) -> Memory {
        Memory { cell: Kept(Some(Box::new(start))), tells_apart: true }
    }

    /// The same of a type that names clients by nothing but [`ClientId`](doublehold_models::ClientId), in no order of them: identical
    /// clients may still change places.
    pub fn symmetric<T: Clone + Hash + Send + Sync + 'static>(start: T) -> Memory {
        Memory { tells_apart: false, ..Memory::of(start) }
    }

    /// True if something is remembered.
    pub fn is_kept(&self) -> bool {
        self.cell.0.is_some()
    }

    /// True if identical clients may not change places.
    pub fn tells_apart(&self) -> bool {
        self.tells_apart
    }

    /// What is remembered.
    ///
    /// # Panics
    /// If it is of another type than the memory began with: a mistake of the property.
    pub fn get<T: 'static>(&mut self) -> &mut T {
        let cell = self.cell.0.as_mut().expect("a property that remembers says with what it begins");
        (**cell).as_any().downcast_mut().expect("a property remembers what it began with")
    }
}

impl Clone for Kept {
    fn clone(&self) -> Self {
        Kept(self.0.as_ref().map(|cell| (**cell).copy()))
    }
}

impl Hash for Memory {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        self.is_kept().hash(hasher);
        if let Some(cell) = &self.cell.0 {
            (**cell).hash_into(hasher);
        }
    }
}

impl fmt::Debug for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_kept() { "Memory(…)" } else { "Memory(nothing)" })
    }
}
