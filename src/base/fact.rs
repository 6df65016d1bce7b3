//! Fact: what a flow or a user tells the history in types of their own.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::fmt;

/// A type of fact. `Display` says what traces show.
pub trait Tells: Serialize + DeserializeOwned + fmt::Display {
    /// The type's name in histories.
    const KIND: &'static str;
}

/// A fact of some type. It is compared, hashed and written down without knowing the type.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Fact {
    kind: String,
    text: String,
    fact: Value,
}

impl Fact {
    /// A fact of this type.
    ///
    /// # Panics
    /// If the type cannot be written as JSON: a mistake of the type.
    pub fn of<T: Tells>(fact: &T) -> Fact {
        let value = serde_json::to_value(fact);
        let value = value.unwrap_or_else(|problem| panic!("a fact of kind {} is no JSON: {problem}", T::KIND));
        Fact { kind: T::KIND.to_owned(), text: fact.to_string(), fact: value }
    }

    /// What it says, if it is of this type.
    pub fn get<T: Tells>(&self) -> Option<T> {
        (self.kind == T::KIND).then(|| T::deserialize(&self.fact).ok()).flatten()
    }
}

impl fmt::Display for Fact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Ranked(u8);

    impl fmt::Display for Ranked {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(f, "is ranked {}", self.0)
        }
    }

    impl Tells for Ranked {
        const KIND: &'static str = "ranked";
    }

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Called(u8);

    impl fmt::Display for Called {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(f, "is called {}", self.0)
        }
    }

    impl Tells for Called {
        const KIND: &'static str = "called";
    }

    #[test]
    fn a_fact_is_read_as_what_it_was_and_as_nothing_else() {
        let fact = Fact::of(&Ranked(7));
        assert_eq!(fact.to_string(), "is ranked 7");
        assert_eq!(fact.get(), Some(Ranked(7)));
        assert_eq!(fact.get::<Called>(), None);
        let written = serde_json::to_string(&fact).expect("facts are JSON");
        assert_eq!(serde_json::from_str::<Fact>(&written).expect("it was written so"), fact);
    }
}
