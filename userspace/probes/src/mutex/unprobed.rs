//! Reasons for not attaching to a file that has locks.

use binary::locate::site::{FilePlan, Role};

/// Beginning of a refusal that is reported as soon as a file is met.
pub const REFUSED: &str = "cannot find spin sites";

/// The reason, by the name of the file; empty where it is a refusal that is reported by itself.
#[must_use]
pub fn unprobed(library: &str, plan: &FilePlan) -> String {
    if plan.refusals.iter().any(|refusal| refusal.starts_with(REFUSED)) {
        return String::new();
    }
    let runtimes = plan.runtimes.join(", ");
    let entries = plan.sites.iter().filter(|site| matches!(site.role, Role::LockEntry(_)));
    let entries: Vec<&str> = entries.map(|site| site.function.as_str()).collect();
    let why = if !plan.refusals.is_empty() {
        plan.refusals.join(", ")
    } else if entries.is_empty() {
        "no contended path of it is known".to_owned()
    } else {
        format!("uncontended acquisitions pass {}, too", entries.join(", "))
    };
    format!("{library} ({runtimes}): {why}")
}

#[cfg(test)]
mod tests {
    use binary::locate::{
        instruction::Class,
        site::{FoundBy, Site},
    };

    use super::*;

    #[test]
    fn a_file_without_places_tells_why() {
        let entry = Site {
            role: Role::LockEntry("musl"),
            function: "__pthread_mutex_timedlock".to_owned(),
            address: 1,
            file_offset: 1,
            class: Class::Emulated,
            count_register: None,
            lock: None,
            found_by: FoundBy::Symbol,
        };
        let mut plan = FilePlan { runtimes: vec!["musl"], sites: vec![entry], ..FilePlan::default() };
        let said = "app (musl): uncontended acquisitions pass __pthread_mutex_timedlock, too";
        assert_eq!(unprobed("app", &plan), said);
        plan.sites.clear();
        assert_eq!(unprobed("app", &plan), "app (musl): no contended path of it is known");
        assert_eq!(
            unprobed("app", &FilePlan { refusals: vec![format!("{REFUSED} in 1: why")], ..plan.clone() }),
            ""
        );
        plan.refusals.push("lockSlow: the symbol table has been stripped".to_owned());
        assert_eq!(unprobed("app", &plan), "app (musl): lockSlow: the symbol table has been stripped");
    }
}
