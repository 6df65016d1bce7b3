//! The data tree, and the transactions that change it.

use super::wire::{ANY_VERSION, Answer, CreateMode, Error, EventKind, Op, SessionId, Stat, Zxid};
use super::{Config, Overflow};
use crate::Blob;
use crate::escape::Derived;
use std::collections::{BTreeMap, BTreeSet};

/// A node of the tree.
#[derive(Clone, Debug, Default, Hash)]
pub(super) struct Znode {
    data: Blob,
    /// Their paths tell.
    children: Derived<BTreeSet<Blob>>,
    czxid: Zxid,
    mzxid: Zxid,
    pzxid: Zxid,
    version: i32,
    /// How many children were ever created: the counter of sequential names.
    created: i32,
    owner: SessionId,
    container: bool,
}

/// One change that everybody applies alike, decided by the leader.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Change {
    Create { path: Blob, data: Blob, owner: SessionId, container: bool, created: i32 },
    Delete { path: Blob },
    SetData { path: Blob, data: Blob },
    Check { path: Blob },
    OpenSession { session: SessionId },
    CloseSession { session: SessionId },
}

/// What a change does to a node, for those who watch it.
pub(super) type Happened = (EventKind, Blob);

/// A server's tree.
#[derive(Clone, Hash)]
pub(super) struct Tree {
    nodes: BTreeMap<Blob, Znode>,
    /// The latest transaction applied.
    pub zxid: Zxid,
}

/// The parent of a path; `None` for the root.
pub(super) fn parent(path: &[u8]) -> Option<&[u8]> {
    let at = path.iter().rposition(|byte| *byte == b'/')?;
    match (at, path.len()) {
        (0, 1) => None,
        (0, _) => Some(b"/"),
        _ => Some(&path[..at]),
    }
}

fn name(path: &[u8]) -> &[u8] {
    path.rsplit(|byte| *byte == b'/').next().unwrap_or_default()
}

/// True if the text is an absolute path without empty or relative parts.
pub(super) fn is_path(path: &[u8]) -> bool {
    path == b"/"
        || path.strip_prefix(b"/").is_some_and(|rest| {
            let good = |part: &[u8]| !part.is_empty() && part != b"." && part != b".." && !part.contains(&0);
            rest.split(|byte| *byte == b'/').all(good)
        })
}

impl Tree {
    pub(super) fn new(zxid: Zxid) -> Self {
        let root = Znode::default();
        Tree { nodes: BTreeMap::from([(Blob::from("/"), root)]), zxid }
    }

    pub(super) fn get(&self, path: &[u8]) -> Option<&Znode> {
        self.nodes.get(path)
    }

    pub(super) fn stat(&self, path: &[u8]) -> Option<Stat> {
        self.get(path).map(Znode::stat)
    }

    /// The paths of a session's ephemeral nodes.
    pub(super) fn ephemerals(&self, session: SessionId) -> impl Iterator<Item = &Blob> {
        self.nodes.iter().filter(move |(_, node)| node.owner == session && session != 0).map(|(path, _)| path)
    }

    /// Containers that have had children and have none left.
    pub(super) fn emptied_containers(&self) -> impl Iterator<Item = &Blob> {
        let emptied = |node: &Znode| node.container && node.created > 0 && node.children.is_empty();
        self.nodes.iter().filter(move |(_, node)| emptied(node)).map(|(path, _)| path)
    }

    /// What an operation would do, or why it is refused.
    pub(super) fn prepare(&self, op: &Op, session: SessionId, config: &Config) -> Result<Change, Error> {
        let path = op.path();
        if !is_path(path) {
            return Err(Error::BadArguments);
        }
        match op {
            Op::Create { data, mode, .. } => self.prepare_create(path, data, *mode, session, config),
            Op::Delete { version, .. } => {
                let node = self.node_in_version(path, *version)?;
                if path.as_bytes() == b"/" {
                    return Err(Error::BadArguments);
                }
                if !node.children.is_empty() {
                    return Err(Error::NotEmpty);
                }
                Ok(Change::Delete { path: path.clone() })
            }
            Op::SetData { data, version, .. } => {
                self.node_in_version(path, *version)?;
                Ok(Change::SetData { path: path.clone(), data: data.clone() })
            }
            Op::Check { version, .. } => {
                self.node_in_version(path, *version)?;
                Ok(Change::Check { path: path.clone() })
            }
        }
    }

    fn node_in_version(&self, path: &[u8], version: i32) -> Result<&Znode, Error> {
        let node = self.get(path).ok_or(Error::NoNode)?;
        if version != ANY_VERSION && version != node.version { Err(Error::BadVersion) } else { Ok(node) }
    }

