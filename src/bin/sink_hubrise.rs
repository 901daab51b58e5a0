//! Writes updates to HubRise.

fn main() -> std::process::ExitCode {
    milepost::app::sink(milepost::sinks::HUBRISE)
}
