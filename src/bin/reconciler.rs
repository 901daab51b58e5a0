//! Asks providers for what did not come.

fn main() -> std::process::ExitCode {
    milepost::app::reconciler()
}
