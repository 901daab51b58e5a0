//! Works on Deliverect's queue.

fn main() -> std::process::ExitCode {
    milepost::app::worker(&milepost::providers::DELIVERECT)
}
