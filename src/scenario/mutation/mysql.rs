//! Mistakes in SQL: what a session sends, and what it makes of the answers.

use super::{Mutant, Mutation};
use crate::port::mysql::{MySql, Reply, Request, Session, Value};
use crate::port::{Blob, Outcome};

impl<M: MySql> MySql for Mutant<M> {
    type Session = MutantSession<M::Session>;

    fn session(&self) -> Self::Session {
        MutantSession {
            session: self.ports.session(),
            mutation: self.mutation,
            in_transaction: false,
            timed_out: false,
        }
    }
}

/// A session with a mistake in what it sends.
pub struct MutantSession<S> {
    session: S,
    mutation: Option<Mutation>,
    in_transaction: bool,
    timed_out: bool,
}

/// `innodb_lock_wait_timeout` has passed.
const LOCK_WAIT_TIMEOUT: u16 = 1205;

fn done(affected: u64) -> Outcome<Reply> {
    Outcome::Ok(Reply::Done { affected, last_insert_id: 0 })
}

/// The statement without this part, whose only parameter is the last one.
fn without(request: &Request, part: &str) -> Request {
    let sql = request.sql.to_text();
    if !sql.contains(part) {
        return request.clone();
    }
    let params = request.params[..request.params.len() - 1].to_vec();
    Request::new(Blob::from(sql.replace(part, "")), params)
}

impl<S: Session> MutantSession<S> {
    /// The answer where the mistake is that nothing is sent.
    fn unsent(&mut self, request: &Request) -> Option<Outcome<Reply>> {
        let word = request.name();
        let (begins, ends, gives_up) =
            (word.as_bytes() == b"BEGIN", word.as_bytes() == b"COMMIT", word.as_bytes() == b"ROLLBACK");
        match self.mutation {
            Some(Mutation::NoTransaction) if begins || ends || gives_up => Some(done(0)),
            Some(Mutation::TimeoutIsRollback) if gives_up && std::mem::take(&mut self.timed_out) => Some(done(0)),
            Some(Mutation::OneTransaction) if gives_up || (begins && self.in_transaction) => Some(done(0)),
            Some(Mutation::OneTransaction) => {
                self.in_transaction |= begins;
                self.in_transaction &= !ends;
                None
            }
            _ => None,
        }
    }

    /// Compares the version itself, as its transaction sees it, and then writes without a condition.
    async fn compare_in_snapshot(&mut self, request: &Request) -> Option<Outcome<Reply>> {
        if self.mutation != Some(Mutation::VersionInSnapshot) || !request.sql.to_text().contains("AND version = ?") {
            return None;
        }
        let [.., id, expected] = &request.params[..] else { return None };
        let seen = self.session.query("SELECT version FROM stock WHERE id = ?", vec![id.clone()]).await;
        let version = seen.ok().and_then(|rows| rows.first()?.first().and_then(Value::as_int));
        (version != expected.as_int()).then(|| done(0))
    }
}

impl<S: Session> Session for MutantSession<S> {
    async fn ask(&mut self, request: Request) -> Outcome<Reply> {
        if let Some(answer) = self.unsent(&request) {
            return answer;
        }
        if let Some(answer) = self.compare_in_snapshot(&request).await {
            return answer;
        }
        let request = match self.mutation {
            Some(Mutation::NoVersion | Mutation::VersionInSnapshot) => without(&request, " AND version = ?"),
            Some(Mutation::NoStockCondition) => without(&request, " AND stock >= ?"),
            Some(Mutation::Text(edit)) => match edit.of(&request.sql) {
                Some(sql) => Request::new(sql, request.params),
                None => request,
            },
            Some(Mutation::DeleteFirst) => without(&request, " AND owner = ?"),
            Some(Mutation::NoRelease) if request.sql.starts_with(b"DELETE FROM locks WHERE name = ? AND owner") => {
                return done(1);
            }
            Some(Mutation::PlainRead) => {
                Request::new(Blob::from(request.sql.to_text().replace(" FOR UPDATE", "")), request.params)
            }
            _ => request,
        };
        let is_update = request.name().as_bytes() == b"UPDATE";
        let answer = self.session.ask(request).await;
        self.timed_out |= matches!(&answer, Outcome::Ok(Reply::Failed(failure)) if failure.code == LOCK_WAIT_TIMEOUT);
        match answer {
            Outcome::Ok(Reply::Done { affected: 0, .. })
                if is_update && self.mutation == Some(Mutation::RowCountIgnored) =>
            {
                done(1)
            }
            answer => answer,
        }
    }

    fn is_open(&self) -> bool {
        self.session.is_open()
    }
}
