//! A mutex of the standard library that is found taken seven times: who holds it waits until the other sleeps.

use std::{
    fs, io,
    io::Read,
    sync::{Barrier, Mutex},
    thread,
    time::Duration,
};

static LOCK: Mutex<u32> = Mutex::new(0);

/// True if another thread than the first sleeps in a futex call.
fn sleeps() -> bool {
    let own = std::process::id().to_string();
    fs::read_dir("/proc/self/task").unwrap().flatten().any(|task| {
        let call = fs::read_to_string(task.path().join("syscall")).unwrap_or_default();
        task.file_name().to_str() != Some(own.as_str()) && call.starts_with("202 ")
            && call.split(' ').nth(1) == Some(&format!("{:#x}", &raw const LOCK as usize))
    })
}

fn main() {
    io::stdin().read_exact(&mut [0]).unwrap();
    let turn = Barrier::new(2);
    thread::scope(|scope| {
        scope.spawn(|| {
            for _ in 0..7 {
                turn.wait();
                *LOCK.lock().unwrap() += 1;
                turn.wait();
            }
        });
        for _ in 0..7 {
            let held = LOCK.lock().unwrap();
            turn.wait();
            while !sleeps() {
                thread::sleep(Duration::from_micros(100));
            }
            drop(held);
            turn.wait();
        }
    });
}
