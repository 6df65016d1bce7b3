//! The one-time draw of article quality: each user draws at most once.
//!
//! Looking first and inserting then is not enough (S14): two requests of one user both find nothing. A unique key on
//! the user is.

use super::reconcile::{audit, create_records};
use super::sale::{Audit, NotSold};
use crate::lock::mysql::transaction::within;
use crate::lock::mysql::{Client, Retry, Stop, Transaction};
use crate::port::mysql::{MySql, Session, Value};
use crate::port::{Blob, Ports, Unanswered};

const DRAWS: &str = "SELECT COUNT(*) FROM task_record WHERE scene_code = 'draw' AND order_id = ?";
const INSERT_DRAW: &str = "INSERT INTO task_record (scene_code, order_id, unique_id) VALUES ('draw', ?, ?)";

/// A draw.
#[derive(Clone, Copy, Debug)]
pub struct Draw {
    /// Whether a user's record can be there only once.
    pub unique: bool,
    /// How often to try a transaction.
    pub retry: Retry,
    /// The place of the MySQL server in the topology.
    pub database: usize,
}

impl Draw {
    /// Makes the table.
    pub async fn open<P: Ports>(&self, ports: &P) -> Result<(), Unanswered> {
        create_records(&mut ports.mysql(self.database).session(), self.unique).await
    }

    /// What there is in the end.
    pub async fn audit<P: Ports>(&self, ports: &P) -> Result<Audit, Unanswered> {
        audit(ports, self.database, None).await
    }

    /// Draws for a user, unless the user has drawn.
    pub async fn draw<P: Ports>(
        &self,
        ports: &P,
        client: &mut Client<P::MySql>,
        user: &Blob,
        request: &Blob,
    ) -> Result<(), NotSold> {
        match client.transact(ports, self.retry, &OneDraw { user, request }).await {
            Ok(true) => Ok(()),
            Ok(false) => Err(NotSold::SoldOut),
            Err(stop) if stop.is_duplicate() => Err(NotSold::SoldOut),
            Err(Stop::Conflict) => Err(NotSold::Conflict),
            Err(Stop::Unknown) => Err(NotSold::Unknown),
            Err(_) => Err(NotSold::Unavailable),
        }
    }
}

struct OneDraw<'a> {
    user: &'a Blob,
    request: &'a Blob,
}

impl Transaction for OneDraw<'_> {
    type Output = bool;

    async fn run<S: Session>(&self, session: &mut S) -> Result<bool, Stop> {
        let rows = within(session.query(DRAWS, vec![self.user.into()]).await)?;
        if rows.first().and_then(|row| row.first()).and_then(Value::as_int) != Some(0) {
            return Ok(false);
        }
        within(session.run(INSERT_DRAW, vec![self.user.into(), self.request.into()]).await)?;
        Ok(true)
    }

    /// That the user has drawn may be an earlier try's doing.
    fn settles(&self, result: &Result<bool, Stop>) -> bool {
        matches!(result, Ok(true))
    }
}
