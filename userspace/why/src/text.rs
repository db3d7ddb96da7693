//! A picture as text.

use std::fmt::Write as _;

use super::{
    edge::Certainty,
    picture::{Picture, Told, Waiting},
};

/// Functions of a stack that are shown.
const FRAMES: usize = 6;
/// Characters of a function's name.
const LONGEST: usize = 60;
/// Threads that are named where there are many.
const NAMES: usize = 4;
/// Single waits that are shown.
const WAITS: usize = 40;

/// The picture in words: what cannot go on first, then what holds up most.
#[must_use]
pub fn render(picture: &Picture) -> String {
    let mut text = format!(
        "{} of {}, looked at twice in {:.1} ms\n",
        counted(picture.threads, "thread"),
        counted(picture.processes, "process"),
        picture.took_us as f64 / 1000.0
    );
    for ring in &picture.deadlocks {
        let _ = write!(text, "\nDEADLOCK: {}, and none can go on\n", in_ring(ring.len()));
        ring.iter().for_each(|waiting| text += &shown(waiting));
    }
    for ring in &picture.rings {
        let _ = write!(
            text,
            "\nRING: {}; only a signal handler, or a descriptor on its way to another process, could end that\n",
            in_ring(ring.len())
        );
        ring.iter().for_each(|waiting| text += &shown(waiting));
    }
    if !picture.stuck.is_empty() {
        let _ = write!(text, "\n{} for a deadlock\n", plural_wait(picture.stuck.len()));
        picture.stuck.iter().take(WAITS).for_each(|waiting| text += &shown(waiting));
        text += &rest(picture.stuck.len());
    }
    for convoy in &picture.convoys {
        let waiters = plural_wait(convoy.waiting.len());
        let _ = write!(text, "\n{waiters} for {}{}\n", convoy.object, held(&convoy.enders));
        text += &convoy.waiting.first().map(|first| stack(&first.stack)).unwrap_or_default();
    }
    if !picture.roots.is_empty() {
        text += "\nwhat they wait for\n";
        for root in &picture.roots {
            let _ = writeln!(text, "  {} {}; {} behind it", name(&root.thread), root.does, root.behind);
            text += &stack(&root.stack);
        }
    }
    if !picture.waiting.is_empty() {
        text += "\nwaits of single threads\n";
        picture.waiting.iter().take(WAITS).for_each(|waiting| text += &shown(waiting));
        text += &rest(picture.waiting.len());
    }
    text += &quiet(picture);
    for note in &picture.notes {
        let _ = writeln!(text, "note: {note}");
    }
    text
}

/// Threads without work, those of which nothing is known, and those that moved.
fn quiet(picture: &Picture) -> String {
    let kinds =
        [(&picture.idle, "without work"), (&picture.unknown, "of which it is not known what they wait for")];
    let mut text = String::new();
    for (places, what) in kinds.into_iter().filter(|(places, _)| !places.is_empty()) {
        let all: usize = places.iter().map(|place| place.threads).sum();
        let places: Vec<String> = places.iter().map(|it| format!("{} {}", it.place, it.threads)).collect();
        let _ = writeln!(text, "{} {what} ({})", counted(all, "thread"), places.join(", "));
    }
    if picture.moving > 0 {
        let _ = writeln!(text, "{} moving", counted(picture.moving, "thread"));
    }
    if text.is_empty() { text } else { format!("\n{text}") }
}

fn shown(waiting: &Waiting) -> String {
    let how = match waiting.certainty {
        _ if waiting.enders.is_empty() => "",
        Certainty::Known | Certainty::Read => "",
        Certainty::Claimed => " (its memory claims so)",
    };
    let line = format!(
        "  {} waits for {} until {}{}{how}\n",
        name(&waiting.thread),
        waiting.object,
        waiting.until,
        held(&waiting.enders)
    );
    line + &stack(&waiting.stack)
}

