//! What can go wrong when BTF is looked for, with the file's name.

use std::fmt;
use std::path::Path;

use super::STDIN;

/// A file that cannot be used, and why.
#[derive(Debug)]
pub struct Error {
    text: String,
    source: Option<crate::Error>,
}

impl Error {
    /// `what`, a file or a part of it, cannot be read.
    pub(super) fn reading(what: String, error: crate::Error) -> Self {
        Self {
            text: what,
            source: Some(error),
        }
    }

    /// There is nothing to read in a folder; `packed` tells of packed files in it.
    pub(super) fn empty_folder(path: &Path, packed: Option<&str>) -> Self {
        let path = path.display();
        let text = match packed {
            None => format!("{path}: no file with BTF in this folder"),
            Some(hint) => format!("{path}: no file with BTF in this folder, but {hint}"),
        };
        Self { text, source: None }
    }

    /// Standard input is named more than once.
    pub(super) fn stdin_twice() -> Self {
        let text = format!("`{STDIN}` is named twice, but standard input can be read once only");
        Self { text, source: None }
    }

    /// No file is named, and the running kernel has none.
    pub(super) fn no_kernel(path: &str) -> Self {
        let text = format!(
            "{path}: there is none, as the running kernel was built without `CONFIG_DEBUG_INFO_BTF`; name a file"
        );
        Self { text, source: None }
    }

    /// No base was found; `misfits` are files that do not fit.
    pub(super) fn no_base(what: &str, misfits: &[String]) -> Self {
        let misfits = match misfits {
            [] => String::new(),
            misfits => format!(" (it does not continue {})", misfits.join(", ")),
        };
        let text = format!(
            "{what}: this is split BTF, and what it continues is not found; name it with `--base FILE`{misfits}"
        );
        Self { text, source: None }
    }

    /// The base that was named is not the right one.
    pub(super) fn wrong_base(what: &str, base: &Path, error: crate::Error) -> Self {
        let text = format!(
            "{what}: does not continue {}, which may be that of another build",
            base.display()
        );
        Self {
            text,
            source: Some(error),
        }
    }

    /// What has a distilled base cannot be moved onto the base that was named.
    pub(super) fn not_moved(what: &str, base: &Path, error: crate::Error) -> Self {
        let text = format!("{what}: cannot be moved onto {}", base.display());
        Self {
            text,
            source: Some(error),
        }
    }

    /// BTF was given for that of a kernel and is not.
    #[must_use]
    pub fn no_kernels_btf(what: &str) -> Self {
        let text = format!("{what}: this is a BPF object, not a kernel");
        Self { text, source: None }
    }

    /// The same, where a base is not named with `--base` but with `option`.
    #[must_use]
    pub fn with_base_option(mut self, option: &str) -> Self {
        self.text = self
            .text
            .replace("`--base FILE`", &format!("`{option} FILE`"));
        self
    }

    /// A file holds several blobs where one is needed.
    pub(super) fn many_blobs(path: &Path, count: usize) -> Self {
        let path = path.display();
        let text = format!("{path}: expected one blob of BTF, found {count}");
        Self { text, source: None }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.text.strip_prefix(STDIN) {
            Some(rest) if rest.is_empty() || rest.starts_with(':') => {
                write!(f, "standard input{rest}")
            }
            _ => f.write_str(&self.text),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        let source = self.source.as_ref()?;
        Some(source)
    }
}
