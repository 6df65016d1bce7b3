//! A server's hash. Transactions and commits have numbers that grow for ever, and of which only the order matters, and who sees
//! whom: what holds them is hashed by hand here and in the files of [`Table`](super::table::Table), `Locks` and `Replica`. Each takes
//! its type apart without `..`, so a new field does not compile until it is hashed or left out.

use super::server::{Server, Session, Trx, Waiting};
use super::view::Standing;
use crate::ConnId;
use smallvec::SmallVec;
use std::hash::{Hash, Hasher};

impl Hash for Server {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let Server {
            // The same in all states.
            config: _,
            tables,
            locks,
            sessions,
            user_locks,
            next_trx: _,
            // The versions of the rows tell.
            history: _,
            flushed,
            slow_flush,
            waits: _,
            replica,
            degraded,
            // Set anew before it is looked at.
            now_us: _,
            up,
        } = self;
        let received = replica.as_ref().map_or(0, |replica| replica.received());
        let standing = Standing::new(self.active().map(|trx| (trx.id, trx.view.as_ref())), received);
        (up, degraded, slow_flush, tables.len()).hash(state);
        for (name, table) in tables {
            name.hash(state);
            table.hash_at(&standing, state);
        }
        locks.hash_at(&standing, state);
        state.write_usize(sessions.len());
        for (conn, session) in sessions {
            conn.hash(state);
            session.hash_at(&standing, state);
        }
        self.waiting_for_user_locks().hash(state);
        (user_locks, replica, flushed.as_ref().map(|(tables, at_us)| (tables.len(), at_us))).hash(state);
        for (name, table) in flushed.iter().flat_map(|(tables, _)| tables.iter()) {
            name.hash(state);
            table.hash_at(&Standing::default(), state);
        }
    }
}

impl Server {
    /// The connections that wait for a user lock, in the order in which they do: so they get it.
    fn waiting_for_user_locks(&self) -> SmallVec<[ConnId; 4]> {
        let number = |session: &Session| {
            session.waiting.as_ref().filter(|waiting| waiting.user_lock.is_some()).map(|waiting| waiting.number)
        };
        let waiting = self.sessions.iter().filter_map(|(conn, session)| Some((number(session)?, *conn)));
        let mut waiting: SmallVec<[(u64, ConnId); 4]> = waiting.collect();
        waiting.sort_unstable();
        waiting.into_iter().map(|(_, conn)| conn).collect()
    }
}

impl Session {
    fn hash_at<H: Hasher>(&self, standing: &Standing, state: &mut H) {
        let Session { autocommit, isolation, next_isolation, lock_wait_s, trx, last_insert_id, row_count, waiting } =
            self;
        (autocommit, isolation, next_isolation, lock_wait_s, last_insert_id, row_count).hash(state);
        (trx.is_some(), waiting.is_some()).hash(state);
        if let Some(trx) = trx {
            trx.hash_at(standing, state);
        }
        if let Some(waiting) = waiting {
            waiting.hash_at(standing, state);
        }
    }
}

impl Trx {
    fn hash_at<H: Hasher>(&self, standing: &Standing, state: &mut H) {
        let Trx { id, isolation, explicit, view, undo, savepoints, sent } = self;
        // What a view sees the standing of the transactions tells.
        (standing.of(*id), isolation, explicit, view.is_some()).hash(state);
        (undo, savepoints, standing.missing(*sent)).hash(state);
    }
}

