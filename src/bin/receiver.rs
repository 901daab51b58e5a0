//! Takes webhooks in.

fn main() -> std::process::ExitCode {
    milepost::app::receiver()
}
