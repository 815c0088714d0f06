//! Parse the arguments, run one subcommand, turn its error into an exit code.

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    let cli = consentry::cli::Cli::parse();
    match consentry::cli::run(&cli) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("{error}");
            error.exit_code()
        }
    }
}
