//! The process that reads files of others: it answers requests, and asks for what it may not open itself.

mod asked;
mod fault;
mod messages;

use std::{cell::RefCell, fs::File, io, rc::Rc};

use rustix::{
    process::{Resource, Rlimit, setrlimit},
    time::{ClockId, clock_gettime},
};

use self::asked::Asked;
pub use self::messages::{Answer, Described, Message, Question, Reply, Request, Sample, ToService};
use crate::{
    channel::{Channel, LARGEST},
    files::Origin,
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
        let (request, mut opened) = match received {
            None => return Ok(()),
            Some((ToService::Request(request), opened)) => (request, opened),
            Some((ToService::Answer(_), _)) => return Err(io::Error::other("nothing was asked")),
        };
        let reply = match request {
            Request::Observe { pid, maps, starts } => {
                files.have(pid, maps, starts.into_iter().zip(opened));
                let observed = names.observe(pid).map_err(|error| error.to_string());
                files.have(pid, Vec::new(), []);
                Some(Reply::Observed(observed.map(|()| names.files_refused())))
            }
            Request::Plan(origin) => {
                Some(opened.pop().map_or(Reply::Lacking, |file| planned(&file, &files, &origin)))
            }
            Request::Offer(origin) => {
                Some(opened.pop().map_or(Reply::Lacking, |file| offered(&file, &files, &origin)))
            }
            Request::BuildId => Some(Reply::BuildId(opened.pop().and_then(|file| input::build_id(&file)))),
            request => about_stacks(request, &mut names),
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

fn planned(file: &File, files: &Asked, origin: &Origin) -> Reply {
    files.begin(&origin.path);
    let debug = Beside { files, origin };
    let planned = input::binary(file, locate::plan::LARGEST).map(|bytes| locate::plan::Planned {
        library: locate::libc::release(&bytes, &origin.path),
        plan: locate::plan::plan(&bytes, &debug),
    });
    Reply::Plan(planned.map_err(|error| (&error).into()))
}

fn offered(file: &File, files: &Asked, origin: &Origin) -> Reply {
    files.begin(&origin.path);
    let offer = input::binary(file, Offer::LARGEST).map(|bytes| Offer::of(&bytes));
    Reply::Offer(offer.map_err(|error| (&error).into()))
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
