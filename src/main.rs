//! Parse the arguments, run one subcommand, turn its error into an exit code.

fn main() {}
