//! Purposes of interrupts.

use std::{collections::HashMap, fs};

use model::sched::Interrupt;
use pulse_trace_common::probes::sched::source;

/// Kinds of interrupts, as far as they were asked for.
#[derive(Default)]
pub struct Interrupts {
    kinds: HashMap<u32, Interrupt>,
}

impl Interrupts {
    /// The kind of a [`source`].
    pub fn kind(&mut self, source: u32) -> Interrupt {
        if source & source::DEVICE == 0 {
            return softirq(source);
        }
        let irq = source & !source::DEVICE;
        *self.kinds.entry(irq).or_insert_with(|| {
            let table = fs::read_to_string("/proc/interrupts").unwrap_or_default();
            actions(&table, irq).map_or(Interrupt::Other, device)
        })
    }
}

/// The kind of a source that is no device. The kernel's order of softirqs has never changed.
fn softirq(source: u32) -> Interrupt {
    if source == source::TIMER {
        return Interrupt::Timer;
    }
    match source.checked_sub(source::SOFTIRQ) {
        Some(1 | 8) => Interrupt::Timer,
        Some(2 | 3) => Interrupt::Network,
        // Completions of block devices, by interrupt and by polling.
        Some(4 | 5) => Interrupt::Block,
        _ => Interrupt::Other,
    }
}

/// The names at the end of an interrupt's line in `/proc/interrupts`.
fn actions(table: &str, irq: u32) -> Option<&str> {
    let number = irq.to_string();
    let line = table.lines().find(|line| line.trim_start().strip_prefix(&number).is_some_and(is_rest))?;
    line.rsplit_once("  ").map(|(_, names)| names)
}

fn is_rest(text: &str) -> bool {
    text.starts_with(':')
}

/// The kind of a device, by the names that its drivers gave its interrupt.
fn device(names: &str) -> Interrupt {
    const BLOCK: [&str; 14] = [
        "nvme", "ahci", "ata_", "-req", "mmc", "scsi", "megasas", "mpt", "qla2", "lpfc", "smartpqi", "hpsa",
        "blkif", "ufshcd",
    ];
    const NETWORK: [&str; 16] = [
        "eth", "enp", "eno", "ens", "wlan", "wlp", "iwlwifi", "-input", "-output", "-TxRx", "mlx", "bnx",
        "i40e", "-rx-", "-tx-", "-Tx-",
    ];
    let any = |words: &[&str]| words.iter().any(|word| names.contains(word));
    match (names.contains("timer"), any(&BLOCK), any(&NETWORK)) {
        (true, _, _) => Interrupt::Timer,
        (_, true, _) => Interrupt::Block,
        (_, _, true) => Interrupt::Network,
        _ => Interrupt::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "           CPU0       CPU1
  2:          0          0  IO-APIC   2-edge      timer
 24:          1          0  IO-APIC   5-edge      ACPI:Ged
 36:          0     258837 PCI-MSIX-0000:00:02.0   1-edge      virtio1-req.0
 38:          0      12913 PCI-MSIX-0000:00:03.0   1-edge      virtio2-input.0
 40:         11          2  PCI-MSI 1572865-edge      enp3s0-TxRx-1
 41:          5          7   PCI-MSI 524289-edge      nvme0q1
 43:          1          0 PCI-MSIX-0000:00:04.0   3-edge      virtio3-event
NMI:          0          0   Non-maskable interrupts
";

    #[test]
    fn devices_are_told_by_their_names() {
        let kinds = [
            (2, Interrupt::Timer),
            (24, Interrupt::Other),
            (36, Interrupt::Block),
            (38, Interrupt::Network),
            (40, Interrupt::Network),
            (41, Interrupt::Block),
            (43, Interrupt::Other),
        ];
        for (irq, kind) in kinds {
            assert_eq!(device(actions(TABLE, irq).unwrap()), kind, "{irq}");
        }
        assert_eq!(actions(TABLE, 3), None);
        assert_eq!(actions(TABLE, 4), None);
    }

    #[test]
    fn softirqs_are_told_by_their_numbers() {
        let kinds = [0, 1, 3, 4, 7, 8].map(|vector| softirq(source::SOFTIRQ + vector));
        let (timer, other) = (Interrupt::Timer, Interrupt::Other);
        assert_eq!(kinds, [other, timer, Interrupt::Network, Interrupt::Block, other, timer]);
        assert_eq!((softirq(source::TIMER), softirq(0)), (timer, other));
    }
}
