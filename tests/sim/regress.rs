//! Seeds that failed once, and what each of them found.

#[test]
fn seeds_that_failed_once() {
    for seed in [] {
        crate::check(seed);
    }
}
