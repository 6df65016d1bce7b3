//! Shared: a list whose copies share each item, and remember its digest, until it changes.

use smallvec::SmallVec;
use std::cell::Cell;
use std::ops::{Index, IndexMut};
use std::rc::Rc;

thread_local! {
    /// The latest version of any item.
    static VERSIONS: Cell<u64> = const { Cell::new(0) };
}

/// A version that no item has had before.
fn next_version() -> u64 {
    VERSIONS.with(|versions| {
        versions.set(versions.get() + 1);
        versions.get()
    })
}

/// A list whose copies share its items.
#[derive(Clone, Debug)]
pub struct Shared<T>(SmallVec<[Rc<Item<T>>; 4]>);

#[derive(Clone, Debug)]
struct Item<T> {
    value: T,
    version: u64,
    /// The digest that was last asked for, the clients that it names, and what else it depends on.
    digest: Cell<Option<Known>>,
}

/// A digest that is known.
#[derive(Clone, Copy, Debug)]
struct Known {
    digest: u128,
    names: u32,
    depends_on: u128,
}

impl<T> Item<T> {
    fn new(value: T) -> Rc<Item<T>> {
        Rc::new(Item { value, version: next_version(), digest: Cell::new(None) })
    }
}

/// An item, to change it: from now on it has another version.
fn change<T: Clone>(item: &mut Rc<Item<T>>) -> &mut T {
    let item = Rc::make_mut(item);
    item.version = next_version();
    item.digest.set(None);
    &mut item.value
}

impl<T> Default for Shared<T> {
    fn default() -> Self {
        Shared(SmallVec::new())
    }
}

impl<T: Clone> Shared<T> {
    /// How many items there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// True if there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All of them.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &T> + ExactSizeIterator + Clone {
        self.0.iter().map(|item| &item.value)
    }

    /// All of them, to change them.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.0.iter_mut().map(change)
    }

    /// The one at this place, if there is one.
    pub fn get(&self, at: usize) -> Option<&T> {
        self.0.get(at).map(|item| &item.value)
    }

    /// What stands for the item at this place until it changes; 0 if there is none.
    pub fn version(&self, at: usize) -> u64 {
        self.0.get(at).map_or(0, |item| item.version)
    }

    /// The digest of the item at this place: computed anew only if the item, or what else the digest depends on, has changed.
    /// `compute` also gives the clients that the item names, a bit each; `depends_on` is asked about these.
    pub fn digest(&self, at: usize, depends_on: impl Fn(u32) -> u128, compute: impl Fn() -> (u128, u32)) -> u128 {
        let item = &self.0[at];
        if let Some(known) = item.digest.get().filter(|known| known.depends_on == depends_on(known.names)) {
            debug_assert_eq!(known.digest, compute().0, "a digest depends on something that it does not name");
            return known.digest;
        }
        let (digest, names) = compute();
        item.digest.set(Some(Known { digest, names, depends_on: depends_on(names) }));
        digest
    }

    /// The first place whose item is not before what is looked for, in a list that is ordered.
    pub fn partition_point(&self, is_before: impl Fn(&T) -> bool) -> usize {
        self.0.partition_point(|item| is_before(&item.value))
    }

    /// Adds one at the end.
    pub fn push(&mut self, value: T) {
        self.0.push(Item::new(value));
    }

    /// Adds one at this place.
    pub fn insert(&mut self, at: usize, value: T) {
        self.0.insert(at, Item::new(value));
    }

    /// Takes out the one at this place.
    pub fn remove(&mut self, at: usize) -> T {
        Rc::unwrap_or_clone(self.0.remove(at)).value
    }

    /// Keeps those of which this is true.
    pub fn retain(&mut self, keeps: impl Fn(&T) -> bool) {
        self.0.retain(|item| keeps(&item.value));
    }
}

impl<T> FromIterator<T> for Shared<T> {
    fn from_iter<I: IntoIterator<Item = T>>(values: I) -> Self {
        Shared(values.into_iter().map(Item::new).collect())
    }
}

impl<T> Index<usize> for Shared<T> {
    type Output = T;
    fn index(&self, at: usize) -> &T {
        &self.0[at].value
    }
}

impl<T: Clone> IndexMut<usize> for Shared<T> {
    fn index_mut(&mut self, at: usize) -> &mut T {
        change(&mut self.0[at])
    }
}
