//! Tokio's channels between tasks.

use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::{Mutex, mpsc, oneshot};

use super::channel::CAPACITY;
use super::solo::{Driven, single_threaded};
use super::tasks::Tasks;
use super::work::AsyncWork;
use super::{Built, Counted, Setup};

/// One end of a channel, held by one task.
enum End {
    Send(mpsc::Sender<u64>),
    SendUnbounded(mpsc::UnboundedSender<u64>),
    Receive(mpsc::Receiver<u64>, Arc<AtomicU64>),
    ReceiveUnbounded(mpsc::UnboundedReceiver<u64>, Arc<AtomicU64>),
    ReceiveShared(Arc<Mutex<mpsc::Receiver<u64>>>, Arc<AtomicU64>),
}

impl AsyncWork for End {
    async fn once(&mut self) {
        let (message, received) = match self {
            // A send can only fail once the receiving task died, which ends the lap with an error.
            Self::Send(tx) => {
                let _ = tx.send(1).await;
                return;
            }
            Self::SendUnbounded(tx) => {
                let _ = tx.send(1);
                return;
            }
            Self::Receive(rx, received) => (rx.recv().await, received),
            Self::ReceiveUnbounded(rx, received) => (rx.recv().await, received),
            Self::ReceiveShared(rx, received) => (rx.lock().await.recv().await, received),
        };
        received.fetch_add(message.unwrap_or(0), Ordering::Relaxed);
    }
}

fn between(setup: &Setup, senders: Vec<End>, receivers: Vec<End>, received: Arc<AtomicU64>) -> Built {
    let run = Tasks::teams(setup, vec![senders, receivers])?;
    Ok(Box::new(Counted { run, count: move || received.load(Ordering::Relaxed) }))
}

/// All tasks but one send into a bounded channel, the last one receives.
pub fn to_one_bounded(setup: &Setup, tasks: usize) -> Built {
    let (tx, rx) = mpsc::channel(CAPACITY);
    let received = Arc::new(AtomicU64::new(0));
    let senders = (1..tasks).map(|_| End::Send(tx.clone())).collect();
    between(setup, senders, vec![End::Receive(rx, Arc::clone(&received))], received)
}

/// All tasks but one send into an unbounded channel, the last one receives.
pub fn to_one(setup: &Setup, tasks: usize) -> Built {
    let (tx, rx) = mpsc::unbounded_channel();
    let received = Arc::new(AtomicU64::new(0));
    let senders = (1..tasks).map(|_| End::SendUnbounded(tx.clone())).collect();
    between(setup, senders, vec![End::ReceiveUnbounded(rx, Arc::clone(&received))], received)
}

/// Half of the tasks send; the other half share the one receiver behind a mutex, since Tokio has no queue with many
/// receivers.
pub fn to_many(setup: &Setup, tasks: usize) -> Built {
    let (tx, rx) = mpsc::channel(CAPACITY);
    let rx = Arc::new(Mutex::new(rx));
    let received = Arc::new(AtomicU64::new(0));
    let senders = (0..tasks / 2).map(|_| End::Send(tx.clone())).collect();
    let receivers =
        (0..tasks / 2).map(|_| End::ReceiveShared(Arc::clone(&rx), Arc::clone(&received))).collect();
    between(setup, senders, receivers, received)
}

struct InAndOut(mpsc::Sender<u64>, mpsc::Receiver<u64>);

impl AsyncWork for InAndOut {
    async fn once(&mut self) {
        let _ = self.0.send(black_box(1)).await;
        black_box(self.1.recv().await);
    }
}

/// One task puts a message in and takes it out again.
pub fn in_and_out(_: &Setup, _: usize) -> Built {
    let (tx, rx) = mpsc::channel(CAPACITY);
    Ok(Box::new(Driven::new(single_threaded()?, InAndOut(tx, rx))))
}

struct OneShot;

impl AsyncWork for OneShot {
    async fn once(&mut self) {
        let (tx, rx) = oneshot::channel();
        let _ = tx.send(black_box(1));
        black_box(rx.await.unwrap_or(0));
    }
}

/// A channel for one message: opened, used, dropped.
pub fn oneshot(_: &Setup, _: usize) -> Built {
    Ok(Box::new(Driven::new(single_threaded()?, OneShot)))
}
