//! Programs that attack the checker: small clients, and what a search must find in them.
//!
//! | file | what it holds |
//! |---|---|
//! | `ast` | the language of the random programs |
//! | `generate` | draws a program from a seed |
//! | `interpret` | runs a program's clients on the ports |
//! | `setting` | a program's world: servers, faults, assumptions |
//! | `shrink` | makes a program smaller that still shows a disagreement |
//! | `host` | the checker's API, as far as the programs need it |
//! | `asserts` | what hand-written programs are made of, and what searches must say about them |
//! | `search` | searches of our own: blind, at random, and wrong ones that must be caught |
//! | `compare` | which searches must agree about a program, and how |

pub mod asserts;
pub mod ast;
pub mod compare;
pub mod generate;
pub mod host;
mod interpret;
pub mod search;
mod setting;
pub mod shrink;
