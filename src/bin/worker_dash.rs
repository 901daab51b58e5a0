//! Works on Dash Electric's queue.

// glibc's is slow with messages in flight: docs/performance.md.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> std::process::ExitCode {
    milepost::app::worker(&milepost::providers::DASH)
}
