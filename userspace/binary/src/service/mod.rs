//! The process that reads files of others: it answers requests, and asks for what it may not open itself.

mod asked;
mod fault;
mod messages;

use std::{cell::RefCell, fs::File, io, path::Path, rc::Rc};

use rustix::{
    process::{Resource, Rlimit, setrlimit},
    time::{ClockId, clock_gettime},
};

use self::asked::Asked;
pub use self::messages::{Answer, Described, Message, Question, Reply, Request, Sample, ToService};
use crate::{
    channel::{Channel, LARGEST},
    input,
    locate::{self, debug_file::Beside, replaceable::Offer},
    symbolize::{Spot, Symbolizer},
};

/// Reads what the confined process might say, had its files taken it over.
pub fn read_message(bytes: &[u8]) {
    std::hint::black_box(postcard::from_bytes::<Message>(bytes).is_ok());
}

/// Obeys until the other side ends. The first module of a stack will have this number.
///
/// # Errors
/// When the other side says what cannot be understood.
pub fn serve(channel: Channel, first_module: u32) -> io::Result<()> {
    let channel = Rc::new(RefCell::new(channel));
    let files = Rc::new(Asked::new(Rc::clone(&channel)));
    let mut names = Symbolizer::with(files.clone(), first_module);
    loop {
        let received = channel.borrow_mut().receive()?;
        files.next_request();
        end_in_time();
        let (request, file) = match received {
            None => return Ok(()),
            Some((ToService::Request(Request::Observe { pid, maps, starts }), opened)) => {
                files.have(pid, maps, starts.into_iter().zip(opened));
                let observed = names.observe(pid).map_err(|error| error.to_string());
                files.have(pid, Vec::new(), []);
                let reply = Reply::Observed(observed.map(|()| names.files_refused()));
                channel.borrow().send(&Message::Reply(reply), &[])?;
                continue;
            }
            Some((ToService::Request(request), mut files)) => (request, files.pop()),
            Some((ToService::Answer(_), _)) => return Err(io::Error::other("nothing was asked")),
        };
        let reply = match (request, file) {
            (Request::Plan(origin), Some(file)) => {
                files.begin(&origin.path);
                let debug = Beside { files: &*files, origin: &origin };
                Some(Reply::Plan(planned(&file, &debug, &origin.path).map_err(|error| (&error).into())))
            }
            (Request::Offer(origin), Some(file)) => {
                files.begin(&origin.path);
                let offer = input::binary(&file, Offer::LARGEST).map(|bytes| Offer::of(&bytes));
                Some(Reply::Offer(offer.map_err(|error| (&error).into())))
            }
            (Request::BuildId, Some(file)) => Some(Reply::BuildId(input::build_id(&file))),
            (request, _) => about_stacks(request, &mut names),
        };
        let Some(reply) = reply else { continue };
        let channel = channel.borrow();
        if channel.send(&Message::Reply(reply), &[]).is_err() {
            // Too long.
            channel.send(&Message::Reply(Reply::Lacking), &[])?;
        }
    }
}

/// CPU time for one request, s: an end even where the tool, which looks at the time, is gone.
const CPU_TIME: u64 = 120;

fn end_in_time() {
    let used = clock_gettime(ClockId::ProcessCPUTime).tv_sec.cast_unsigned();
    let limit = Rlimit { current: Some(used + CPU_TIME), maximum: None };
    let _ = setrlimit(Resource::Cpu, limit);
}

fn planned(file: &File, debug: &Beside<'_>, path: &Path) -> io::Result<locate::plan::Planned> {
    let bytes = input::binary(file, locate::plan::LARGEST)?;
    Ok(locate::plan::Planned {
        library: locate::libc::release(&bytes, path),
        plan: locate::plan::plan(&bytes, debug),
    })
}

fn about_stacks(request: Request, names: &mut Symbolizer) -> Option<Reply> {
    Some(match request {
        Request::Inherit { pid, parent } => {
            names.inherit(pid, parent);
            return None;
        }
        Request::Forget(pid) => {
            names.forget(pid);
            return None;
        }
        Request::Rest => {
            names.rest();
            return None;
        }
        Request::Unwind(samples) => {
            let unwound = samples.iter().map(|it| names.unwind(it.pid, &it.registers, &it.bytes));
            Reply::Unwound(unwound.collect())
        }
        Request::Describe(spots) => Reply::Described(described(&spots, names)),
        Request::Runtime(pid) => Reply::Runtime(names.runtime(pid)),
        Request::Plan(_) | Request::Offer(_) | Request::BuildId | Request::Observe { .. } => Reply::Lacking,
    })
}

/// Those of the first places that fit into one message: at least one.
fn described(spots: &[Spot], names: &mut Symbolizer) -> Vec<Described> {
    let (mut all, mut size) = (Vec::new(), 0);
    for spot in spots {
        let described = names.described(*spot).bounded();
        size += described.size();
        if size > LARGEST / 2 && !all.is_empty() {
            break;
        }
        all.push(described);
    }
    all
}
