//! What Linux says of a process.

use milepost::telemetry::usage::{cpu_seconds, limit_bytes, max_files, resident_bytes};

#[test]
fn linux_is_understood() {
    let stat = "4242 (a) (b 1) S 1 4242 4242 0 -1 4194560 900 0 0 0 150 51 0 0 20 0 5 0 12345 1000 200";
    assert_eq!(cpu_seconds(stat), Some(2.01));
    assert_eq!(resident_bytes("Name:\tmilepost\nVmRSS:\t   56320 kB\nRssAnon: 1 kB\n"), Some(57_671_680.0));
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
