//! Works on HubRise's queue.

fn main() -> std::process::ExitCode {
    milepost::app::worker(&milepost::providers::HUBRISE)
}