impl Waiting {
    fn hash_at<H: Hasher>(&self, standing: &Standing, state: &mut H) {
        // Of its number only the order among those who wait for user locks matters.
        let Waiting { request, began_us, until_us, user_lock, number: _, granted, sent } = self;
        (request, began_us, until_us, user_lock, granted).hash(state);
        sent.as_ref().map(|(reply, number)| (reply, standing.missing(Some(*number)))).hash(state);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::{Mutation, each_shows};
    use crate::mysql::ast::{Isolation, LockMode};
    use crate::mysql::locks::{Part, Place};
    use crate::mysql::view::View;
    use crate::mysql::wire::{Reply, Request};
    use crate::mysql::{Config, Replication};
    use crate::{Blob, NodeClock};
    use std::rc::Rc;

    const CONN: ConnId = ConnId { client: 1, member: 0, lane: 1 };

    fn session(server: &mut Server) -> &mut Session {
        server.session(CONN)
    }

    fn trx(server: &mut Server) -> &mut Trx {
        session(server).trx.as_mut().expect("it has begun")
    }

    fn wait(server: &mut Server, change: impl FnOnce(&mut Waiting)) {
        let request = Rc::new(Request::new("SELECT 1", Vec::new()));
        let mut waiting =
            Waiting { request, began_us: 0, until_us: 1, user_lock: None, number: 1, granted: false, sent: None };
        change(&mut waiting);
        session(server).waiting = Some(waiting);
    }

    fn run(server: &mut Server, client: u16, texts: &[&'static str]) {
        for text in texts {
            let (clock, mut out) = (NodeClock { wall_us: 0, mono_us: 0 }, Vec::new());
            let request = Request::new(*text, Vec::new());
            server.serve(clock, ConnId { client, ..CONN }, &request, &mut out);
            assert!(out.iter().all(|output| output.as_not_modelled().is_none()), "{text}");
        }
    }

    fn server() -> Server {
        let replication = Some(Replication::SemiSynchronous { timeout_ms: None });
        let mut server = Server::new(Config { replication, ..Config::default() });
        run(&mut server, 0, &["CREATE TABLE t (id INT PRIMARY KEY, v INT)", "INSERT INTO t (id, v) VALUES (1, 1)"]);
        run(&mut server, 1, &["BEGIN", "UPDATE t SET v = 2 WHERE id = 1"]);
        server
    }

    #[test]
    fn every_field_is_in_the_digest() {
        let changes: &[Mutation<Server>] = &[
            ("up", |all| all.up = false),
            ("degraded", |all| all.degraded = true),
            ("a table", |all| run(all, 0, &["CREATE TABLE s (id INT PRIMARY KEY)"])),
            ("its definition", |all| run(all, 0, &["CREATE TABLE s (id BIGINT PRIMARY KEY)"])),
            ("its next number", |all| {
                Rc::make_mut(all.tables.get_mut(&Blob::from("t")).expect("it is there")).next_auto = 7
            }),
            ("a row", |all| run(all, 0, &["INSERT INTO t (id, v) VALUES (2, 1)"])),
            ("a row's value", |all| run(all, 0, &["INSERT INTO t (id, v) VALUES (2, 2)"])),
            ("a row that has not been committed", |all| run(all, 0, &["BEGIN", "INSERT INTO t (id, v) VALUES (2, 2)"])),
            ("a lock", |all| {
                let place = Place { table: "t".into(), index: 0, key: None };
                let trx = trx(all).id;
                all.locks.try_lock(trx, &place, LockMode::Shared, Part::Gap);
            }),
            ("an intent", |all| {
                let trx = trx(all).id;
                all.locks.intend(trx, &"t".into(), LockMode::Shared);
                all.locks.intend(trx, &"s".into(), LockMode::Shared);
            }),
            ("a user lock", |all| {
                all.user_locks.insert("a".into(), (CONN, 1));
            }),
            ("how often it is held", |all| {
                all.user_locks.insert("a".into(), (CONN, 2));
            }),
            ("what is flushed", |all| all.flushed = Some((Rc::default(), 1))),
            ("a slow flush", |all| all.slow_flush = true),
            ("when it will be", |all| all.flushed = Some((Rc::default(), 2))),
            ("the replica that lags", |all| all.lag()),
            ("what is on its way", |all| {
                all.lag();
                run(all, 0, &["CREATE TABLE s (id INT PRIMARY KEY)"]);
            }),
            ("no replica", |all| all.replica = None),
            ("autocommit", |all| session(all).autocommit = false),
            ("the isolation", |all| session(all).isolation = Isolation::Serializable),
            ("the next isolation", |all| session(all).next_isolation = Some(Isolation::Serializable)),
            ("the lock wait", |all| session(all).lock_wait_s = 1),
            ("the last insert id", |all| session(all).last_insert_id = 1),
            ("the row count", |all| session(all).row_count = 7),
            ("no transaction", |all| session(all).trx = None),
            ("its isolation", |all| trx(all).isolation = Isolation::Serializable),
            ("explicit", |all| trx(all).explicit = false),
            ("its view", |all| trx(all).view = Some(Rc::new(View { own: 9, below: 0, active: Vec::new() }))),
            ("its savepoints", |all| trx(all).savepoints.push(("p".into(), 0))),
            ("its changes", |all| trx(all).undo.push(("t".into(), Vec::new()))),
            ("its commit", |all| trx(all).sent = Some(0)),
            ("a later commit", |all| trx(all).sent = Some(99)),
            ("a statement that waits", |all| wait(all, |_| ())),
            ("another statement", |all| wait(all, |one| one.request = Rc::new(Request::new("SELECT 2", Vec::new())))),
            ("when it began", |all| wait(all, |one| one.began_us = 1)),
            ("until when it waits", |all| wait(all, |one| one.until_us = 2)),
            ("what it waits for", |all| wait(all, |one| one.user_lock = Some("a".into()))),
            ("granted", |all| wait(all, |one| one.granted = true)),
            ("its reply", |all| wait(all, |one| one.sent = Some((Reply::Done { affected: 1, last_insert_id: 0 }, 0)))),
            ("which commit it waits for", |all| {
                wait(all, |one| one.sent = Some((Reply::Done { affected: 1, last_insert_id: 0 }, 99)));
            }),
        ];
        each_shows(&server(), changes);
    }

    /// Numbers that grow for ever are not in it.
    #[test]
    fn what_has_ended_is_forgotten() {
        let of = |server: &Server| {
            let mut digest = crate::Digest::new();
            server.hash(&mut digest);
            digest.finish128()
        };
        let mut server = server();
        run(&mut server, 0, &["SELECT 1"]);
        let before = of(&server);
        run(&mut server, 0, &["BEGIN", "INSERT INTO t (id, v) VALUES (3, 3)", "ROLLBACK", "SELECT 1"]);
        assert_eq!(of(&server), before);
    }
}
