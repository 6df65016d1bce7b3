//! Cut: which processes a partition sets apart, and which way nothing gets through.

/// Which way nothing gets through between the processes that are set apart and the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Way {
    /// Neither way.
    Both,
    /// What those send that are set apart does not arrive.
    Out,
}

/// A partition that has not healed yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Partition {
    /// Which way nothing gets through between the processes that are set apart and the others.
    pub way: Way,
    /// When it began, true time.
    pub since_us: u64,
}

/// The processes that a partition sets apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Apart {
    /// One client.
    Client(u8),
    /// One node.
    Node(u8),
    /// Several, by their numbers, a bit each.
    Set {
        /// The clients.
        clients: u8,
        /// The nodes.
        nodes: u8,
    },
}

/// Which partitions there may be. Clients are alike in them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Partitions {
    /// All.
    #[default]
    Any,
    /// Neither way between one of the clients and this node, and the others.
    ClientAndNode(u8),
}

/// A partition as it begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Cut {
    /// Who is set apart.
    pub apart: Apart,
    /// Which way nothing gets through.
    pub way: Way,
}

impl Apart {
    /// The processes with these bits, clients first.
    pub(super) fn of(mask: u16, clients: usize) -> Apart {
        let (theirs, nodes) = (mask & ((1 << clients) - 1), mask >> clients);
        match (mask.count_ones(), nodes) {
            (1, 0) => Apart::Client(theirs.trailing_zeros() as u8),
            (1, _) => Apart::Node(nodes.trailing_zeros() as u8),
            _ => Apart::Set { clients: theirs as u8, nodes: nodes as u8 },
        }
    }

    pub(super) fn has_client(self, client: usize) -> bool {
        match self {
            Apart::Client(one) => usize::from(one) == client,
            Apart::Node(_) => false,
            Apart::Set { clients, .. } => has(clients, client),
        }
    }

    pub(super) fn has_node(self, node: usize) -> bool {
        match self {
            Apart::Client(_) => false,
            Apart::Node(one) => usize::from(one) == node,
            Apart::Set { nodes, .. } => has(nodes, node),
        }
    }

    /// The same where clients have these numbers; `None` if a client is not there.
    pub(super) fn renamed(self, number: impl Fn(u8) -> Option<u8>) -> Option<Apart> {
        Some(match self {
            Apart::Client(client) => Apart::Client(number(client)?),
            Apart::Node(_) => self,
            Apart::Set { clients, nodes } => {
                let theirs = (0..8).filter(|client| has(clients, usize::from(*client)));
                let numbers: Option<Vec<u8>> = theirs.map(number).collect();
                let bit = |number: u8| 1u8.checked_shl(number.into());
                let clients = numbers?.into_iter().try_fold(0, |all, number| Some(all | bit(number)?))?;
                Apart::Set { clients, nodes }
            }
        })
    }
}

fn has(bits: u8, at: usize) -> bool {
    at < 8 && bits & (1 << at) != 0
}
