//! NUMA nodes, as `/sys` tells them.

use std::fs;
use std::path::Path;
use std::thread;

use pulse_trace_workloads::contract::CpuList;

const NODES: &str = "/sys/devices/system/node";

/// The CPUs of every node that has some; one node of all CPUs where the kernel knows none.
pub fn cpus() -> Vec<Option<CpuList>> {
    let found = read(Path::new(NODES));
    if found.is_empty() { vec![None] } else { found.into_iter().map(Some).collect() }
}

fn read(place: &Path) -> Vec<CpuList> {
    let entries = fs::read_dir(place).into_iter().flatten().flatten();
    let mut nodes: Vec<(u32, CpuList)> = entries
        .filter_map(|entry| {
            let number = entry.file_name().to_str()?.strip_prefix("node")?.parse().ok()?;
            // A node of memory alone has an empty list, which is no list.
            let list = fs::read_to_string(entry.path().join("cpulist")).ok()?.trim().parse().ok()?;
            Some((number, list))
        })
        .collect();
    nodes.sort_by_key(|(number, _)| *number);
    nodes.into_iter().map(|(_, list)| list).collect()
}

/// Index of the node that the calling thread runs on now.
pub fn here(nodes: &[Option<CpuList>]) -> usize {
    let cpu = rustix::thread::sched_getcpu();
    let has = |list: &CpuList| (0..list.len()).any(|nth| list.of_worker(nth) == cpu);
    nodes.iter().position(|list| list.as_ref().is_some_and(has)).unwrap_or(0)
}

/// Makes one value per node, on a thread of that node, so that its memory lies there.
pub fn on_each<T: Send>(nodes: &[Option<CpuList>], make: impl Fn() -> T + Sync) -> Vec<T> {
    thread::scope(|scope| {
        let threads: Vec<_> = nodes
            .iter()
            .map(|node| {
                scope.spawn(|| {
                    // Where pinning is refused the memory lies where the kernel puts it: slower, not wrong.
                    let _ = node.as_ref().map(|cpus| cpus.pin(0));
                    make()
                })
            })
            .collect();
        threads.into_iter().filter_map(|thread| thread.join().ok()).collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_node_makes_its_own_and_this_thread_is_on_one() {
        let nodes = cpus();
        assert!(here(&nodes) < nodes.len());
        assert_eq!(on_each(&nodes, || 7), vec![7; nodes.len()]);
    }

    #[test]
    fn nodes_come_in_order_and_those_without_cpus_are_left_out() {
        let place = pulse_trace_workloads::clean::unique_path("eventbuf-test");
        for (node, list) in [("node10", "4-5\n"), ("node2", "0,2\n"), ("node3", "\n"), ("possible", "x")] {
            fs::create_dir_all(place.join(node)).unwrap();
            fs::write(place.join(node).join("cpulist"), list).unwrap();
        }
        let lists: Vec<String> = read(&place).iter().map(ToString::to_string).collect();
        fs::remove_dir_all(&place).unwrap();
        assert_eq!(lists, ["0,2", "4,5"]);
    }
}
