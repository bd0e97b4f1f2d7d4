//! Man pages and completions from the same definition that parses the command line, without a build script.

use std::error::Error as _;
use std::io::{Result, Write};
use std::path::Path;

use clap::{Command, ValueEnum};
use clap_complete::Shell;

use super::CommonArgs;

/// What `--generate` prints.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Generate {
    /// The man page.
    Man,
    /// Completions for bash.
    Bash,
    /// Completions for zsh.
    Zsh,
    /// Completions for fish.
    Fish,
    /// Completions for `PowerShell`.
    #[value(name = "powershell")]
    PowerShell,
}

/// A section of the man page that the options do not tell.
#[derive(Clone, Copy, Debug)]
pub struct ManSection {
    /// Its heading, in capitals.
    pub title: &'static str,
    /// Its text: paragraphs, with an empty line between two; a line that starts with spaces is kept as it is.
    pub text: &'static str,
}

impl ManSection {
    /// The environment variables that every program heeds.
    pub const ENVIRONMENT: Self = Self {
        title: "ENVIRONMENT",
        text: "NO_COLOR, if not empty, and TERM=dumb turn colours and progress bars off.",
    };
}

impl CommonArgs {
    /// Prints what `--generate` asks for about the program that `command` defines, or writes what `--man-dir` does; whether
    /// one was given.
    ///
    /// # Errors
    /// Standard output, or a file, that cannot be written to.
    pub fn print_generated(&self, command: Command, sections: &[ManSection]) -> Result<bool> {
        if let Some(folder) = &self.man_dir {
            write_man_pages(command, sections, folder)?;
            return Ok(true);
        }
        let Some(what) = self.generate else {
            return Ok(false);
        };
        let written = generate(command, what, sections, &mut std::io::stdout().lock());
        written.map_err(|error| {
            let text = format!("cannot write to standard output: {error}");
            std::io::Error::new(error.kind(), text)
        })?;
        Ok(true)
    }
}

/// Writes what `--generate` asks for.
///
/// # Errors
/// Those of `out`.
pub fn generate(
    mut command: Command,
    what: Generate,
    sections: &[ManSection],
    out: &mut dyn Write,
) -> Result<()> {
    let shell = match what {
        Generate::Man => {
            let source = source(&command);
            return man(command, &source, sections, out);
        }
        Generate::Bash => Shell::Bash,
        Generate::Zsh => Shell::Zsh,
        Generate::Fish => Shell::Fish,
        Generate::PowerShell => Shell::PowerShell,
    };
    let name = command.get_name().to_owned();
    // The generator panics where a write fails, so it must not meet a closed pipe.
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut command, &*name, &mut text);
    if shell == Shell::Bash {
        text = with_labels_of_commands(&name, &String::from_utf8_lossy(&text)).into_bytes();
    }
    out.write_all(&text)
}

/// The completions for bash of a program with `-` in its name, in which the commands are found.
///
/// `clap_complete` 4.6 writes a command down as `a__b__subcmd__x` when it has read it, and looks for `a__subcmd__b__subcmd__x`.
fn with_labels_of_commands(name: &str, script: &str) -> String {
    let wrong = name.replace('-', "__subcmd__") + "__subcmd__";
    let right = name.replace('-', "__") + "__subcmd__";
    let lines = script.split_inclusive('\n').map(|line| {
        let label = line.trim_start();
        match label.strip_prefix(&wrong) {
            Some(rest) if rest.trim_end().ends_with(')') => {
                let indent = line.len() - label.len();
                format!("{:indent$}{right}{rest}", "")
            }
            _ => line.to_owned(),
        }
    });
    lines.collect()
}

