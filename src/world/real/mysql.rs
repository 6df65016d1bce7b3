//! The MySQL adapter: the mysql_async crate behind the port. MySQL and MariaDB speak alike here.

use crate::port::mysql::{Failure, MySql, Reply, Request, Session, Value};
use crate::port::{Blob, Outcome, Refusal, Unknown};
use ::mysql_async as mysql;
use mysql::prelude::Queryable;
use std::time::Duration;

/// How patient the adapter is.
#[derive(Clone, Copy, Debug)]
pub struct MySqlOptions {
    /// How long to wait for a connection.
    pub connect_timeout: Duration,
    /// How long to wait for an answer, which includes waiting for locks; after that the session ends and the statement is indeterminate.
    pub response_timeout: Duration,
}

impl Default for MySqlOptions {
    fn default() -> Self {
        MySqlOptions { connect_timeout: Duration::from_secs(1), response_timeout: Duration::from_secs(60) }
    }
}

/// A server's URL cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("'{url}' is not a MySQL URL such as mysql://root@127.0.0.1:3306/shop: {why}")]
pub struct BadMySqlUrl {
    /// What was given.
    pub url: String,
    /// What is wrong with it.
    pub why: String,
}

/// A real MySQL or MariaDB server.
#[derive(Clone)]
pub struct RealMySql {
    server: mysql::Opts,
    options: MySqlOptions,
}

impl RealMySql {
    /// The server at this URL, which names the database; nothing is connected yet.
    pub fn new(url: &str, options: MySqlOptions) -> Result<Self, BadMySqlUrl> {
        let bad = |why: String| BadMySqlUrl { url: url.to_owned(), why };
        let server = mysql::Opts::from_url(url).map_err(|problem| bad(problem.to_string()))?;
        if server.db_name().is_none() {
            return Err(bad("it names no database".to_owned()));
        }
        // Found by its address, not by a socket of the same machine.
        let server = mysql::OptsBuilder::from_opts(server).prefer_socket(Some(false)).into();
        Ok(RealMySql { server, options })
    }
}

impl MySql for RealMySql {
    type Session = RealSession;

    fn session(&self) -> RealSession {
        RealSession { server: self.clone(), connection: None, used: false }
    }
}

/// A session. It ends with its connection.
pub struct RealSession {
    server: RealMySql,
    connection: Option<mysql::Conn>,
    /// It has been connected, or that was tried.
    used: bool,
}

impl RealSession {
    /// The session's connection, opened with its first statement.
    async fn connection(&mut self) -> Outcome<mysql::Conn> {
        if let Some(connection) = self.connection.take() {
            return Outcome::Ok(connection);
        }
        if std::mem::replace(&mut self.used, true) {
            return Outcome::Fail(Refusal::Closed);
        }
        let connecting = mysql::Conn::new(self.server.server.clone());
        match tokio::time::timeout(self.server.options.connect_timeout, connecting).await {
            Ok(Ok(connection)) => Outcome::Ok(connection),
            Ok(Err(mysql::Error::Server(error))) => Outcome::Fail(Refusal::MySql(failure_of(&error))),
            Ok(Err(_)) | Err(_) => Outcome::Fail(Refusal::Refused),
        }
    }
}

impl Session for RealSession {
    /// Sends a statement, as a prepared one where it has parameters or gives rows.
    async fn ask(&mut self, request: Request) -> Outcome<Reply> {
        // Whoever drops this future drops the connection: an answer on its way would be taken for the next one's.
        let mut connection = match self.connection().await {
            Outcome::Ok(connection) => connection,
            Outcome::Fail(why) => return Outcome::Fail(why),
            Outcome::Indeterminate(why) => return Outcome::Indeterminate(why),
        };
        match tokio::time::timeout(self.server.options.response_timeout, send(&mut connection, &request)).await {
            Err(_) => Outcome::Indeterminate(Unknown::TimedOut),
            Ok(Err(mysql::Error::Server(error))) => {
                self.connection = Some(connection);
                Outcome::Ok(Reply::Failed(failure_of(&error)))
            }
            Ok(Err(_)) => Outcome::Indeterminate(Unknown::ConnectionLost),
            Ok(Ok(reply)) => {
                self.connection = Some(connection);
                Outcome::Ok(reply)
            }
        }
    }

    fn is_open(&self) -> bool {
        self.connection.is_some() || !self.used
    }
}

