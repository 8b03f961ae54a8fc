//! The process around the command line: file modes, runtime, exit code.

use std::env;
use std::process::ExitCode;
use std::time::Duration;

use rustix::fs::Mode;
use rustix::process::umask;
use studio_snap::base::fault;
use studio_snap::cli;
use tokio::runtime::Runtime;

/// How long work on blocking threads may take to notice that its verb is gone.
const FAREWELL: Duration = Duration::from_secs(2);

fn main() -> ExitCode {
    // Snapshots hold passwords and keys: no file that this process makes is for anybody else.
    umask(Mode::RWXG | Mode::RWXO);
    fault::arm();
    let runtime = match Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => return ExitCode::from(cli::cannot_begin(error)),
    };
    let exit_code = runtime.block_on(cli::run(env::args_os()));
    runtime.shutdown_timeout(FAREWELL);
    ExitCode::from(exit_code)
}
