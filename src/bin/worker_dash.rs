//! Works on Dash Electric's queue.

fn main() -> std::process::ExitCode {
    milepost::app::worker(&milepost::providers::DASH)
}
