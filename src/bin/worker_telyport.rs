//! Works on Telyport's queue.

fn main() -> std::process::ExitCode {
    milepost::app::worker(&milepost::providers::TELYPORT)
}
