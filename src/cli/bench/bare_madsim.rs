//! The yardstick for the simulated world: clients and a server on madsim's own network, and nothing else.

use madsim::net::Endpoint;
use madsim::runtime::{Handle, Runtime};
use std::net::SocketAddr;

/// The tag of a message; there is one kind only.
const TAG: u64 = 1;
const SERVER: &str = "10.0.0.1:1";
/// As long as a `SET` of the benchmark's lock.
const MESSAGE: &[u8] = b"SET lock client-0/1 NX PX 100";

/// One seed: each client sends so many requests, one after the other, and waits for each reply.
pub(super) fn run(seed: u64, clients: usize, requests: usize) {
    let runtime = Runtime::with_seed_and_config(seed, madsim::Config::default());
    runtime.block_on(async move {
        let server = address(SERVER);
        let node = Handle::current().create_node().ip(server.ip()).build();
        let serving = node.spawn(async move {
            let endpoint = Endpoint::bind(server).await.expect("the address is free");
            let mut buffer = [0; 64];
            for _ in 0..clients * requests {
                let (length, from) = endpoint.recv_from(TAG, &mut buffer).await.expect("nobody breaks it");
                endpoint.send_to(from, TAG, &buffer[..length]).await.expect("nobody breaks it");
            }
        });
        let client = |number: usize| {
            let own = address(&format!("10.0.1.{}:1", number + 1));
            let node = Handle::current().create_node().ip(own.ip()).build();
            let task = node.spawn(async move {
                let endpoint = Endpoint::bind(own).await.expect("the address is free");
                let mut buffer = [0; 64];
                for _ in 0..requests {
                    endpoint.send_to(server, TAG, MESSAGE).await.expect("nobody breaks it");
                    endpoint.recv_from(TAG, &mut buffer).await.expect("nobody breaks it");
                }
            });
            (node, task)
        };
        let running: Vec<_> = (0..clients).map(client).collect();
        for (node, task) in running {
            task.await.expect("a client does not panic");
            Handle::current().kill(node.id());
        }
        serving.await.expect("the server does not panic");
        // A madsim runtime that is dropped with live nodes leaks them.
        Handle::current().kill(node.id());
    });
}

fn address(text: &str) -> SocketAddr {
    text.parse().expect("written above")
}
