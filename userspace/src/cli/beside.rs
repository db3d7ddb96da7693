//! Output of a command while a dashboard has its terminal: kept, and written there once the terminal is free again.

use std::{
    collections::VecDeque,
    io::{self, IsTerminal as _, PipeReader, PipeWriter, Read as _, Write as _},
    process::Stdio,
    sync::{Arc, Mutex, PoisonError},
    thread::JoinHandle,
};

use rustix::{
    event::{PollFd, PollFlags, poll},
    io::Errno,
};

use super::failure::Failure;

/// So much of what it wrote last is kept.
const KEPT: usize = 1 << 20;
/// More than a pipe holds: what was written before the end is read, and no more.
const LEFT: usize = 1 << 17;

/// The ears of a command that has no terminal for a while.
pub struct Beside {
    kept: Arc<Mutex<Kept>>,
    thread: JoinHandle<()>,
    ending: PipeWriter,
}

/// Ends of pipes for the command's output and errors.
pub struct Ends {
    /// Standard output of the command.
    pub output: Stdio,
    /// Its errors, to the same place where both are the terminal.
    pub errors: Stdio,
}

#[derive(Default)]
struct Kept {
    bytes: VecDeque<u8>,
    left_out: u64,
    is_free: bool,
}

impl Beside {
    /// Begins to listen.
    pub fn listen() -> Result<(Self, Ends), Failure> {
        let failed = |cause: io::Error| {
            Failure::usage(format!("cannot keep the command's output: {cause}; --plain does without"))
        };
        let (reader, output) = io::pipe().map_err(failed)?;
        let (end, ending) = io::pipe().map_err(failed)?;
        let errors = match io::stderr().is_terminal() {
            true => output.try_clone().map_err(failed)?.into(),
            false => Stdio::inherit(),
        };
        let kept = Arc::new(Mutex::new(Kept::default()));
        let mine = Arc::clone(&kept);
        let hear = move || hear(reader, &end, &mine);
        let thread = std::thread::Builder::new().name("output".to_owned()).spawn(hear).map_err(failed)?;
        Ok((Self { kept, thread, ending }, Ends { output: output.into(), errors }))
    }

    /// Writes what was kept, and from now on all output as it comes: the terminal is free.
    pub fn free(&self) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.is_free = true;
        let note = match (kept.bytes.is_empty(), kept.left_out) {
            (true, _) => return,
            (_, 0) => "this is what the command wrote meanwhile:".to_owned(),
            (_, bytes) => {
                format!("this is what the command wrote meanwhile, without its first {bytes} bytes:")
            }
        };
        // Nothing is to be done about a terminal that is gone.
        let _ = writeln!(io::stderr().lock(), "pulse-trace: note: {note}");
        let bytes = std::mem::take(&mut kept.bytes);
        write(&Vec::from(bytes));
    }

    /// Writes what is left after the command's end.
    pub fn end(self) {
        drop(self.ending);
        // It has nothing to tell but what it has written.
        let _ = self.thread.join();
    }
}

impl Kept {
    fn take(&mut self, bytes: &[u8]) {
        if self.is_free {
            return write(bytes);
        }
        self.bytes.extend(bytes);
        let surplus = self.bytes.len().saturating_sub(KEPT);
        self.bytes.drain(..surplus);
        self.left_out += surplus as u64;
    }
}

fn write(bytes: &[u8]) {
    let mut output = io::stdout().lock();
    // Nothing is to be done about a terminal that is gone.
    let _ = output.write_all(bytes).and_then(|()| output.flush());
}

/// Takes what comes until all who could write are gone, or it is to end: others may hold the pipe for ever.
fn hear(mut reader: PipeReader, end: &PipeReader, kept: &Mutex<Kept>) {
    let mut bytes = [0; 1 << 14];
    let mut left = LEFT;
    loop {
        let mut ready = [PollFd::new(&reader, PollFlags::IN), PollFd::new(end, PollFlags::IN)];
        match poll(&mut ready, None) {
            Err(Errno::INTR) => continue,
            Err(_) => return,
            Ok(_) => {}
        }
        let [has_come, is_ending] = ready.map(|it| !it.revents().is_empty());
        if is_ending && (!has_come || left == 0) {
            return;
        }
        if !has_come {
            continue;
        }
        match reader.read(&mut bytes) {
            Ok(0) => return,
            Ok(count) => {
                left = if is_ending { left.saturating_sub(count) } else { left };
                kept.lock().unwrap_or_else(PoisonError::into_inner).take(&bytes[..count]);
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_of_it_is_kept_and_the_rest_is_counted() {
        let mut kept = Kept::default();
        kept.take(b"first");
        kept.take(&vec![b'x'; KEPT - 2]);
        assert_eq!((kept.bytes.len(), kept.left_out), (KEPT, 3));
        assert_eq!(kept.bytes.iter().take(3).copied().collect::<Vec<_>>(), b"stx");
    }

    #[test]
    fn a_process_that_holds_the_pipe_for_ever_does_not_hold_up_the_end() {
        let (reader, mut writer) = io::pipe().unwrap();
        let (end, ending) = io::pipe().unwrap();
        let kept = Mutex::new(Kept::default());
        writer.write_all(b"before the end").unwrap();
        drop(ending);
        hear(reader, &end, &kept);
        let kept = kept.into_inner().unwrap();
        assert_eq!(Vec::from(kept.bytes), b"before the end");
        drop(writer);
    }
}
