//! View: what the oracles can see of a simulated system. All of it is in the fingerprint.

use super::client::Status;
use super::system::System;
use crate::history::Holds;
use crate::port::Blob;
use crate::property::{Holder, View};

impl View for System {
    fn holds(&self) -> &Holds {
        &self.holds
    }

    fn client_mono_us(&self, client: usize) -> Option<u64> {
        self.clients[client].status.is_live().then(|| self.client_clock(client).mono_us)
    }

    fn clients(&self) -> usize {
        self.clients.len()
    }

    fn has_crashed(&self, client: usize) -> bool {
        self.clients.get(client).is_some_and(|client| client.status == Status::Crashed)
    }

    fn was_cut_off(&self, client: usize) -> bool {
        self.clients.get(client).is_some_and(|client| client.was_cut_off)
    }

    fn waiting_clients(&self) -> Vec<usize> {
        System::waiting_clients(self).collect()
    }

    fn locks(&self) -> Vec<(Blob, Vec<usize>)> {
        self.setup().locks.iter().map(|spec| (spec.name.clone(), spec.services.clone())).collect()
    }

    fn service_name(&self, service: usize) -> String {
        self.setup().services[service].name.clone()
    }

    fn holder_on(&self, lock: usize, service: usize) -> Option<Holder> {
        System::holder_on(self, lock, service)
    }

    fn owners(&self, lock: usize) -> Vec<Blob> {
        System::owners(self, lock).into_vec()
    }

    fn owner_of(&self, lock: usize, token: &Blob) -> Option<usize> {
        System::owner_of(self, lock, token)
    }

    fn came_late(&self, lock: usize, token: &Blob) -> bool {
        System::came_late(self, lock, token)
    }
}
