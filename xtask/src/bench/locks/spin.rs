//! Probe sites of a C library's spin counts: the places that our tool finds, with symbols for the tools that need some.

use std::{fs, path::Path};

use anyhow::{Context as _, Result, bail};

use crate::process::{capture, command, run};

/// The function that spins.
const FUNCTION: &str = "pthread_mutex_lock";
/// Words of the plan for the end of a spin, before the register.
const END: &str = "end of the spin, its count in r";
/// Number of places in it that matter to a spin or a wait.
const PLACES: usize = 5;

/// The places in [`FUNCTION`] that matter to a spin, by where they are in the file; its end is the first.
#[derive(Debug, PartialEq, Eq)]
pub struct Spin {
    places: Vec<u64>,
    /// Holds the count at the end.
    register: String,
}

impl Spin {
    /// Reads what `probes --plan` says of a process.
    pub fn read(plan: &str) -> Result<Self> {
        let (mut places, mut register) = (Vec::new(), None);
        for line in plan.lines() {
            let words: Vec<&str> = line.split_whitespace().collect();
            let [_, in_file, _, _, FUNCTION, ..] = words[..] else { continue };
            let at = hex(in_file).context("cannot read the plan")?;
            match line.split_once(END) {
                Some((_, name)) => {
                    register = Some(name.trim().to_owned());
                    places.insert(0, at);
                }
                None => places.push(at),
            }
        }
        match register {
            Some(register) if places.len() == PLACES => Ok(Self { places, register }),
            _ => bail!("cannot find {PLACES} places of a spin in this C library; the plan says:\n{plan}"),
        }
    }

    /// Writes a copy of the library with a symbol for each place: two bytes long, since bpftrace refuses those of none,
    /// and objcopy makes no others.
    pub fn name(&self, library: &Path, copy: &Path) -> Result<()> {
        let sections = capture(command("readelf").arg("-SW").arg(library))?;
        let (address, in_file) = text_of(&sections)
            .context("cannot name places of the C library: it has no .text; use an unchanged one")?;
        fs::create_dir_all(
            copy.parent().context(
                "cannot make a copy of the C library: its path has no directory; give a whole one",
            )?,
        )?;
        let mut objcopy = command("objcopy");
        for (nth, place) in self.places.iter().enumerate() {
            let symbol = format!("{}=.text:{:#x},function,global", name(nth), place - in_file);
            objcopy.args(["--add-symbol", &symbol]);
        }
        run(objcopy.arg(library).arg(copy))?;
        let mut bytes = fs::read(copy)?;
        for place in &self.places {
            let value = (place - in_file + address).to_le_bytes();
            let entry: Vec<u8> = value.into_iter().chain([0; 8]).collect();
            let at = bytes.windows(entry.len()).rposition(|window| window == entry);
            bytes[at.context(
                "cannot name places of the C library: objcopy has made no symbol; update binutils",
            )? + 8] = 2;
        }
        Ok(fs::write(copy, bytes)?)
    }

    /// The distribution of spin counts, by a probe at the end of each spin.
    pub fn script(&self, library: &str) -> String {
        format!("uprobe:{library}:{} {{ @spins = hist(reg(\"{}\") & 0xffffffff); }}", name(0), self.register)
    }

    /// The same, and what came of each wait.
    pub fn script_of_all(&self, library: &str) -> String {
        let other = |nth: usize| format!(" uprobe:{library}:{} {{ @[{nth}] = count(); }}", name(nth));
        self.script(library) + &(1..self.places.len()).map(other).collect::<String>()
    }
}

fn name(nth: usize) -> String {
    format!("pulse_place_{nth}")
}

fn hex(word: &str) -> Option<u64> {
    u64::from_str_radix(word.trim_start_matches("0x"), 16).ok()
}

/// Address of the code in memory and in the file: `[16] .text PROGBITS ADDRESS OFFSET ...`.
fn text_of(sections: &str) -> Option<(u64, u64)> {
    let line = sections.lines().find(|line| line.contains(" .text "))?;
    let mut words = line.split("PROGBITS").nth(1)?.split_whitespace();
    Some((hex(words.next()?)?, hex(words.next()?)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAN: &str = "  address  in file  instruction  cost  function  what\n\
        0x7f01  0x1080  emulated  582ns  pthread_mutex_lock  wait in the kernel, normal mutex\n\
        0x7f02  0x1090  emulated  582ns  pthread_mutex_lock  wait in the kernel, recursive mutex\n\
        0x7f03  0x1246  emulated  582ns  pthread_mutex_lock  end of the spin, its count in rbx\n\
        0x7f04  0x1250  emulated  582ns  pthread_mutex_lock  after the last attempt of a spin\n\
        0x7f05  0x1260  emulated  582ns  pthread_mutex_lock  wait in the kernel after a spin\n\
        0x7f06  0x2246  emulated  582ns  pthread_mutex_timedlock  end of the spin, its count in r12\n";

    #[test]
    fn the_end_of_the_spin_comes_first() {
        let spin = Spin::read(PLAN).unwrap();
        assert_eq!(spin.places, [0x1246, 0x1080, 0x1090, 0x1250, 0x1260]);
        let script = "uprobe:/lib/c:pulse_place_0 { @spins = hist(reg(\"bx\") & 0xffffffff); }";
        assert_eq!(spin.script("/lib/c"), script);
        assert_eq!(spin.script_of_all("/lib/c").matches("uprobe:/lib/c:pulse_place_").count(), PLACES);
        assert!(Spin::read(&PLAN.replace("0x1260", "")).is_err());
    }

    #[test]
    fn code_is_found_in_memory_and_in_the_file() {
        let line = "  [16] .text             PROGBITS        0000000000027380 026380 155b3d 00  AX  0   0 64";
        assert_eq!(text_of(line), Some((0x27380, 0x26380)));
    }
}
