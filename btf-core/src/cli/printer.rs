//! Talks to people: decides about colour and progress once, and prints to standard error.
//!
//! Standard output belongs to data and answers; what a program says besides goes to standard error through a [`Printer`].

use std::io::{IsTerminal, Write};

use super::progress::ProgressBar;
use super::text::escape_text;
use super::{Color, CommonArgs, ignore_broken_pipe};

/// What the process runs in, as far as printing depends on it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Environment {
    /// Whether standard output is a terminal.
    pub stdout_is_terminal: bool,
    /// Whether standard error is a terminal.
    pub stderr_is_terminal: bool,
    /// Whether colours are unwanted: `NO_COLOR` is set and not empty, or `TERM` is `dumb`.
    pub is_plain: bool,
}

impl Environment {
    /// What this process runs in.
    #[must_use]
    pub fn of_process() -> Self {
        let is_set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        Self {
            stdout_is_terminal: std::io::stdout().is_terminal(),
            stderr_is_terminal: std::io::stderr().is_terminal(),
            is_plain: is_set("NO_COLOR") || std::env::var_os("TERM").is_some_and(|t| t == "dumb"),
        }
    }
}

/// One of the standard streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    /// Standard output.
    Out,
    /// Standard error.
    Err,
}

/// What a piece of text is, which decides its colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// The word `error`.
    Error,
    /// The word `warning`.
    Warning,
    /// A heading.
    Heading,
    /// A name of the input.
    Name,
    /// A number.
    Number,
    /// What matters less.
    Faint,
    /// What a difference takes away.
    Removed,
    /// What it adds.
    Added,
}

impl Style {
    /// The sequence that turns every style off.
    pub const END: &'static str = "\x1b[0m";

    /// The sequence that turns the style on, by ECMA-48 "SGR".
    #[must_use]
    pub const fn sequence(self) -> &'static str {
        match self {
            Self::Error => "\x1b[1;31m",
            Self::Warning => "\x1b[1;33m",
            Self::Heading => "\x1b[1m",
            Self::Name => "\x1b[36m",
            Self::Number | Self::Added => "\x1b[32m",
            Self::Faint => "\x1b[2m",
            Self::Removed => "\x1b[31m",
        }
    }
}

/// Prints what a program has to say.
#[expect(
    clippy::struct_excessive_bools,
    reason = "each answers a question of its own"
)]
#[derive(Clone, Debug, Default)]
pub struct Printer {
    /// None if nothing but errors is printed.
    verbosity: Option<u8>,
    /// Whether standard output is for JSON, which is printed even then.
    is_json: bool,
    colors_out: bool,
    colors_err: bool,
    shows_progress: bool,
    environment: Environment,
}

impl Printer {
    /// Decides from the options and the environment. `is_json` says that the output is for a program, so that nobody waits
    /// in front of it, and that it was asked for in so many words.
    #[must_use]
    pub fn new(args: &CommonArgs, environment: Environment, is_json: bool) -> Self {
        let colors = |is_terminal: bool| match args.color {
            Color::Always => true,
            Color::Never => false,
            Color::Auto => is_terminal && !environment.is_plain,
        };
        Self {
            verbosity: (!args.quiet).then_some(args.verbose),
            is_json,
            colors_out: colors(environment.stdout_is_terminal),
            colors_err: colors(environment.stderr_is_terminal),
            shows_progress: environment.stderr_is_terminal
                && !environment.is_plain
                && !args.quiet
                && args.verbose == 0
                && !is_json,
            environment,
        }
    }

    /// Whether standard output is a terminal, where names of the input must be escaped.
    #[must_use]
    pub fn stdout_is_terminal(&self) -> bool {
        self.environment.stdout_is_terminal
    }

    /// Whether a stream has colours.
    #[must_use]
    pub fn has_colors(&self, stream: Stream) -> bool {
        match stream {
            Stream::Out => self.colors_out,
            Stream::Err => self.colors_err,
        }
    }

    /// Whether only errors are printed.
    #[must_use]
    pub fn is_quiet(&self) -> bool {
        self.verbosity.is_none()
    }

    /// How often `-v` was given.
    #[must_use]
    pub fn verbosity(&self) -> u8 {
        self.verbosity.unwrap_or(0)
    }

    /// The text in its style, if the stream has colours.
    #[must_use]
    pub fn paint(&self, stream: Stream, style: Style, text: &str) -> String {
        if self.has_colors(stream) {
            format!("{}{text}{}", style.sequence(), Style::END)
        } else {
            text.to_owned()
        }
    }

    /// A bar for the work `what`; it draws nothing unless the work takes a while and a person is waiting.
    #[must_use]
    pub fn progress(&self, what: &'static str) -> ProgressBar {
        ProgressBar::new(what, self.shows_progress)
    }

