//! Man page and completions from the same definition that parses the command line, without a build script.

use std::io::{Result, Write};

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
    /// Prints what `--generate` asks for about the program that `command` defines; whether it was given.
    ///
    /// # Errors
    /// Standard output that cannot be written to.
    pub fn print_generated(&self, command: Command, sections: &[ManSection]) -> Result<bool> {
        let Some(what) = self.generate else {
            return Ok(false);
        };
        generate(command, what, sections, &mut std::io::stdout().lock())?;
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
        Generate::Man => return man(command, sections, out),
        Generate::Bash => Shell::Bash,
        Generate::Zsh => Shell::Zsh,
        Generate::Fish => Shell::Fish,
        Generate::PowerShell => Shell::PowerShell,
    };
    let name = command.get_name().to_owned();
    // The generator panics where a write fails, so it must not meet a closed pipe.
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut command, name, &mut text);
    out.write_all(&text)
}

fn man(command: Command, sections: &[ManSection], out: &mut dyn Write) -> Result<()> {
    // What stands behind the help on a terminal has a section of its own here.
    let command = command.after_help(None).after_long_help(None);
    let man = clap_mangen::Man::new(command);
    man.render_title(out)?;
    man.render_name_section(out)?;
    man.render_synopsis_section(out)?;
    man.render_description_section(out)?;
    man.render_options_section(out)?;
    for section in sections {
        writeln!(out, ".SH {}", section.title)?;
        write_roff(section.text, out)?;
    }
    man.render_version_section(out)
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
            .after_help("Examples")
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