/// Writes the man pages of a program and of its commands into a folder, as `tool.1` and `tool-command.1`.
fn write_man_pages(mut command: Command, sections: &[ManSection], folder: &Path) -> Result<()> {
    command.build();
    let source = source(&command);
    let write = |command: &Command, sections: &[ManSection]| {
        let mut page = Vec::new();
        man(command.clone(), &source, sections, &mut page)?;
        let name = command.get_display_name().unwrap_or(command.get_name());
        let path = folder.join(format!("{name}.1"));
        let written = super::output::write(&path, &page);
        written.map_err(|error| {
            let cause = error.source().map(|cause| format!(": {cause}"));
            let text = format!("{}: {error}{}", path.display(), cause.unwrap_or_default());
            std::io::Error::other(text)
        })
    };
    write(&command, sections)?;
    for subcommand in command.get_subcommands() {
        // What else is said of the program as a whole is not said again of each command.
        let is_of_command = |section: &&ManSection| {
            matches!(section.title, "EXIT STATUS" | "ENVIRONMENT")
                || section.title.eq_ignore_ascii_case(subcommand.get_name())
        };
        let own: Vec<_> = sections.iter().filter(is_of_command).copied().collect();
        write(subcommand, &own)?;
    }
    Ok(())
}

/// What the page of a program, or of a command of it, says that it is from.
fn source(program: &Command) -> String {
    let version = program.get_version().unwrap_or_default();
    format!("{} {version}", program.get_name())
}

fn man(command: Command, source: &str, sections: &[ManSection], out: &mut dyn Write) -> Result<()> {
    // What stands behind the help on a terminal has a section of its own here.
    let help = command.get_after_long_help().or(command.get_after_help());
    let help = help.map(ToString::to_string).unwrap_or_default();
    let examples = help.strip_prefix("Examples:\n").unwrap_or_default();
    let (has_commands, has_version) = (command.has_subcommands(), command.get_version().is_some());
    let command = command.after_help(None).after_long_help(None);
    let man = clap_mangen::Man::new(command.subcommand_help_heading("COMMANDS")).source(source);
    man.render_title(out)?;
    man.render_name_section(out)?;
    man.render_synopsis_section(out)?;
    man.render_description_section(out)?;
    man.render_options_section(out)?;
    if has_commands {
        man.render_subcommands_section(out)?;
    }
    let has_own = sections.iter().any(|section| section.title == "EXAMPLES");
    let examples = (!has_own && !examples.is_empty()).then_some(("EXAMPLES", examples));
    let sections = sections.iter().map(|section| (section.title, section.text));
    for (title, text) in sections.chain(examples) {
        writeln!(out, ".SH {title}")?;
        write_roff(text, out)?;
    }
    if has_version {
        man.render_version_section(out)?;
    }
    Ok(())
}

/// Writes paragraphs as roff.
fn write_roff(text: &str, out: &mut dyn Write) -> Result<()> {
    let mut is_literal = false;
    for line in text.trim_matches('\n').lines() {
        let is_indented = line.starts_with(' ');
        if is_indented != is_literal && !line.is_empty() {
            writeln!(out, "{}", if is_indented { ".nf" } else { ".fi" })?;
            is_literal = is_indented;
        }
        let line = line.replace('\\', "\\e").replace('-', "\\-");
        match line.as_str() {
            "" => writeln!(out, ".PP")?,
            line if line.starts_with(['.', '\'']) => writeln!(out, "\\&{line}")?,
            line => writeln!(out, "{line}")?,
        }
    }
    if is_literal {
        writeln!(out, ".fi")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Arg;

    fn generated(what: Generate) -> String {
        let command = Command::new("tool")
            .version("1.2")
            .after_help("Examples:\n  tool -x\n")
            .arg(Arg::new("file").long("file"));
        let sections = [ManSection {
            title: "EXIT STATUS",
            text: "One.\n\n  0 done\n.x -y",
        }];
        let mut out = Vec::new();
        generate(command, what, &sections, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn the_man_page_has_the_options_and_our_sections() {
        let man = generated(Generate::Man);
        assert!(man.contains("\\fB\\-\\-file\\fR"), "{man}");
        assert!(!man.contains("Examples"), "{man}");
        assert!(man.contains(".SH EXAMPLES\n.nf\n  tool \\-x\n"), "{man}");
        let section = ".SH EXIT STATUS\nOne.\n.PP\n.nf\n  0 done\n.fi\n\\&.x \\-y\n";
        assert!(man.contains(section), "{man}");
    }

    #[test]
    fn every_shell_gets_its_completions() {
        for shell in [
            Generate::Bash,
            Generate::Zsh,
            Generate::Fish,
            Generate::PowerShell,
        ] {
            assert!(generated(shell).contains("file"), "{shell:?}");
        }
    }
}
