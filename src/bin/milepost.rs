//! The operator's binary.

fn main() -> std::process::ExitCode {
    milepost::cli::main()
}
