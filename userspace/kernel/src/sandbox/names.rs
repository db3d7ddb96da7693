//! Stacks and their names, from the confined process.

use std::{
    collections::{HashMap, HashSet},
    fs::File,
};

use binary::{
    service::{Described, Reply, Request, Sample},
    symbolize::{Frame, Runtime, Spot, Stack},
};

use super::shared;

/// Named places that are kept; beyond it all are forgotten and asked for again.
const MOST_NAMED: usize = 16_384;

/// Turns copied stacks into names.
#[derive(Default)]
pub struct Names {
    named: HashMap<Spot, Described>,
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
        let (maps, opened) = sandbox.answers.beforehand(pid);
        let (starts, files): (Vec<u64>, Vec<File>) = opened.into_iter().unzip();
        match sandbox.ask(Request::Observe { pid, maps, starts }, &files) {
            Ok(Reply::Observed(observed)) => {
                self.files_refused = observed?;
                Ok(())
            }
            _ => Err(format!("{}; its stacks go without names", super::LOST)),
        }
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

    /// Follows copied stacks; none is followed where the process is lost that does it.
    pub fn unwind(&mut self, samples: Vec<Sample>) -> Vec<Stack> {
        let count = samples.len();
        match shared().ask(Request::Unwind(samples), &[]) {
            Ok(Reply::Unwound(stacks)) if stacks.len() == count => stacks,
            _ => vec![Stack::unread(); count],
        }
    }

    /// The functions of a stack, the innermost first; also after its process has ended.
    pub fn describe(&mut self, stack: &Stack) -> Vec<Frame> {
        self.learn(&[stack]);
        let frames = stack.frames.iter().filter_map(|spot| self.named.get(spot));
        frames.flat_map(|described| described.frames.iter().cloned()).collect()
    }

    /// Asks for all names of stacks that are not known yet, so that describing each asks for none.
    pub fn learn(&mut self, stacks: &[&Stack]) {
        let spots = stacks.iter().flat_map(|stack| &stack.frames);
        let unknown: HashSet<Spot> = spots.filter(|spot| !self.named.contains_key(spot)).copied().collect();
        if unknown.is_empty() {
            return;
        }
        if self.named.len() + unknown.len() > MOST_NAMED {
            self.named.clear();
            return self.learn_all(stacks.iter().flat_map(|stack| &stack.frames).copied().collect());
        }
        self.learn_all(unknown);
    }

    fn learn_all(&mut self, spots: HashSet<Spot>) {
        let mut rest: Vec<Spot> = spots.into_iter().collect();
        while !rest.is_empty() {
            let asked = rest[..rest.len().min(MOST_ASKED)].to_vec();
            let told = match shared().ask(Request::Describe(asked), &[]) {
                Ok(Reply::Described(told)) if !told.is_empty() && told.len() <= rest.len() => told,
                _ => return,
            };
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
            Ok(Reply::Runtime(runtime)) => runtime,
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
