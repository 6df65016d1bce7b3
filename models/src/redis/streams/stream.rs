//! What a stream holds.

use super::id::StreamId;
use crate::Blob;
use crate::resp::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

/// A stream. Unlike other collections it stays when it has become empty: its last ID must not be given out again.
#[derive(Clone, Default, Hash)]
pub(in crate::redis) struct Stream {
    /// The fields and values of each entry, in turn.
    pub entries: BTreeMap<StreamId, Rc<[Blob]>>,
    /// The highest ID ever given out.
    pub last_id: StreamId,
    pub groups: BTreeMap<Blob, Group>,
}

/// A group of consumers: each entry goes to one of them.
#[derive(Clone, Hash)]
pub(in crate::redis) struct Group {
    /// The last ID that went to a consumer.
    pub last_id: StreamId,
    pub consumers: BTreeSet<Blob>,
    /// What went to a consumer and was not acknowledged.
    pub pending: BTreeMap<StreamId, Pending>,
}

/// A delivery that was not acknowledged.
#[derive(Clone, Debug, Hash)]
pub(in crate::redis) struct Pending {
    pub consumer: Blob,
    /// The time of the last delivery, in milliseconds of the node's wall clock.
    pub delivered_ms: i64,
    pub deliveries: i64,
}

impl Group {
    /// A group that has been given nothing behind `last_id`.
    pub(super) fn new(last_id: StreamId) -> Self {
        Group { last_id, consumers: BTreeSet::new(), pending: BTreeMap::new() }
    }
}

/// An entry as clients get it.
pub(super) fn entry((id, words): (&StreamId, &Rc<[Blob]>)) -> Value {
    let words = words.iter().cloned().map(Value::Bulk).collect();
    Value::Array(vec![id.to_value(), Value::Array(words)])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::{Mutation, each_shows};

    const ID: StreamId = StreamId { ms: 1, seq: 0 };

    fn group(stream: &mut Stream) -> &mut Group {
        stream.groups.get_mut(&Blob::from("group")).expect("it is there")
    }

    fn pending(stream: &mut Stream) -> &mut Pending {
        group(stream).pending.get_mut(&ID).expect("it is there")
    }

    #[test]
    fn every_field_is_in_the_digest() {
        let mut stream = Stream { last_id: ID, ..Stream::default() };
        stream.entries.insert(ID, ["field".into(), "value".into()].into());
        stream.groups.insert("group".into(), Group::new(ID));
        group(&mut stream).consumers.insert("a".into());
        group(&mut stream).pending.insert(ID, Pending { consumer: "a".into(), delivered_ms: 5, deliveries: 1 });
        let changes: &[Mutation<Stream>] = &[
            ("an entry less", |stream| stream.entries.clear()),
            ("another ID", |stream| {
                let entry = stream.entries.remove(&ID).expect("it is there");
                stream.entries.insert(StreamId { ms: 1, seq: 1 }, entry);
            }),
            ("another value", |stream| drop(stream.entries.insert(ID, ["field".into(), "b".into()].into()))),
            ("the last ID", |stream| stream.last_id.seq = 1),
            ("another millisecond", |stream| stream.last_id.ms = 2),
            ("a group less", |stream| stream.groups.clear()),
            ("another group", |stream| drop(stream.groups.insert("b".into(), Group::new(ID)))),
            ("what the group was given", |stream| group(stream).last_id = StreamId::ZERO),
            ("a consumer", |stream| {
                group(stream).consumers.insert("b".into());
            }),
            ("an acknowledgement", |stream| group(stream).pending.clear()),
            ("whose it is", |stream| pending(stream).consumer = "b".into()),
            ("since when", |stream| pending(stream).delivered_ms = 6),
            ("how often", |stream| pending(stream).deliveries = 2),
        ];
        each_shows(&stream, changes);
    }
}
