//! Connection of two sides started by hand: a local socket with a name that lives in no file system, so that nothing
//! can be left behind.

use std::io::{self, BufRead, BufReader, Write};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener, UnixStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use pulse_trace_workloads::contract::{EXIT_REFUSED, Refusal, cannot, stop, stopping};
use serde::{Deserialize, Serialize};

use crate::plan::Plan;

const LOOK: Duration = Duration::from_millis(50);
/// Time that our side has to notice the end of the other one: it may be blocked in the lock of a dead owner.
const GRACE: Duration = Duration::from_secs(1);
/// Set when the other side closes before it was done.
static GONE: AtomicBool = AtomicBool::new(false);
/// Set while our side may be blocked in a lock.
static PLAYING: AtomicBool = AtomicBool::new(false);

/// Messages between the sides.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Word {
    /// The server: this is to be done next.
    Plan(Box<Plan>),
    /// Set up and warm.
    Ready,
    /// Done with the plan.
    Done,
}

/// The connection to the other side.
#[derive(Debug)]
pub struct Link {
    stream: UnixStream,
    words: Receiver<Word>,
}

fn address(name: &str) -> io::Result<SocketAddr> {
    SocketAddr::from_abstract_name(format!("pulse-trace.shmemq.{name}"))
}

impl Link {
    /// The server's end: waits for a client.
    pub fn offer(name: &str, patience: Duration) -> Result<Self, Refusal> {
        let listener = address(name).and_then(|address| UnixListener::bind_addr(&address));
        let listener = listener.and_then(|listener| listener.set_nonblocking(true).map(|()| listener));
        let listener = listener.map_err(|error| {
            cannot(
                format_args!("offer the queues as `{name}`"),
                error,
                "use another --name, or end the other server",
            )
        })?;
        let deadline = Instant::now() + patience;
        while Instant::now() < deadline && !stopping() {
            match listener.accept() {
                Ok((stream, _)) => return Self::over(stream).map_err(gone),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => thread::sleep(LOOK),
                Err(error) => return Err(gone(error)),
            }
        }
        Err(cannot(
            "meet the client",
            format_args!("no peer came within {patience:?}"),
            format_args!("start `shmemq --role client --name {name}`, or raise --timeout"),
        ))
    }

    /// The client's end.
    pub fn find(name: &str) -> Result<Self, Refusal> {
        let stream = address(name).and_then(|address| UnixStream::connect_addr(&address));
        stream.and_then(Self::over).map_err(|error| {
            cannot(
                format_args!("meet the server `{name}`"),
                error,
                format_args!("start `shmemq --role server --name {name}` first"),
            )
        })
    }

    fn over(stream: UnixStream) -> io::Result<Self> {
        let (voice, words) = channel();
        stream.set_nonblocking(false)?;
        let lines = BufReader::new(stream.try_clone()?).lines();
        thread::spawn(move || {
            for word in lines.map_while(Result::ok).map_while(|line| serde_json::from_str(&line).ok()) {
                // The receiver is gone when our side is about to end.
                let _ = voice.send(word);
            }
            drop(voice);
            mourn();
        });
        Ok(Self { stream, words })
    }

    /// Tells the other side something.
    pub fn tell(&mut self, word: &Word) -> Result<(), Refusal> {
        let line = serde_json::to_string(word).map_err(|error| gone(error.into()))?;
        writeln!(self.stream, "{line}").map_err(gone)
    }

    /// The next word; none when the other side has ended, or a stop was asked for.
    pub fn hear(&mut self) -> Option<Word> {
        while !stopping() {
            match self.words.recv_timeout(LOOK) {
                Ok(word) => return Some(word),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return None,
            }
        }
        None
    }

    /// Runs `game` so that the end of the other side ends it too.
    pub fn watched<R>(game: impl FnOnce() -> R) -> R {
        PLAYING.store(true, Ordering::SeqCst);
        let value = game();
        PLAYING.store(false, Ordering::SeqCst);
        value
    }
}

/// Reports whether the other side went before it was done.
pub fn peer_has_gone() -> bool {
    GONE.load(Ordering::SeqCst)
}

/// The other side has closed. In the middle of a game that is a stop; a lock that its owner took along needs more.
fn mourn() {
    if !PLAYING.load(Ordering::SeqCst) {
        return;
    }
    GONE.store(true, Ordering::SeqCst);
    stop();
    thread::sleep(GRACE);
    if PLAYING.load(Ordering::SeqCst) {
        let blocked = cannot(
            "finish the ping-pong",
            "the other side died, and this one is blocked in its lock",
            "run both again; --mutex robust survives the death of an owner",
        );
        // Nothing is left to tell anyone if standard error is gone too.
        let _ = writeln!(io::stderr().lock(), "error: {blocked}");
        std::process::exit(EXIT_REFUSED.into());
    }
}

fn gone(error: io::Error) -> Refusal {
    cannot("talk to the other side", error, "start both sides anew")
}
