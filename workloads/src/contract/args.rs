//! The flags all families share; each flattens them into its own arguments.

use std::str::FromStr;
use std::time::Duration;

use super::CpuList;

/// Flags that mean the same in every family.
#[derive(clap::Args, Clone, Debug)]
pub struct CommonArgs {
    /// Descriptor on which to write one line, `ready`, once set up
    #[arg(long, value_name = "FD", help_heading = "Tracer")]
    pub ready_fd: Option<i32>,
    /// Descriptor from which to read one byte before starting
    #[arg(long, value_name = "FD", help_heading = "Tracer")]
    pub go_fd: Option<i32>,
    /// Print the truth as one JSON line instead of a table
    #[arg(long)]
    pub json: bool,
    /// CPUs to pin to, one per worker in turn, such as `0,2-3`
    #[arg(long, value_name = "CPUS")]
    pub pin: Option<CpuList>,
    /// Seed of everything random
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,
    /// Work done before measuring: operations (`1000`) or a time (`250ms`, `1s`)
    #[arg(long, value_name = "N|TIME")]
    pub warmup: Option<Warmup>,
    /// Repetitions
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub rounds: u32,
}

/// Amount of warm-up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Warmup {
    /// So many operations.
    Operations(u64),
    /// A time to warm up for.
    Time(Duration),
}

impl FromStr for Warmup {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let (number, unit) = text.split_at(digits);
        let number: u64 = number.parse().map_err(|_| format!("`{text}` does not start with a number"))?;
        match unit {
            "" => Ok(Self::Operations(number)),
            "ms" => Ok(Self::Time(Duration::from_millis(number))),
            "s" => Ok(Self::Time(Duration::from_secs(number))),
            _ => Err(format!("`{unit}` is no unit; use a bare number of operations, `ms` or `s`")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn warmup_is_operations_or_time() {
        assert_eq!("1000".parse(), Ok(Warmup::Operations(1000)));
        assert_eq!("250ms".parse(), Ok(Warmup::Time(Duration::from_millis(250))));
        assert_eq!("2s".parse(), Ok(Warmup::Time(Duration::from_secs(2))));
        for bad in ["", "s", "1h", "-1", "1.5s"] {
            assert!(bad.parse::<Warmup>().is_err(), "{bad}");
        }
    }
}
