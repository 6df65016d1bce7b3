//! The primary that Sentinels name.
//!
//! A client does as the [guidelines for Redis
//! clients](https://redis.io/docs/latest/develop/reference/sentinel-clients/) say: the first Sentinel that answers
//! names the primary, that server is asked for its role, and the client stays with it until a connection ends, an
//! answer does not come in time, or the server says that it is none.

use super::super::client::State;
use super::{Group, SeatRedis, TRIES_MAX, refused};
use crate::port::{Command, Outcome, Refusal, Value};
use std::ops::Range;

/// The name under which Sentinels know the primary.
const MASTER_NAME: &str = "mymaster";

impl State {
    /// The server that the client takes for the primary of a group.
    fn primary(&mut self, group: &Group) -> &mut Option<u16> {
        let known = self.kept.primaries.iter().position(|(first, _)| *first == group.servers.start);
        let at = known.unwrap_or_else(|| {
            self.kept.primaries.push((group.servers.start, None));
            self.kept.primaries.len() - 1
        });
        &mut self.kept.primaries[at].1
    }
}

impl SeatRedis {
    /// The server that the client takes for the primary; looks for it if there is none.
    pub(super) async fn find_primary(&self, group: &Group, sentinels: &Range<u16>) -> Option<u16> {
        if let Some(known) = *self.seat.lock().primary(group) {
            return Some(known);
        }
        let found = self.look(group, sentinels).await?;
        *self.seat.lock().primary(group) = Some(found);
        Some(found)
    }

    /// Looks for the primary: the first Sentinel that answers names it, and the server must say that it is one.
    async fn look(&self, group: &Group, sentinels: &Range<u16>) -> Option<u16> {
        for sentinel in sentinels.clone() {
            let which = Command::new("SENTINEL").arg("GET-MASTER-ADDR-BY-NAME").arg(MASTER_NAME);
            let [named] = self.ask_within(group, (sentinel, 0), [which]).await;
            let Some(named) = named.ok() else { continue };
            let node = server_at(group, &named)?;
            let [role] = self.ask_within(group, (node, self.channel), [Command::new("ROLE")]).await;
            let role = role.ok()?;
            let is_primary =
                matches!(&role, Value::Array(parts) if parts.first() == Some(&Value::Bulk("master".into())));
            return is_primary.then_some(node);
        }
        None
    }

    /// The primary is looked for anew, unless another task of this client has done so already.
    fn give_up(&self, group: &Group, node: u16) {
        self.seat.lock().primary(group).take_if(|known| *known == node);
    }

    pub(super) async fn ask_primary<const N: usize>(
        &self,
        group: &Group,
        sentinels: &Range<u16>,
        commands: [Command; N],
    ) -> [Outcome<Value>; N] {
        let mut refused = refused();
        for _ in 0..TRIES_MAX {
            let Some(node) = self.find_primary(group, sentinels).await else { return refused };
            let outcomes = self.ask_within(group, (node, self.channel), commands.clone()).await;
            if outcomes.iter().any(|outcome| matches!(outcome, Outcome::Indeterminate(_))) {
                self.give_up(group, node);
            }
            match outcomes.first() {
                Some(Outcome::Fail(why)) if is_no_primary(why) => {
                    self.give_up(group, node);
                    refused = outcomes;
                }
                _ => return outcomes,
            }
        }
        refused
    }
}

/// The server of a group that a Sentinel names.
fn server_at(group: &Group, address: &Value) -> Option<u16> {
    let Value::Array(parts) = address else { return None };
    group.member(&parts.first()?.as_blob()?.to_text()).map(|member| group.servers.start + member)
}

/// True if a refusal says that the server is not there, or is no primary.
fn is_no_primary(why: &Refusal) -> bool {
    match why {
        Refusal::Refused => true,
        Refusal::Server(text) => {
            [&b"READONLY"[..], b"MASTERDOWN", b"LOADING"].iter().any(|code| text.starts_with(code))
        }
        _ => false,
    }
}
