//! Stacks and their names, from the confined process.

use std::{
    collections::{HashMap, HashSet},
    fs::File,
    slice,
};

use binary::{
    service::{Described, Reply, Request, Sample},
    symbolize::{Frame, Runtime, Spot, Stack},
};

use super::shared;

const LOST: &str = "the process that reads files of targets is lost; its stacks go without names";

/// Named places that are kept; beyond it all are forgotten and asked for again.
const MOST_NAMED: usize = 16_384;

/// Bytes of names that are kept.
const MOST_BYTES: usize = 16 << 20;
/// Frames of one stack.
const MOST_FRAMES: usize = 1024;

/// Turns copied stacks into names.
#[derive(Default)]
pub struct Names {
    named: HashMap<Spot, Described>,
    /// Bytes that were ever put there since it was empty.
    bytes: usize,
    /// Files that were left out as too many were open: their functions have no names.
    pub files_refused: usize,
}

impl Names {
    /// Notes what a process has mapped: at attach, and again after it has started another program.
    ///
    /// # Errors
    /// When it cannot be seen, in words.
    pub fn observe(&mut self, pid: u32) -> Result<(), String> {
        let mut sandbox = shared();
        sandbox.start();
        if sandbox.is_lost() {
            return Err(LOST.to_owned());
        }
        let (maps, opened) = sandbox.answers.beforehand(pid);
        let (starts, files): (Vec<u64>, Vec<File>) = opened.into_iter().unzip();
        match sandbox.ask(Request::Observe { pid, maps, starts }, &files) {
            Some(Reply::Observed(observed)) => {
                self.files_refused = observed?;
                Ok(())
            }
            _ => Err(LOST.to_owned()),
        }
    }

    /// True once no process reads files any more: a note says so.
    pub fn is_lost(&self) -> bool {
        shared().is_lost()
    }

    /// A process was forked: until it starts another program, it has mapped what its parent has.
    pub fn inherit(&mut self, pid: u32, parent: u32) {
        let mut sandbox = shared();
        sandbox.answers.allow(pid);
        sandbox.tell(Request::Inherit { pid, parent });
    }

    /// Forgets what a process has mapped; its stacks keep their names.
    pub fn forget(&mut self, pid: u32) {
        let mut sandbox = shared();
        sandbox.answers.forget(pid);
        sandbox.tell(Request::Forget(pid));
    }

    /// Follows copied stacks. One that ends the process that follows them costs no other one its frames.
    pub fn unwind(&mut self, samples: &[Sample]) -> Vec<Stack> {
        if let Some(stacks) = follow(samples) {
            return stacks;
        }
        let alone = |sample: &Sample| follow(slice::from_ref(sample)).and_then(|mut stacks| stacks.pop());
        samples.iter().map(|sample| alone(sample).unwrap_or_else(Stack::unread)).collect()
    }

    /// The functions of a stack, the innermost first; also after its process has ended.
    pub fn describe(&mut self, stack: &Stack) -> Vec<Frame> {
        self.learn(&[stack]);
        let mut frames = Vec::with_capacity(stack.frames.len());
        for spot in &stack.frames {
            match self.named.get(spot).filter(|described| !described.frames.is_empty()) {
                Some(described) => frames.extend_from_slice(&described.frames),
                // Left out, it would make a caller of what is none.
                None => frames.push(Frame::unread(spot)),
            }
        }
        frames
    }

    /// Asks for all names of stacks that are not known yet, so that describing each asks for none.
    pub fn learn(&mut self, stacks: &[&Stack]) {
        let spots = stacks.iter().flat_map(|stack| &stack.frames);
        let unknown: HashSet<Spot> = spots.filter(|spot| !self.named.contains_key(spot)).copied().collect();
        if unknown.is_empty() {
            return;
        }
        if self.named.len() + unknown.len() > MOST_NAMED || self.bytes > MOST_BYTES {
            self.named.clear();
            self.bytes = 0;
            return self.learn_all(stacks.iter().flat_map(|stack| &stack.frames).copied().collect());
        }
        self.learn_all(unknown);
    }

    fn learn_all(&mut self, spots: HashSet<Spot>) {
        let modules = shared().modules();
        // Those of a process that has ended are numbers without meaning to this one.
        let mut rest: Vec<Spot> =
            spots.into_iter().filter(|spot| modules.contains(&spot.module.number())).collect();
        while !rest.is_empty() {
            let asked = rest[..rest.len().min(MOST_ASKED)].to_vec();
            let most = asked.len();
            let told = match shared().ask(Request::Describe(asked), &[]) {
                Some(Reply::Described(told)) if !told.is_empty() && told.len() <= most => told,
                // Its functions do not fit into a message.
                Some(Reply::Lacking) => {
                    rest.remove(0);
                    continue;
                }
                _ => return,
            };
            // Bounded once more: it may be another one that speaks.
            let told: Vec<Described> = told.into_iter().map(Described::bounded).collect();
            self.bytes += told.iter().map(Described::size).sum::<usize>();
            self.named.extend(rest.drain(..told.len()).zip(told));
        }
    }

    /// True of a stack through code that was made at run time and has no names.
    pub fn lacks_names(&self, stack: &Stack) -> bool {
        stack.frames.iter().any(|spot| self.named.get(spot).is_some_and(|it| it.lacks_names))
    }

    /// The runtime of a process.
    pub fn runtime(&self, pid: u32) -> Runtime {
        match shared().ask(Request::Runtime(pid), &[]) {
            Some(Reply::Runtime(runtime)) => runtime,
            _ => Runtime::Other,
        }
    }

    /// Gives memory back: to be called when a batch of stacks has been described.
    pub fn rest(&mut self) {
        self.named.retain(|_, described| described.is_final);
        shared().tell(Request::Rest);
    }
}

/// Places that are asked for at once.
const MOST_ASKED: usize = 1024;

/// All of them, or none where the process has failed or has named what is not its own.
fn follow(samples: &[Sample]) -> Option<Vec<Stack>> {
    let mut sandbox = shared();
    let stacks = match sandbox.ask(Request::Unwind(samples.to_vec()), &[]) {
        Some(Reply::Unwound(stacks))
            if stacks.len() == samples.len()
                && stacks.iter().all(|stack| stack.frames.len() <= MOST_FRAMES) =>
        {
            stacks
        }
        _ => return None,
    };
    let modules = sandbox.modules();
    let all = || stacks.iter().flat_map(|stack| &stack.frames);
    all().all(|spot| modules.contains(&spot.module.number())).then_some(stacks)
}
