//! Schemas: migrations, applied in order, the same on simulated and real servers.

use crate::port::mysql::{Request, Session};
use crate::port::{Unanswered, answered};

/// A migration: a name, and statements that end with a semicolon.
pub type Migration = (&'static str, &'static str);

/// The statements of a migration, without comments. None of them has a semicolon or a comment within a text.
pub fn statements(migration: &str) -> Vec<String> {
    let lines = migration.lines().filter(|line| !line.trim_start().starts_with("--"));
    let text = lines.collect::<Vec<_>>().join("\n");
    text.split(';').map(str::trim).filter(|statement| !statement.is_empty()).map(str::to_owned).collect()
}

/// Applies all migrations to an empty database.
pub async fn migrate<S: Session>(session: &mut S, migrations: &[Migration]) -> Result<(), Unanswered> {
    for (name, migration) in migrations {
        for statement in statements(migration) {
            answered(name, session.ask(Request::new(statement, Vec::new())).await)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_migration_is_split_at_its_semicolons() {
        let text = "-- One;\nCREATE TABLE a (\n    id INT -- no comment of ours\n);\n\n-- Two.\nDROP TABLE a;\n";
        assert_eq!(statements(text), ["CREATE TABLE a (\n    id INT -- no comment of ours\n)", "DROP TABLE a"]);
    }
}