    /// Whether answers are printed to standard output. The exit status tells them as well, so with `-q` they are not, unless they
    /// are JSON.
    #[must_use]
    pub fn prints_answers(&self) -> bool {
        self.is_json || !self.is_quiet()
    }

    /// Prints a part of an answer to standard output, if [answers are printed](Self::prints_answers). A reader that has gone away
    /// is no error.
    ///
    /// # Errors
    /// If standard output cannot be written to.
    pub fn answer(&self, text: &str) -> std::io::Result<()> {
        if !self.prints_answers() {
            return Ok(());
        }
        let mut stdout = std::io::stdout().lock();
        let written = stdout.write_all(text.as_bytes());
        ignore_broken_pipe(written.and_then(|()| stdout.flush()))
    }

    /// Prints a line to standard error, unless `-q`.
    pub fn say(&self, line: &str) {
        if !self.is_quiet() && !line.is_empty() {
            to_stderr(line);
        }
    }

    /// Prints a line to standard error, even with `-q`: something that was asked for.
    pub fn always(&self, line: &str) {
        to_stderr(line);
    }

    /// Prints an error with its causes as one line: `tool: error: what: why`.
    pub fn error(&self, tool: &str, error: &(dyn std::error::Error + 'static)) {
        to_stderr(&self.error_line(tool, error));
    }

    /// Prints what is wrong as one line, in the manner of [`Self::error`].
    pub fn failure(&self, tool: &str, text: &str) {
        let word = self.paint(Stream::Err, Style::Error, "error");
        to_stderr(&format!("{tool}: {word}: {}", escape_text(text)));
    }

    /// Prints a warning as one line, unless `-q`.
    pub fn warning(&self, tool: &str, text: &str) {
        let word = self.paint(Stream::Err, Style::Warning, "warning");
        self.say(&format!("{tool}: {word}: {}", escape_text(text)));
    }

    fn error_line(&self, tool: &str, error: &(dyn std::error::Error + 'static)) -> String {
        let word = self.paint(Stream::Err, Style::Error, "error");
        let mut line = format!("{tool}: {word}");
        let causes = std::iter::successors(Some(error), |error| error.source());
        for cause in causes {
            line.push_str(": ");
            line.push_str(&escape_text(&cause.to_string()));
        }
        line
    }
}

/// Prints a line; a standard error that cannot be written to leaves nobody to tell.
fn to_stderr(line: &str) {
    let mut stderr = std::io::stderr().lock();
    let _ = writeln!(stderr, "{line}");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Error, ErrorKind};

    const TERMINAL: Environment = Environment {
        stdout_is_terminal: true,
        stderr_is_terminal: true,
        is_plain: false,
    };

    #[track_caller]
    fn check(args: &CommonArgs, environment: Environment, colors: (bool, bool), progress: bool) {
        let printer = Printer::new(args, environment, false);
        assert_eq!((printer.colors_out, printer.colors_err), colors);
        assert_eq!(printer.shows_progress, progress);
        assert!(!Printer::new(args, environment, true).shows_progress);
    }

    #[test]
    fn colour_and_progress_need_a_terminal_and_leave() {
        let args = CommonArgs::default();
        check(&args, TERMINAL, (true, true), true);
        check(&args, Environment::default(), (false, false), false);
        let is_plain = true;
        check(
            &args,
            Environment {
                is_plain,
                ..TERMINAL
            },
            (false, false),
            false,
        );
        let stdout_is_terminal = false;
        let piped = Environment {
            stdout_is_terminal,
            ..TERMINAL
        };
        check(&args, piped, (false, true), true);
    }

    #[test]
    fn options_win_over_the_environment() {
        let color = |color| CommonArgs {
            color,
            ..CommonArgs::default()
        };
        check(&color(Color::Never), TERMINAL, (false, false), true);
        check(
            &color(Color::Always),
            Environment::default(),
            (true, true),
            false,
        );
        let quiet = CommonArgs {
            quiet: true,
            ..CommonArgs::default()
        };
        check(&quiet, TERMINAL, (true, true), false);
        let verbose = CommonArgs {
            verbose: 1,
            ..CommonArgs::default()
        };
        check(&verbose, TERMINAL, (true, true), false);
    }

    #[test]
    fn an_error_is_one_line_with_its_causes() {
        let io = std::io::Error::other("no\nspace");
        let error = Error::new(ErrorKind::Io("write the output")).caused_by(io);
        let plain = Printer::new(&CommonArgs::default(), Environment::default(), false);
        assert_eq!(
            plain.error_line("tool", &error),
            "tool: error: cannot write the output: no\\u{a}space"
        );
        let colored = Printer::new(&CommonArgs::default(), TERMINAL, false);
        let line = colored.error_line("tool", &Error::new(ErrorKind::Cycle));
        assert!(line.starts_with("tool: \x1b[1;31merror\x1b[0m: types"));
    }
}
