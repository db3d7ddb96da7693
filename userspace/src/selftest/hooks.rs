//! Report of the verifier on each program.

use ::probes::source::host;
use kernel::{Attached, Kernel, LIFECYCLE, SITES, Setup, lacks_cookies, limits::Limits};
use model::probes::{self, Hook, ProbeSet, Spec};

/// Has the kernel verify and attach every program: a line for each group of hooks.
pub fn verify() -> Vec<Result<String, String>> {
    let release = host::kernel();
    let with_hooks = probes::ALL.iter().filter(|spec| !spec.hooks.is_empty());
    let (here, elsewhere): (Vec<&Spec>, Vec<&Spec>) =
        with_hooks.partition(|spec| spec.allowed_on(&release).is_ok());
    let all = ProbeSet::named(&here.iter().map(|spec| spec.name).collect::<Vec<_>>());
    let of_probes = here.iter().filter(|spec| spec.name != "futex").map(|spec| (spec.name, spec.hooks));
    let groups: Vec<(&str, &[Hook])> =
        std::iter::once(("lifecycle", &LIFECYCLE[..])).chain(of_probes).collect();
    let mut lines = verify_with(all, &groups);
    let refused =
        |spec: &&Spec| Some(format!("PROBE {} refused: {}", spec.name, spec.allowed_on(&release).err()?));
    lines.extend(elsewhere.iter().filter_map(refused).map(Ok));
    // The hooks of system calls for another probe are another program to the verifier.
    let hooks = probes::hooks_of("futex");
    lines.extend(verify_with(ProbeSet::named(&["futex"]), &[("futex", hooks)]));
    lines.push(verify_sites());
    lines
}

/// The program on places in the targets' code.
fn verify_sites() -> Result<String, String> {
    let mut kernel = load(ProbeSet::named(&["mutex"]))?;
    match kernel.load_sites() {
        Ok(many) => {
            let state = if many { "works" } else { "falls back to one event for each place" };
            // How many it has walked is only told of programs that aya has.
            let instructions = kernel.verified_instructions(SITES).map(|count| format!(" insns={count}"));
            Ok(format!("PROBE mutex {state}{}", instructions.unwrap_or_default()))
        }
        Err(error) if lacks_cookies(&error) => {
            Ok("PROBE mutex refused: no program is told which place was hit, before Linux 5.15".to_owned())
        }
        Err(error) => Err(format!("PROBE mutex refused: {} insns=0", short(&error))),
    }
}

fn verify_with(probes: ProbeSet, groups: &[(&str, &[Hook])]) -> Vec<Result<String, String>> {
    match load(probes) {
        Ok(mut kernel) => groups.iter().map(|(name, hooks)| verify_group(&mut kernel, name, hooks)).collect(),
        Err(line) => vec![Err(line)],
    }
}

fn load(probes: ProbeSet) -> Result<Kernel, String> {
    let limits = Limits::for_targets(1, 1, false, false, 1);
    let setup = Setup {
        limits,
        probes,
        stacks: probes.takes_stacks(),
        follow_children: true,
        everybody: false,
        per_thread: false,
        debug: true,
    };
    Kernel::load(&setup).map_err(|error| format!("PROBE maps refused: {} insns=0", short(&error)))
}

fn verify_group(kernel: &mut Kernel, name: &str, hooks: &[Hook]) -> Result<String, String> {
    let mut attached = Attached::default();
    let fallbacks = kernel
        .attach(hooks, &mut attached)
        .map_err(|error| format!("PROBE {name} refused: {} insns=0", short(&error)))?;
    let programs = hooks.iter().map(|hook| match hook.fallback {
        Some(fallback) if fallbacks.contains(&fallback) => fallback,
        _ => hook.program,
    });
    let instructions: u32 = programs.filter_map(|program| kernel.verified_instructions(program)).sum();
    attached.detach_all();
    let state = match fallbacks[..] {
        [] => "works".to_owned(),
        _ => format!("falls back to {}", fallbacks.join(" and ")),
    };
    Ok(format!("PROBE {name} {state} insns={instructions}"))
}

/// An error on one line: the verifier's log is long.
fn short(error: &dyn std::fmt::Display) -> String {
    let text = error.to_string();
    let lines: Vec<&str> = text.lines().collect();
    match lines[..] {
        [first, .., last] => format!("{first} ... {last}"),
        _ => text,
    }
}
