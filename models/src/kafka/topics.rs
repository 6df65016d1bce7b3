//! Topics: the logs of their partitions.

use super::wire::{Error, Fetched, Offset, Partition, Record};
use crate::Blob;
use std::collections::BTreeMap;
use std::rc::Rc;

type Log = Rc<Vec<Record>>;

/// All topics.
#[derive(Clone, Default, Hash)]
pub(super) struct Topics {
    logs: BTreeMap<Blob, Vec<Log>>,
}

impl Topics {
    pub(super) fn create(&mut self, topic: &Blob, partitions: i32) -> Result<(), Error> {
        if self.logs.contains_key(topic) {
            return Err(Error::TopicAlreadyExists);
        }
        let count = usize::try_from(partitions).ok().filter(|count| *count > 0).ok_or(Error::InvalidPartitions)?;
        self.logs.insert(topic.clone(), vec![Log::default(); count]);
        Ok(())
    }

    fn log(&self, topic: &Blob, partition: Partition) -> Result<&Log, Error> {
        let logs = self.logs.get(topic).ok_or(Error::UnknownTopicOrPartition)?;
        let at = usize::try_from(partition.0).ok();
        at.and_then(|at| logs.get(at)).ok_or(Error::UnknownTopicOrPartition)
    }

    /// True if there is such a partition.
    pub(super) fn check(&self, topic: &Blob, partition: Partition) -> Result<(), Error> {
        self.log(topic, partition).map(drop)
    }

    pub(super) fn append(&mut self, topic: &Blob, partition: Partition, record: &Record) -> Result<Offset, Error> {
        let offset = self.end(topic, partition)?;
        let logs = self.logs.get_mut(topic).expect("its end was found");
        Rc::make_mut(&mut logs[partition.0 as usize]).push(record.clone());
        Ok(offset)
    }

    /// The offset that the next record gets.
    pub(super) fn end(&self, topic: &Blob, partition: Partition) -> Result<Offset, Error> {
        Ok(self.log(topic, partition)?.len() as Offset)
    }

    pub(super) fn fetch(&self, topic: &Blob, partition: Partition, from: Offset, max: u32) -> Fetched {
        let records = self.log(topic, partition).and_then(|log| {
            let rest = usize::try_from(from).ok().and_then(|from| log.get(from..)).ok_or(Error::OffsetOutOfRange)?;
            Ok(rest.iter().take(max as usize).cloned().collect())
        });
        Fetched { partition, from, records }
    }
}
