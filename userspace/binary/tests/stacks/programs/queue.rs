//! A queue whose method waits for its mutex.
use std::{io::Read, sync::Mutex, thread};

mod shape {
    pub struct Queue<T>(pub super::Mutex<Vec<T>>);

    impl<T> Queue<T> {
        #[inline(never)]
        pub fn enqueue(&self, value: T) -> usize {
            let mut all = self.0.lock().unwrap();
            all.push(value);
            all.len()
        }
    }
}

#[inline(never)]
fn produce(queue: &shape::Queue<u32>) -> usize {
    queue.enqueue(4) + 2
}

fn main() {
    let queue: &'static _ = Box::leak(Box::new(shape::Queue(Mutex::new(vec![1]))));
    let held = queue.0.lock();
    thread::spawn(move || println!("{}", produce(queue)));
    println!("ready");
    let _ = std::io::stdin().read_to_end(&mut Vec::new());
    std::process::exit(i32::from(held.is_err()));
}
