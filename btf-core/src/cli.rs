//! What the three programs share on the command line: exit status, printer, progress, JSON Lines, output
//! files, man pages and completions; where BTF comes from ([`sources`]), and patterns for names ([`mod@pattern`]).
//!
//! The only module of this library that talks to people, and the only one that uses clap and indicatif; it stands behind
//! the feature `cli`. What one program alone says stays in that program.

mod generate;
mod json;
pub mod output;
pub mod pattern;
mod printer;
mod progress;
pub mod sources;
mod status;
mod text;
mod threads;

use std::process::ExitCode;

use clap::{ArgAction, ValueEnum};

pub use generate::{Generate, ManSection, generate};
pub use json::{JsonArray, JsonObject, json_line, json_name, json_text, push_json_line};
pub use printer::{Environment, Printer, Stream, Style};
pub use progress::ProgressBar;
pub use status::{ExitStatus, ignore_broken_pipe, is_broken_pipe};
pub use text::{
    count, escape_name, escape_text, nearest, peak_memory_bytes, phase_tree, plural, seconds, size,
};
pub use threads::ThreadArgs;

/// When to use colour.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Color {
    /// On a terminal, unless `NO_COLOR` is set or `TERM` is `dumb`.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// Behind the options of a program or command.
const LAST: usize = 900;

/// The options that all programs, and all commands of a program, have.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct CommonArgs {
    /// Print errors and results only: no warnings, no progress and no verdicts
    ///
    /// What a command finds right, wrong or different then shows in its exit status alone; JSON, where it is asked for, is written.
    #[arg(short, long, global = true, display_order = LAST)]
    pub quiet: bool,
    /// Print more; twice for even more
    #[arg(short, long, action = ArgAction::Count, conflicts_with = "quiet", global = true, display_order = LAST)]
    pub verbose: u8,
    /// When to use colour
    #[arg(long, value_name = "WHEN", default_value = "auto", global = true, display_order = LAST)]
    pub color: Color,
    /// Print the man page or a shell's completions
    #[arg(long, value_name = "WHAT", display_order = LAST)]
    pub generate: Option<Generate>,
    /// Write the man pages of the program and its commands into a folder
    #[arg(
        long,
        value_name = "DIR",
        conflicts_with = "generate",
        display_order = LAST
    )]
    pub man_dir: Option<std::path::PathBuf>,
}

/// Whether `clap` shall colour what it prints itself, before any option is understood: the last `--color` decides, and
/// without one the environment.
#[must_use]
pub fn color_of_usage(args: impl IntoIterator<Item = std::ffi::OsString>) -> clap::ColorChoice {
    let mut args = args.into_iter();
    let mut choice = clap::ColorChoice::Auto;
    while let Some(arg) = args.next() {
        let value = match arg.to_str() {
            Some("--") => break,
            Some("--color") => args.next(),
            Some(text) => text.strip_prefix("--color=").map(Into::into),
            None => None,
        };
        match value.as_ref().and_then(|value| value.to_str()) {
            Some("always") => choice = clap::ColorChoice::Always,
            Some("never") => choice = clap::ColorChoice::Never,
            Some("auto") => choice = clap::ColorChoice::Auto,
            _ => {}
        }
    }
    choice
}

/// Ends a program: prints the error, if there is one, as one line and tells the status to exit with.
///
/// A reader of our text that has gone away is no error: `tool | head` ends quietly with 0. A command whose status is an answer
/// does not come here with that ([`ignore_broken_pipe`]), and of output that is of use as a whole only, a program says itself
/// that it was cut off.
#[must_use]
pub fn finish(
    tool: &str,
    printer: &Printer,
    result: Result<ExitStatus, &(dyn std::error::Error + 'static)>,
) -> ExitCode {
    match result {
        Ok(status) => status.into(),
        Err(error) if is_broken_pipe(error) => ExitStatus::Done.into(),
        Err(error) => {
            printer.error(tool, error);
            ExitStatus::Failed.into()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_colour_decides_about_usage_errors() {
        let color = |line: &str| color_of_usage(line.split(' ').map(Into::into));
        assert_eq!(color("tool --bogus"), clap::ColorChoice::Auto);
        assert_eq!(
            color("tool --color never --bogus"),
            clap::ColorChoice::Never
        );
        assert_eq!(
            color("tool --color=always --bogus"),
            clap::ColorChoice::Always
        );
        assert_eq!(
            color("tool --color always --color auto"),
            clap::ColorChoice::Auto
        );
        assert_eq!(color("tool -- --color always"), clap::ColorChoice::Auto);
        assert_eq!(color("tool --color"), clap::ColorChoice::Auto);
    }
}
