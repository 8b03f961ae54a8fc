//! `snap completions`.

use clap::CommandFactory as _;
use clap_complete::Shell;

use crate::cli::Cli;
use crate::cli::answer::Answer;

/// Print the completions of a shell
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  snap completions bash > /etc/bash_completion.d/snap
  snap completions zsh > /usr/local/share/zsh/site-functions/_snap
  snap completions fish > ~/.config/fish/completions/snap.fish")]
pub(super) struct Args {
    /// The shell to complete for
    shell: Shell,
}

pub(super) fn run(args: &Args) -> Answer {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "snap", &mut script);
    let script = String::from_utf8(script).expect("our help is UTF-8");
    Answer::new("completions", &script, script.clone())
}
