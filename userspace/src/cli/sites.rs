//! `pulse-trace probes --plan`: the places in a process's code that would be probed.

use binary::locate::{instruction::Class, site::Site};
use kernel::{TrapCosts, target::Pinned};
use model::{text::printable, units};
use probes::{
    Choice, class_of,
    source::probing::{Preview, costs, preview},
};

use super::failure::Failure;
use crate::session::{Request, Scope, kernel_setup};

const HEADER: [&str; 6] = ["address", "in file", "instruction", "cost", "function", "what"];

/// All of it, as text.
pub fn plan(pid: u32, choice: Choice) -> Result<String, Failure> {
    let pinned = Pinned::process(pid)?;
    let (files, refused) = preview(pid, choice);
    let (costs, how) = measured(&pinned);
    let mut text =
        format!("process {pid}: places that --probes mutex would use; none has been touched\n{how}\n");
    for file in &files {
        text += &of_file(file, costs.as_ref());
    }
    for sentence in &refused {
        text += &format!("\n{}\n", printable(sentence));
    }
    if files.is_empty() {
        text += "\nno file with code that it maps has locks that are known: they are seen where they wait in the kernel\n";
    }
    Ok(text)
}

/// Costs, and a sentence that says where they come from.
fn measured(pinned: &Pinned) -> (Option<TrapCosts>, String) {
    let request = Request {
        scope: Scope::Targets,
        per_thread: false,
        probes: vec!["mutex".to_owned()],
        stacks: false,
        limits: Vec::new(),
        debug: false,
    };
    let setup = kernel_setup(&request, &[pinned]);
    let refused = |cause: &str| {
        format!(
            "costs are typical ones: cannot measure a hit here: {cause}; `pulse-trace doctor` tells what is missing"
        )
    };
    match setup.map(|setup| costs(&setup)) {
        Ok(Ok(Some(costs))) => {
            (Some(costs), "costs are of one hit, measured just now on code of pulse-trace's own".to_owned())
        }
        Ok(Ok(None)) => (None, refused("the kernel put no probe into pulse-trace itself")),
        Ok(Err(cause)) => (None, refused(&cause.to_string())),
        Err(cause) => (None, refused(&cause)),
    }
}

fn of_file(file: &Preview, costs: Option<&TrapCosts>) -> String {
    let build = file.plan.build_id.as_deref().unwrap_or("without build-id");
    let mut text = format!("\n{}: {}, {build}", printable(&file.path), printable(&file.library));
    if let Some(generation) = file.plan.generation {
        text += &format!(", {generation}");
    }
    text += "\n";
    for (function, verdict) in &file.plan.checks {
        text += &format!("  {function}: {verdict}\n");
    }
    let rows: Vec<[String; 6]> = file.sites.iter().map(|site| row(file, site, costs)).collect();
    if !rows.is_empty() {
        text += &table(&rows);
    }
    for refusal in &file.plan.refusals {
        text += &format!("  {}\n", printable(refusal));
    }
    text
}

fn row(file: &Preview, site: &Site, costs: Option<&TrapCosts>) -> [String; 6] {
    [
        format!("{:#x}", file.bias.wrapping_add(site.file_offset)),
        format!("{:#x}", site.file_offset),
        site.class.name().to_owned(),
        cost(site.class, costs),
        site.function.clone(),
        what(site),
    ]
}

/// Event that the site stands for, and the register of the spin count.
fn what(site: &Site) -> String {
    match site.count_register {
        Some(register) => format!("{}, its count in {}", site.role, register.name()),
        None => site.role.to_string(),
    }
}

fn cost(class: Class, costs: Option<&TrapCosts>) -> String {
    let measured = costs.and_then(|costs| Some(costs.one(class_of(class)?)));
    let ns = measured.or_else(|| class.typical_ns().map(f64::from));
    ns.map_or_else(|| "-".to_owned(), units::fraction_of_time)
}

fn table(rows: &[[String; 6]]) -> String {
    let width = |column: usize| {
        let cells = rows.iter().map(|row| row[column].len());
        cells.max().unwrap_or(0).max(HEADER[column].len())
    };
    let line = |cells: [&str; 6]| {
        let cells = cells.iter().enumerate().map(|(column, cell)| format!("{cell:<0$}", width(column)));
        format!("  {}\n", cells.collect::<Vec<_>>().join("  ").trim_end())
    };
    let body = rows.iter().map(|row| line(std::array::from_fn(|column| row[column].as_str())));
    [line(HEADER)].into_iter().chain(body).collect()
}

#[cfg(test)]
mod tests {
    use binary::locate::{
        register::Reg,
        site::{FilePlan, FoundBy, LockPointer, Role},
    };

    use super::*;

    #[test]
    fn a_place_is_told_by_both_addresses_and_by_what_it_costs() {
        let site = Site {
            role: Role::SpinEnd,
            function: "pthread_mutex_lock".to_owned(),
            address: 0x1234,
            file_offset: 0x234,
            class: Class::SingleStepped,
            count_register: Some(Reg::Rbx),
            lock: Some(LockPointer { register: Reg::Rdi, offset: 0 }),
            found_by: FoundBy::Both,
        };
        let plan = FilePlan { refusals: vec!["cannot find sites of more".to_owned()], ..FilePlan::default() };
        let (path, library) = ("/lib/libc.so.6".to_owned(), "glibc 2.36".to_owned());
        let file = Preview { path, library, plan, sites: vec![site], bias: 0x7f00_0000_1000 };
        assert_eq!(
            of_file(&file, None),
            "\n/lib/libc.so.6: glibc 2.36, without build-id\n  \
             address         in file  instruction     cost    function            what\n  \
             0x7f0000001234  0x234    single-stepped  6.00us  pthread_mutex_lock  end of the spin, its count in rbx\n  \
             cannot find sites of more\n"
        );
    }
}
