//! The flows that locks guard, generic over the ports.
//!
//! | file | flow |
//! |---|---|
//! | [`shop`] | check the stock, deduct, insert the order (article oversell) |
//! | [`draw`] | one draw for each user (article quality) |
//! | [`sale`] | what a request is told, and what an auditor finds |
//! | [`reconcile`] | what an auditor asks the servers afterwards (article quality) |

pub mod draw;
pub mod reconcile;
pub mod sale;
pub mod shop;
