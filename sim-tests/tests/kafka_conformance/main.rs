//! The simulated Kafka, its client included, against librdkafka and its mock broker, through the port that flows use:
//! random programs of a producer and the members of a group, everything that they see compared.
//!
//! No package has a broker. Where the mock is known to differ from Kafka, programs do not go:
//!
//! - It refuses commits once a rebalance has begun, which Kafka accepts: members poll after each join and departure.
//! - It keeps a member that does not join again, which Kafka has out after its rebalance time-out: so all members poll.

#[cfg(feature = "kafka")]
mod generate;
#[cfg(feature = "kafka")]
mod play;
#[cfg(feature = "kafka")]
mod real;

#[test]
fn random_programs_see_the_same() {
    #[cfg(feature = "kafka")]
    real::sweep();
    #[cfg(not(feature = "kafka"))]
    doublehold_sim_tests::skip_unbuilt("the Kafka conformance suite", "kafka");
}

#[test]
fn a_member_that_missed_a_rebalance_may_not_commit() {
    #[cfg(feature = "kafka")]
    real::missed_rebalance();
    #[cfg(not(feature = "kafka"))]
    doublehold_sim_tests::skip_unbuilt("a missed rebalance on Kafka's mock broker", "kafka");
}
