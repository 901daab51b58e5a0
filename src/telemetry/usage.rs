//! What the process uses of its machine, as Linux tells it, and what it may use. Elsewhere these stay at 0.

use std::fs;

use metrics::gauge;

use super::metrics as table;

/// The kernel's ticks a second in `/proc/self/stat`: 100 on every architecture that Linux still has.
const TICKS: f64 = 100.0;

/// Shows all of it as it is now.
pub fn show() {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    set(table::PROCESS_CPU, cpu_seconds(&read("/proc/self/stat")));
    set(table::PROCESS_MEMORY, resident_bytes(&read("/proc/self/status")));
    set(table::PROCESS_MEMORY_LIMIT, limit_bytes(&read("/sys/fs/cgroup/memory.max")));
    set(table::PROCESS_OPEN_FILES, fs::read_dir("/proc/self/fd").ok().map(|open| count(open.count())));
    set(table::PROCESS_OPEN_FILES_LIMIT, max_files(&read("/proc/self/limits")));
}

fn set(name: &'static str, value: Option<f64>) {
    if let Some(value) = value {
        gauge!(name).set(value);
    }
}

#[allow(clippy::cast_precision_loss)] // No process has 2^53 files.
fn count(files: usize) -> f64 {
    files as f64
}

/// CPU time in user and kernel mode, of `/proc/self/stat`. The program's name comes before the fields, in parentheses, and may hold anything.
#[must_use]
pub fn cpu_seconds(stat: &str) -> Option<f64> {
    let (_, fields) = stat.rsplit_once(')')?;
    let ticks = |field: Option<&str>| field?.parse::<f64>().ok();
    let mut fields = fields.split_whitespace().skip(11);
    Some((ticks(fields.next())? + ticks(fields.next())?) / TICKS)
}

/// Memory that is really there, of `/proc/self/status`.
fn resident_bytes(status: &str) -> Option<f64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    Some(line.trim().strip_suffix(" kB")?.parse::<f64>().ok()? * 1024.0)
}

/// A control group's limit of memory; `max` is none.
fn limit_bytes(memory_max: &str) -> Option<f64> {
    memory_max.trim().parse().ok()
}

/// How many files may be open, of `/proc/self/limits`.
fn max_files(limits: &str) -> Option<f64> {
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::{cpu_seconds, limit_bytes, max_files, resident_bytes};

    #[test]
    fn linux_is_understood() {
        let stat = "4242 (a) (b 1) S 1 4242 4242 0 -1 4194560 900 0 0 0 150 51 0 0 20 0 5 0 12345 1000 200";
        assert_eq!(cpu_seconds(stat), Some(2.01));
        assert_eq!(
            resident_bytes("Name:\tmilepost\nVmRSS:\t   56320 kB\nRssAnon: 1 kB\n"),
            Some(57_671_680.0)
        );
        assert_eq!(limit_bytes("201326592\n"), Some(201_326_592.0));
        assert_eq!(limit_bytes("max\n"), None);
        let limits = "Limit                     Soft Limit           Hard Limit           Units     \n\
                      Max open files            1024                 524288               files     \n";
        assert_eq!(max_files(limits), Some(1024.0));
    }

    #[test]
    fn what_is_missing_is_not_shown() {
        for text in ["", "4242 (milepost", "4242 (milepost) S 1", "VmRSS: much", "Max open files unlimited"] {
            assert_eq!((cpu_seconds(text), resident_bytes(text), limit_bytes(text)), (None, None, None));
            assert_eq!(max_files(text), None);
        }
    }
}
