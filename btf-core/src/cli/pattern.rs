//! Patterns for names, as all commands take them.
//!
//! A pattern is a name, in which `*`, `?`, `[a-z]` and `{a,b}` have their usual meaning and which must match as a whole; or,
//! between slashes, a regular expression, which may match anywhere in the name. So a name typed as it is finds what is called
//! that, and nothing else.

use regex::bytes::{Regex, RegexBuilder};

/// What a compiled expression may take, in bytes; a pattern comes from the command line, so this only stops slips.
const SIZE_LIMIT: usize = 1 << 20;

/// A pattern for names.
#[derive(Clone, Debug)]
pub struct Pattern {
    text: String,
    matcher: Matcher,
}

#[derive(Clone, Debug)]
enum Matcher {
    /// Equal, byte by byte.
    Name,
    /// A glob or a regular expression.
    Regex(Regex),
}

/// A pattern that cannot be understood, in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error(String);

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Error {}

impl Pattern {
    /// Reads a pattern.
    ///
    /// # Errors
    /// If it is a glob or a regular expression that cannot be understood.
    ///
    /// ```
    /// use btf_core::cli::pattern::Pattern;
    /// let matches = |pattern, name: &str| Pattern::parse(pattern).unwrap().matches(name.as_bytes());
    /// assert!(matches("file", "file") && !matches("file", "file_lock"));
    /// assert!(matches("tcp_*", "tcp_sock") && !matches("tcp_*", "mptcp_sock"));
    /// assert!(matches("/tcp/", "mptcp_sock"));
    /// ```
    pub fn parse(text: &str) -> Result<Self, Error> {
        if text.is_empty() {
            return Err(Error("empty: nothing is called so".to_owned()));
        }
        let expression = text
            .strip_prefix('/')
            .and_then(|text| text.strip_suffix('/'));
        let matcher = match expression {
            Some(expression) => Matcher::Regex(compile(expression)?),
            None if text.contains(['*', '?', '[', '{', '\\']) => {
                let glob = globset::Glob::new(text).map_err(|error| Error(error.to_string()))?;
                Matcher::Regex(compile(glob.regex())?)
            }
            None => Matcher::Name,
        };
        let text = text.to_owned();
        Ok(Self { text, matcher })
    }

    /// The pattern as it was typed.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The name, if the pattern is one.
    #[must_use]
    pub fn name(&self) -> Option<&[u8]> {
        matches!(self.matcher, Matcher::Name).then_some(self.text.as_bytes())
    }

    /// Whether a name matches.
    #[must_use]
    pub fn matches(&self, name: &[u8]) -> bool {
        match &self.matcher {
            Matcher::Name => self.text.as_bytes() == name,
            Matcher::Regex(regex) => regex.is_match(name),
        }
    }
}

fn compile(expression: &str) -> Result<Regex, Error> {
    RegexBuilder::new(expression)
        .size_limit(SIZE_LIMIT)
        .build()
        .map_err(|error| Error(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(pattern: &str, yes: &[&str], no: &[&str]) {
        let pattern = Pattern::parse(pattern).unwrap();
        for name in yes {
            assert!(pattern.matches(name.as_bytes()), "{name}");
        }
        for name in no {
            assert!(!pattern.matches(name.as_bytes()), "{name}");
        }
    }

    #[test]
    fn nothing_has_no_name() {
        assert!(Pattern::parse("").is_err());
    }

    #[test]
    fn names_globs_and_expressions() {
        check("a.b", &["a.b"], &["axb", "a.bc", ""]);
        check("vfs_?ead*", &["vfs_read", "vfs_readv"], &["xvfs_read"]);
        check("{tcp,udp}_sock", &["tcp_sock", "udp_sock"], &["sock"]);
        check("[a-c]1", &["a1", "c1"], &["d1", "a12"]);
        check("/^tcp_.*(sock|req)$/", &["tcp_sock"], &["tcp_sock_t"]);
        check("/s/", &["s", "as", "sa"], &["", "S"]);
        check("/", &["/"], &[""]);
        check("*", &["", "a", "a/b"], &[]);
    }

    #[test]
    fn a_slip_is_told() {
        assert!(
            Pattern::parse("/(/")
                .unwrap_err()
                .to_string()
                .contains("unclosed")
        );
        assert!(Pattern::parse("[a").is_err());
        assert_eq!(Pattern::parse("name").unwrap().name(), Some(&b"name"[..]));
        assert_eq!(Pattern::parse("n*").unwrap().name(), None);
    }
}
