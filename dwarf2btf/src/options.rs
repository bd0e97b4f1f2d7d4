//! What the encoder is asked to do, after the command line was understood.

use btf_core::ByteOrder;

use crate::features::FeatureSet;
use crate::languages::LanguageFilter;

/// What the encoder is asked to do.
#[derive(Clone, Debug)]
pub struct Options {
    /// What to write.
    pub features: FeatureSet,
    /// Which units to read.
    pub languages: LanguageFilter,
    /// Names that begin with this are cut down to it, so that what distributions rename to keep a kernel's interface stable
    /// stays one type; empty cuts none.
    pub kabi_prefix: Vec<u8>,
    /// The byte order of the output; that of the input if none.
    pub order: Option<ByteOrder>,
    /// Functions to explain, by name.
    pub explain: Vec<String>,
    /// Whether to report every function and variable that is left out.
    pub report: bool,
    /// Whether to read the output again and check it.
    pub verify: bool,
}

impl Default for Options {
    /// The default features, every language, no reports.
    fn default() -> Self {
        Self {
            features: FeatureSet::default(),
            languages: LanguageFilter::default(),
            kabi_prefix: Vec::new(),
            order: None,
            explain: Vec::new(),
            report: false,
            verify: cfg!(debug_assertions),
        }
    }
}

impl Options {
    /// Whether a function, or one of its symbols, of this name is to be reported even if it is kept.
    #[must_use]
    pub fn explains(&self, name: &[u8]) -> bool {
        self.explain.iter().any(|asked| asked.as_bytes() == name)
    }
}
