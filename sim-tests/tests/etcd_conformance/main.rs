//! The simulated etcd against etcd 3.4, over the adapter that production uses: random sequences of several clients, every reply,
//! every watch event and the final keys compared.

#[cfg(feature = "etcd")]
mod generate;
#[cfg(feature = "etcd")]
mod real;

#[test]
fn random_sequences_get_the_same_replies() {
    #[cfg(feature = "etcd")]
    real::sweep_all();
    #[cfg(not(feature = "etcd"))]
    doublehold_sim_tests::skip_unbuilt("the etcd conformance suite", "etcd");
}
