//! Meeting point of all receivers of one aggregator: the ledger, the output file, and the count of connections.

use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use pulse_trace_workloads::contract::{Handshake, Refusal, cannot, cpu_ns, now_ns};

use rustix::event::{EventfdFlags, eventfd};

use super::super::ledger::{Ledger, Received};
use super::super::lines::Lines;
use super::super::stages::Reading;
use super::super::transport::Framing;

/// Bytes one read can take; larger than the largest packet.
const READ_SIZE: usize = 128 * 1024;
/// Output is written in pieces of this size.
const WRITE_SIZE: usize = 64 * 1024;

/// Shared by all receivers.
#[derive(Debug)]
pub struct Desk {
    book: Mutex<Book>,
    handshake: Mutex<Handshake>,
    expect: u64,
    connected: AtomicU64,
    closed: AtomicU64,
    cpu_at_ready: AtomicU64,
    finishing: AtomicBool,
    /// Readable when the receiver has ended by itself.
    ended: OwnedFd,
}

#[derive(Debug, Default)]
struct Book {
    ledger: Ledger,
    output: Option<BufWriter<File>>,
    error: Option<String>,
}

/// State of one receiver.
#[derive(Debug)]
pub struct Reception {
    /// Buffer of the next read.
    pub buffer: Vec<u8>,
    framing: Framing,
    lines: Lines,
    /// Tells receivers apart.
    number: u32,
    begun_ns: u64,
}

impl Reception {
    /// For one link.
    pub fn new(framing: Framing) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        Self { buffer: vec![0; READ_SIZE], framing, lines: Lines::default(), number, begun_ns: 0 }
    }

    /// The call that receives begins now.
    pub fn begin(&mut self) {
        self.begun_ns = now_ns();
    }
}

impl Desk {
    /// Opens the output first: a slip in its path must not cost a run.
    pub fn open(output: &Path, append: bool, expect: u64, handshake: Handshake) -> Result<Self, Refusal> {
        let output = (output.as_os_str() != "none").then(|| create(output, append)).transpose()?;
        Ok(Self {
            book: Mutex::new(Book { output, ..Book::default() }),
            handshake: Mutex::new(handshake),
            expect,
            connected: AtomicU64::new(0),
            closed: AtomicU64::new(0),
            cpu_at_ready: AtomicU64::new(0),
            finishing: AtomicBool::new(false),
            ended: eventfd(0, EventfdFlags::CLOEXEC)
                .map_err(|error| cannot("make an eventfd", error, "look at `ulimit -n`"))?,
        })
    }

    /// Notes every read and every message.
    pub fn note_all(&self) {
        self.book().ledger.note_all();
    }

    /// Says ready if no producer is expected to connect first.
    pub fn listening(&self) {
        if self.expect == 0 {
            self.ready();
        }
    }

    /// Says ready when all expected producers have connected.
    pub fn connected(&self) {
        if self.connected.fetch_add(1, Ordering::Relaxed) + 1 == self.expect {
            self.ready();
        }
    }

    /// Says ready at once.
    pub fn ready(&self) {
        self.cpu_at_ready.store(cpu_ns(), Ordering::Relaxed);
        let mut handshake = self.handshake.lock().unwrap_or_else(PoisonError::into_inner);
        if let Err(error) = handshake.say_ready() {
            self.note(&error.to_string());
        }
    }

    /// Counts a connection that ended.
    pub fn closed(&self) {
        self.closed.fetch_add(1, Ordering::Relaxed);
    }

    /// CPU time of the process since it was ready.
    pub fn cpu_ns(&self) -> u64 {
        cpu_ns() - self.cpu_at_ready.load(Ordering::Relaxed)
    }

    /// True once everything expected has been received, for a run that ends by itself.
    pub fn satisfied(&self, quiet: Option<Duration>) -> bool {
        if self.expect == 0 {
            return false;
        }
        let book = self.book();
        let silent =
            book.ledger.last_received_ns().map(|last| Duration::from_nanos(now_ns().saturating_sub(last)));
        self.closed.load(Ordering::Relaxed) >= self.expect
            || book.ledger.complete() as u64 >= self.expect
            || quiet.zip(silent).is_some_and(|(quiet, silent)| silent > quiet)
    }

    /// Tells the receivers that nothing more will be sent.
    pub fn finish(&self) {
        self.finishing.store(true, Ordering::Relaxed);
    }

    /// Wakes the thread or task that waits on [`Self::end_of_receiver`].
    pub fn receiver_ended(&self) {
        // An eventfd that no thread has written to before takes the eight bytes.
        let _ = rustix::io::write(&self.ended, &1u64.to_ne_bytes());
    }

    /// Readable when the receiver has ended by itself: a pipe without writers.
    pub fn end_of_receiver(&self) -> BorrowedFd<'_> {
        self.ended.as_fd()
    }

    /// True once nothing more will be sent.
    pub fn finishing(&self) -> bool {
        self.finishing.load(Ordering::Relaxed)
    }

    /// Enters what a read brought; false at the end of the link.
    pub fn take(&self, reception: &mut Reception, got: io::Result<usize>) -> bool {
        let now = now_ns();
        match got {
            Ok(0) => reception.framing == Framing::Messages,
            Ok(count) => {
                self.enter(reception, count, now);
                true
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => true,
            // A producer that was killed while data was on its way to it: its end.
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => false,
            Err(error) => {
                self.note(&error.to_string());
                false
            }
        }
    }

    /// Ends a link: a line cut off in its middle is counted.
    pub fn end(&self, reception: &mut Reception) {
        if reception.lines.end() {
            self.book().ledger.count_truncated();
        }
    }

    fn enter(&self, reception: &mut Reception, count: usize, now: u64) {
        let Reception { buffer, framing, lines, number, begun_ns } = reception;
        let mut book = self.book();
        let Book { ledger, output, error } = &mut *book;
        ledger.count_read(Reading { receiver: *number, begun_ns: *begun_ns, ended_ns: now });
        let dropped = lines.feed(&buffer[..count], |line| {
            if ledger.enter(line, now)
                && let Some(file) = output.as_mut()
                && let Err(cause) = file.write_all(line).and_then(|()| file.write_all(b"\n"))
            {
                error.get_or_insert_with(|| format!("writing the output: {cause}"));
                *output = None;
            }
        });
        ledger.count_malformed(dropped);
        // A datagram holds whole lines; a rest belongs to nothing that could follow.
        if *framing == Framing::Messages && lines.end() {
            ledger.count_malformed(1);
        }
    }

    /// A message is lost because its producer died while it wrote it.
    pub fn torn(&self) {
        self.book().ledger.count_truncated();
    }

    /// Notes the first thing that went wrong.
    pub fn note(&self, cause: &str) {
        self.book().error.get_or_insert_with(|| cause.to_owned());
    }

    /// Flushes the output; answers the sums and what went wrong.
    pub fn close(&self) -> (Received, Option<String>) {
        let mut book = self.book();
        if let Some(mut output) = book.output.take()
            && let Err(cause) = output.flush()
        {
            book.error.get_or_insert_with(|| format!("writing the output: {cause}"));
        }
        (book.ledger.summary(), book.error.take())
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn create(path: &Path, append: bool) -> Result<BufWriter<File>, Refusal> {
    let mut options = OpenOptions::new();
    options.create(true).write(true).append(append).truncate(!append);
    let file = options.open(path).map_err(|error| {
        cannot(
            format_args!("write {}", path.display()),
            error,
            "choose another file with --output, or `none`",
        )
    })?;
    Ok(BufWriter::with_capacity(WRITE_SIZE, file))
}