    fn prepare_create(
        &self,
        path: &Blob,
        data: &Blob,
        mode: CreateMode,
        session: SessionId,
        config: &Config,
    ) -> Result<Change, Error> {
        let above = parent(path).ok_or(Error::NodeExists)?;
        let parent = self.get(above).ok_or(Error::NoNode)?;
        let path = match mode.is_sequential() {
            true => Blob::from(format!("{path}{:010}", parent.created)),
            false => path.clone(),
        };
        if self.nodes.contains_key(&path) {
            return Err(Error::NodeExists);
        }
        if parent.owner != 0 {
            return Err(Error::NoChildrenForEphemerals);
        }
        let owner = if mode.is_ephemeral() { session } else { 0 };
        let created = match (parent.created, config.overflow) {
            (i32::MAX, Overflow::Sticks) => i32::MAX,
            (count, _) => count.wrapping_add(1),
        };
        Ok(Change::Create { path, data: data.clone(), owner, container: mode == CreateMode::Container, created })
    }

    /// Makes a change that was prepared on the same state.
    pub(super) fn apply(&mut self, change: &Change, config: &Config, happened: &mut Vec<Happened>) {
        match change {
            Change::Create { path, data, owner, container, created } => {
                let node = Znode {
                    data: data.clone(),
                    czxid: self.zxid,
                    mzxid: self.zxid,
                    pzxid: self.zxid,
                    created: config.sequence_start,
                    owner: *owner,
                    container: *container,
                    ..Znode::default()
                };
                self.nodes.insert(path.clone(), node);
                let zxid = self.zxid;
                let parent = self.parent_of(path);
                parent.children.insert(Blob::copy_from(name(path)));
                if parent.created != *created {
                    (parent.created, parent.pzxid) = (*created, zxid);
                }
                happened.push((EventKind::Created, path.clone()));
                happened.push((EventKind::ChildrenChanged, above(path)));
            }
            Change::Delete { path } => self.delete(path, happened),
            Change::SetData { path, data } => {
                let zxid = self.zxid;
                let node = self.nodes.get_mut(path).expect("a change was prepared for a node that is there");
                node.data = data.clone();
                node.version = node.version.wrapping_add(1);
                node.mzxid = zxid;
                happened.push((EventKind::DataChanged, path.clone()));
            }
            Change::CloseSession { session } => {
                let paths: Vec<Blob> = self.ephemerals(*session).cloned().collect();
                paths.iter().for_each(|path| self.delete(path, happened));
            }
            Change::Check { .. } | Change::OpenSession { .. } => {}
        }
    }

    fn delete(&mut self, path: &Blob, happened: &mut Vec<Happened>) {
        self.nodes.remove(path);
        let zxid = self.zxid;
        let parent = self.parent_of(path);
        parent.children.remove(name(path));
        parent.pzxid = parent.pzxid.max(zxid);
        happened.push((EventKind::Deleted, path.clone()));
        happened.push((EventKind::ChildrenChanged, above(path)));
    }

    fn parent_of(&mut self, path: &Blob) -> &mut Znode {
        let above = parent(path).expect("the root is neither created nor deleted");
        self.nodes.get_mut(above).expect("a node has a parent")
    }

    /// What the change gave, as the client is told.
    pub(super) fn answer(&self, change: &Change) -> Answer {
        match change {
            Change::Create { path, .. } => {
                Answer::Created { path: path.clone(), stat: self.stat(path).unwrap_or_default() }
            }
            Change::SetData { path, .. } => Answer::Stat(self.stat(path).unwrap_or_default()),
            _ => Answer::Done,
        }
    }
}

fn above(path: &Blob) -> Blob {
    Blob::copy_from(parent(path).unwrap_or(b"/"))
}

impl Znode {
    pub(super) fn data(&self) -> &Blob {
        &self.data
    }

    pub(super) fn children(&self) -> impl Iterator<Item = &Blob> {
        self.children.iter()
    }

    pub(super) fn owner(&self) -> SessionId {
        self.owner
    }

    pub(super) fn stat(&self) -> Stat {
        let children = self.children.len() as i32;
        Stat {
            czxid: self.czxid,
            mzxid: self.mzxid,
            pzxid: self.pzxid,
            version: self.version,
            // The server keeps the number of creations and reports that of all changes.
            cversion: self.created.wrapping_mul(2).wrapping_sub(children),
            ephemeral_owner: self.owner,
            data_length: self.data.len() as i32,
            num_children: children,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::{Mutation, each_shows};

    #[test]
    fn every_field_is_in_the_digest() {
        let tree = Tree::new(1);
        fn node(tree: &mut Tree) -> &mut Znode {
            tree.nodes.get_mut(&b"/"[..]).expect("the root is there")
        }
        let changes: &[Mutation<Tree>] = &[
            ("a node", |tree| drop(tree.nodes.insert("/a".into(), Znode::default()))),
            ("data", |tree| node(tree).data = "a".into()),
            ("czxid", |tree| node(tree).czxid = 1),
            ("mzxid", |tree| node(tree).mzxid = 1),
            ("pzxid", |tree| node(tree).pzxid = 1),
            ("the version", |tree| node(tree).version = 1),
            ("the counter", |tree| node(tree).created = 1),
            ("the owner", |tree| node(tree).owner = 1),
            ("container", |tree| node(tree).container = true),
            ("zxid", |tree| tree.zxid = 2),
        ];
        each_shows(&tree, changes);
    }
}
