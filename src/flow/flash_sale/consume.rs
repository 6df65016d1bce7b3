//! The consumer: makes the orders that the queue has, and commits each message once its order is there.

use super::purchase::Purchased;
use super::service::FlashSale;
use crate::flow::queue::{Message, Queue};
use crate::port::{Blob, Ports};

impl<P: Ports, Q: Queue> FlashSale<P, Q> {
    /// Takes what the queue has now. Returns how many messages are done with.
    pub async fn consume(&mut self) -> usize {
        let mut done = 0;
        for message in self.queue.poll().await {
            done += usize::from(self.handle(&message).await);
        }
        done
    }

    /// Ends as a consumer.
    pub async fn leave(&mut self) {
        self.queue.leave().await;
    }

    /// False if the message must come again.
    async fn handle(&mut self, message: &Message) -> bool {
        if self.config.commits_first {
            self.queue.commit(message).await;
            return self.settle(&message.body).await;
        }
        let settled = self.settle(&message.body).await;
        if settled {
            self.queue.commit(message).await;
        }
        settled
    }

    /// Makes the order of a request. True once there is an order, or nothing left for one; false without an answer.
    async fn settle(&mut self, request: &Blob) -> bool {
        match self.purchase(request, None, self.config.consumer_retry).await {
            Ok(Purchased::Done(now)) => {
                self.counters.sold(now).await;
                true
            }
            Ok(Purchased::SoldOut) => {
                self.learn().await;
                true
            }
            Err(stop) if stop.is_duplicate() => {
                // The consumer that made the order may have ended before it told Redis.
                self.learn().await;
                true
            }
            Err(_) => false,
        }
    }
}