async fn send(connection: &mut mysql::Conn, request: &Request) -> Result<Reply, mysql::Error> {
    let sql = request.sql.to_text().into_owned();
    let is_query = sql.trim_start().get(..6).is_some_and(|word| word.eq_ignore_ascii_case("select"));
    if is_query || !request.params.is_empty() {
        let params: Vec<mysql::Value> = request.params.iter().map(to_mysql).collect();
        let params = if params.is_empty() { mysql::Params::Empty } else { mysql::Params::Positional(params) };
        reply_of(connection.exec_iter(sql, params).await?).await
    } else {
        reply_of(connection.query_iter(sql).await?).await
    }
}

async fn reply_of<P: mysql::prelude::Protocol>(result: mysql::QueryResult<'_, '_, P>) -> Result<Reply, mysql::Error> {
    let Some(columns) = result.columns().filter(|columns| !columns.is_empty()) else {
        let (affected, last_insert_id) = (result.affected_rows(), result.last_insert_id().unwrap_or_default());
        result.drop_result().await?;
        return Ok(Reply::Done { affected, last_insert_id });
    };
    let columns = columns.iter().map(|column| Blob::copy_from(column.name_str().to_lowercase().as_bytes())).collect();
    let rows: Vec<mysql::Row> = result.collect_and_drop().await?;
    let rows = rows.into_iter().map(|row| row.unwrap().into_iter().map(from_mysql).collect()).collect();
    Ok(Reply::Rows { columns, rows })
}

/// The states that the model knows are the same texts.
fn failure_of(error: &mysql::ServerError) -> Failure {
    const STATES: [&str; 11] =
        ["23000", "40001", "42000", "42S01", "42S02", "42S22", "22001", "22003", "22007", "21S01", "25001"];
    let state = STATES.into_iter().find(|state| *state == error.state).unwrap_or("HY000");
    Failure { code: error.code, state, message: Blob::from(error.message.clone()) }
}

fn to_mysql(value: &Value) -> mysql::Value {
    match value {
        Value::Null => mysql::Value::NULL,
        Value::Int(number) => mysql::Value::Int(*number),
        Value::UInt(number) => mysql::Value::UInt(*number),
        Value::Text(text) => mysql::Value::Bytes(text.to_vec()),
        Value::DateTime(us) => {
            let (days, rest) = (us.div_euclid(DAY_US), us.rem_euclid(DAY_US));
            let (year, month, day) = civil_of(days);
            let (seconds, micros) = (rest / 1_000_000, rest % 1_000_000);
            let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
            mysql::Value::Date(year as u16, month, day, hour as u8, minute as u8, second as u8, micros as u32)
        }
    }
}

fn from_mysql(value: mysql::Value) -> Value {
    match value {
        mysql::Value::NULL => Value::Null,
        mysql::Value::Int(number) => Value::Int(number),
        mysql::Value::UInt(number) => Value::UInt(number),
        mysql::Value::Bytes(bytes) => Value::Text(Blob::from(bytes)),
        mysql::Value::Date(year, month, day, hour, minute, second, micros) => {
            let seconds = (i64::from(hour) * 60 + i64::from(minute)) * 60 + i64::from(second);
            let days = days_of(i64::from(year), month, day);
            Value::DateTime(days * DAY_US + seconds * 1_000_000 + i64::from(micros))
        }
        other => Value::Text(Blob::from(other.as_sql(true))),
    }
}

const DAY_US: i64 = 86_400_000_000;
/// Days of 400 years, after which the calendar repeats.
const ERA_DAYS: i64 = 146_097;

/// Days since 1970-01-01 of a day of the Gregorian calendar. The year is counted from March on, so that the leap day comes last.
fn days_of(year: i64, month: u8, day: u8) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let (era, year_of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let month = (i64::from(month) + 9) % 12;
    let day_of_year = (153 * month + 2) / 5 + i64::from(day) - 1;
    era * ERA_DAYS + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

/// The day of the Gregorian calendar so many days after 1970-01-01.
fn civil_of(days: i64) -> (i64, u8, u8) {
    let days = days + 719_468;
    let (era, day_of_era) = (days.div_euclid(ERA_DAYS), days.rem_euclid(ERA_DAYS));
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month as u8, day as u8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_and_dates_belong_to_each_other() {
        for (date, days) in [((1970, 1, 1), 0), ((2000, 2, 29), 11_016), ((2026, 11, 21), 20_778), ((1969, 12, 31), -1)]
        {
            assert_eq!(civil_of(days), date, "{days}");
            assert_eq!(days_of(date.0, date.1, date.2), days, "{date:?}");
        }
    }
}
