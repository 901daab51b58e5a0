//! Works on 247Express's queue.

fn main() -> std::process::ExitCode {
    milepost::app::worker(&milepost::providers::EXPRESS_247)
}