fn held(enders: &[Told]) -> String {
    let named: Vec<String> = enders.iter().take(NAMES).map(name).collect();
    match enders.len() {
        0 => String::new(),
        many if many > NAMES => format!(": {}, or one of {} others", named.join(", "), many - NAMES),
        _ => format!(": {}", named.join(" or ")),
    }
}

fn stack(frames: &[String]) -> String {
    if frames.is_empty() {
        return String::new();
    }
    let more = if frames.len() > FRAMES { " < .." } else { "" };
    let shown: Vec<String> = frames.iter().take(FRAMES).map(|frame| short(frame)).collect();
    format!("      from {}{more}\n", shown.join(" < "))
}

/// A function's name without what its types are made of, and not longer than a line can bear.
fn short(function: &str) -> String {
    let (mut name, mut depth) = (String::new(), 0_usize);
    for c in function.chars() {
        match c {
            '<' => {
                name.push_str(if depth == 0 { "<" } else { "" });
                depth += 1;
            }
            '>' if depth > 0 => {
                depth -= 1;
                name.push_str(if depth == 0 { "..>" } else { "" });
            }
            c if depth == 0 => name.push(c),
            _ => {}
        }
    }
    match name.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}..", &name[..end]),
        None => name,
    }
}

fn rest(all: usize) -> String {
    if all > WAITS { format!("  and {} more; --json has all\n", all - WAITS) } else { String::new() }
}

fn name(told: &Told) -> String {
    let of = if told.pid == told.tid { String::new() } else { format!(" of {}", told.pid) };
    format!("{} {}{of}", told.tid, if told.comm.is_empty() { "?" } else { &told.comm })
}

fn counted(count: usize, noun: &str) -> String {
    let plural = match (count, noun.ends_with('s')) {
        (1, _) => "",
        (_, true) => "es",
        (_, false) => "s",
    };
    format!("{count} {noun}{plural}")
}

fn in_ring(count: usize) -> String {
    if count == 1 {
        "1 thread waits for itself".to_owned()
    } else {
        format!("{count} threads wait for each other")
    }
}

fn plural_wait(count: usize) -> String {
    if count == 1 { "1 thread waits".to_owned() } else { format!("{count} threads wait") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::picture::{Convoy, Idle, Root};

    fn told(tid: u32, comm: &str) -> Told {
        Told { pid: 100, tid, comm: comm.to_owned() }
    }

    fn waiting(tid: u32, object: &str, enders: &[u32], certainty: Certainty) -> Waiting {
        Waiting {
            thread: told(tid, "worker"),
            object: object.to_owned(),
            until: "its holder lets go",
            enders: enders.iter().map(|tid| told(*tid, "worker")).collect(),
            certainty,
            stack: vec!["push".to_owned(), "main".to_owned()],
        }
    }

    #[test]
    fn what_cannot_go_on_stands_first_and_idle_threads_are_folded() {
        let ring = vec![
            waiting(101, "mutex 0x1 (normal)", &[102], Certainty::Read),
            waiting(102, "mutex 0x2 (normal)", &[101], Certainty::Claimed),
        ];
        let picture = Picture {
            processes: 1,
            threads: 40,
            took_us: 1500,
            deadlocks: vec![ring],
            convoys: vec![Convoy {
                object: "mutex 0x3 (normal)".to_owned(),
                enders: vec![told(103, "flush")],
                waiting: (110..113)
                    .map(|tid| waiting(tid, "mutex 0x3 (normal)", &[103], Certainty::Read))
                    .collect(),
            }],
            roots: vec![Root {
                thread: told(103, "flush"),
                behind: 3,
                does: "waits for fdatasync".to_owned(),
                stack: vec!["commit".to_owned()],
            }],
            idle: vec![Idle { place: "epoll_wait".to_owned(), threads: 31 }],
            ..Picture::default()
        };
        assert_eq!(render(&picture), include_str!("golden.txt"));
    }

    #[test]
    fn names_of_functions_are_short() {
        assert_eq!(short("core::ops::Fn<A, B<C>>::call::<D>"), "core::ops::Fn<..>::call::<..>");
        assert_eq!(short(&"x".repeat(70)).len(), 62);
    }
}
