//! What a command line of pahole asks for, in this program's terms.
//!
//! Options act in the order in which they stand, as in pahole. Without a list of features those of pahole's old days hold
//! (variables, tags, ENUM64), which the single options change; the first list starts from nothing, and what follows adds.
//!
//! What differs from pahole 1.32 on purpose:
//! - What it accepts and then cannot do, or does wrongly, is refused: several files (it puts the types of all into the
//!   first), a number of threads that is no number, viewing, `-X`.
//! - `--lang` and `--lang_exclude` are two lists that both hold; it has one, and once `--lang_exclude` was there, `--lang`
//!   excludes, too. Of several lists of the same sort the last one holds, as there.
//! - An empty `PAHOLE_LANG_EXCLUDE` is as none.
//! - `--btf_encode_detached` heeds `distilled_base`, which it forgets.

use std::ffi::{OsStr, OsString};
use std::num::NonZeroUsize;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;

use anyhow::{Context, Result, anyhow, bail};
use btf_core::cli::CommonArgs;
use dwarf2btf::features::{FEATURES, Feature, FeatureSet, UnknownFeature};
use dwarf2btf::languages::LanguageFilter;
use dwarf2btf::options::Options;

use super::parse::{Item, Items};
use super::table::{Meaning, Row, TABLE, help, usage};

/// The release of pahole that this stands for. A kernel's configuration glues the two numbers together and compares: it must
/// see no other text (`scripts/pahole-version.sh`).
pub(super) const VERSION: (u32, u32) = (1, 32);

/// What is on if there is no list of features: what pahole wrote before it had lists.
const BEFORE_LISTS: FeatureSet = FeatureSet::NONE
    .with(Feature::Var)
    .with(Feature::DeclTag)
    .with(Feature::TypeTag)
    .with(Feature::Enum64);

/// What is asked for.
#[derive(Debug)]
pub(super) enum Request {
    /// This text, on standard output.
    Print(String),
    /// The BTF of a file.
    Encode(Box<Job>),
}

/// A file whose BTF is asked for.
#[derive(Debug)]
pub(super) struct Job {
    /// The ELF file with DWARF.
    pub(super) input: PathBuf,
    /// Where the BTF goes; into the file itself if none.
    pub(super) detached: Option<PathBuf>,
    /// The base, an ELF file or BTF.
    pub(super) base: Option<PathBuf>,
    /// How.
    pub(super) options: Options,
    /// With how many threads.
    pub(super) threads: NonZeroUsize,
    /// Names in lists that are no feature.
    pub(super) unknown_features: Vec<UnknownFeature>,
    /// How much to say.
    pub(super) common: CommonArgs,
}

/// What a command line means depends on it.
#[derive(Clone, Debug)]
pub(super) struct Surroundings {
    /// How many processors there are.
    pub(super) cores: NonZeroUsize,
    /// `PAHOLE_LANG_EXCLUDE`.
    pub(super) lang_exclude: Option<OsString>,
}

/// The features so far.
#[derive(Debug)]
struct Features {
    set: FeatureSet,
    /// Whether there was a list.
    has_list: bool,
    /// Names in lists that are no feature.
    unknown: Vec<UnknownFeature>,
}

impl Features {
    /// Adds those of a list; the first list starts from nothing.
    fn add(&mut self, list: FeatureSet) {
        let before = if self.has_list {
            self.set
        } else {
            FeatureSet::NONE
        };
        self.set = FeatureSet::union(&[before, list]);
        self.has_list = true;
    }

    /// Adds those of a list that are known, as a kernel may ask for what came later.
    fn add_known(&mut self, list: &str) {
        let (set, unknown) = FeatureSet::parse_known(list);
        self.add(set);
        self.unknown.extend(unknown);
    }
}

/// What the options said so far.
#[derive(Debug)]
struct Settings {
    cores: NonZeroUsize,
    encode: bool,
    detached: Option<PathBuf>,
    base: Option<PathBuf>,
    threads: NonZeroUsize,
    features: Features,
    languages: Option<String>,
    excluded_languages: Option<String>,
    kabi_prefix: Vec<u8>,
    common: CommonArgs,
    prints_number: bool,
    /// The first option that only shows types, and its value.
    view: Option<(&'static Row, Option<OsString>)>,
    files: Vec<PathBuf>,
}

/// Decides what the words, without the name of the program, ask for.
///
/// # Errors
/// A word that is no option or not as it must be; something that is not done here, with the command that does it.
pub(super) fn request(
    words: impl Iterator<Item = OsString>,
    surroundings: &Surroundings,
) -> Result<Request> {
    let mut settings = Settings::new(surroundings.cores);
    for item in Items::new(words, TABLE) {
        match item? {
            Item::File(name) => settings.files.push(name.into()),
            Item::Option(row, value) => {
                if let Some(text) = settings.apply(row, value)? {
                    return Ok(Request::Print(text));
                }
            }
        }
    }
    // From here on the order does not matter.

    if settings.prints_number {
        let (major, minor) = VERSION;
        return Ok(Request::Print(format!("{major}{minor}\n")));
    }
    Ok(Request::Encode(Box::new(
        settings.job(surroundings.lang_exclude.as_deref())?,
    )))
}

impl Settings {
    fn new(cores: NonZeroUsize) -> Self {
        Self {
            cores,
            encode: false,
            detached: None,
            base: None,
            threads: NonZeroUsize::MIN,
            features: Features {
                set: BEFORE_LISTS,
                has_list: false,
                unknown: Vec::new(),
            },
            languages: None,
            excluded_languages: None,
            kabi_prefix: Vec::new(),
            common: CommonArgs::default(),
            prints_number: false,
            view: None,
            files: Vec::new(),
        }
    }

    /// Does what an option says. Text is to be printed, and nothing else to be done.
    fn apply(&mut self, row: &'static Row, value: Option<OsString>) -> Result<Option<String>> {
        let (major, minor) = VERSION;
        let text = || text(row, value.as_deref());
        match row.meaning {
            Meaning::Help => return Ok(Some(help())),
            Meaning::Usage => return Ok(Some(usage())),
            Meaning::Version => return Ok(Some(format!("v{major}.{minor}\n"))),
            Meaning::DevelVersion => {
                let ours = concat!("dwarf2btf-", env!("CARGO_PKG_VERSION"));
                return Ok(Some(format!("v{major}.{minor}-{ours}\n")));
            }
            Meaning::SupportedFeatures => {
                let names: Vec<_> = FEATURES.iter().map(|row| row.name).collect();
                return Ok(Some(names.join(",") + "\n"));
            }
            Meaning::NumericVersion => self.prints_number = true,
            Meaning::Encode => self.encode = true,
            Meaning::Detached => self.detached = value.map(PathBuf::from),
            Meaning::Base => self.base = value.map(PathBuf::from),
            Meaning::Jobs => self.threads = self.jobs(row, value.as_deref())?,
            Meaning::Features => self.features.add_known(&text()?),
            Meaning::StrictFeatures => self.features.add(FeatureSet::parse(&text()?)?),
            Meaning::AllFeatures => self.features.add(FeatureSet::parse("all")?),
            Meaning::Enable(feature) => self.features.set = self.features.set.with(feature),
            Meaning::Disable(feature) => self.features.set = self.features.set.without(feature),
            Meaning::Languages => self.languages = Some(languages(row, text()?)?),
            Meaning::ExcludedLanguages => self.excluded_languages = Some(languages(row, text()?)?),
            Meaning::KabiPrefix => self.kabi_prefix = value.unwrap_or_default().into_vec(),
            Meaning::Format => has_dwarf(&text()?)?,
            Meaning::Verbose => self.common.verbose = 1,
            Meaning::Quiet => self.common.quiet = true,
            Meaning::Nothing => {}
            Meaning::View => self.view = self.view.take().or(Some((row, value))),
            Meaning::Refused(why) => bail!("`--{}` is not supported: {why}", row.long),
        }
        Ok(None)
    }

    /// The number of threads. More than there are processors would only cost memory.
    fn jobs(&self, row: &Row, value: Option<&OsStr>) -> Result<NonZeroUsize> {
        let Some(value) = value.filter(|value| !value.is_empty()) else {
            return Ok(self.cores);
        };
        let number = value.to_str().and_then(|text| text.parse().ok());
        let number: usize = number
            .with_context(|| format!("`--{}`: not a number: `{}`", row.long, value.display()))?;
        let number = NonZeroUsize::new(number).unwrap_or(NonZeroUsize::MIN);
        Ok(number.min(self.cores))
    }

    /// What is to be encoded, after the last word.
    fn job(self, lang_exclude: Option<&OsStr>) -> Result<Job> {
        if let Some((row, value)) = &self.view {
            return Err(only_shows(row, value.as_deref(), self.files.first()));
        }
        if !self.encode && self.detached.is_none() {
            let file = self
                .files
                .first()
                .map_or("FILE".into(), |file| file.to_string_lossy());
            bail!(
                "showing types is not done under this name: use `btf-dump layout TYPE {file}`; to write BTF, add `-J`"
            );
        }
        let is_empty = |path: &Option<PathBuf>| {
            path.as_ref()
                .is_some_and(|path| path.as_os_str().is_empty())
        };
        for (option, path) in [
            ("--btf_encode_detached", &self.detached),
            ("--btf_base", &self.base),
        ] {
            if is_empty(path) {
                bail!("`{option}` needs the name of a file, and it is empty");
            }
        }
        let input = match self.files.as_slice() {
            [file] => file.clone(),
            [] => bail!("no input file"),
            [_, second, ..] => bail!(
                "one file at a time: `{}` is one too many; `dwarf2btf modules` takes many",
                second.display()
            ),
        };
        let excluded = match (&self.languages, self.excluded_languages) {
            (None, None) => lang_exclude
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned(),
            (_, excluded) => excluded.unwrap_or_default(),
        };
        let features = match self.base {
            // Nothing to distil.
            None => self.features.set.without(Feature::DistilledBase),
            // Kernels look for it in the base only.
            Some(_) => self.features.set.without(Feature::Layout),
        };
        Ok(Job {
            input,
            detached: self.detached,
            base: self.base,
            options: Options {
                features,
                languages: LanguageFilter::new(self.languages.as_slice(), &[excluded])?.by_code(),
                kabi_prefix: self.kabi_prefix,
                report: self.common.verbose > 0,
                ..Options::default()
            },
            threads: self.threads,
            unknown_features: self.features.unknown,
            common: self.common,
        })
    }
}

/// The value of an option that takes names.
fn text(row: &Row, value: Option<&OsStr>) -> Result<String> {
    let value = value.unwrap_or_default();
    let text = std::str::from_utf8(value.as_bytes()).ok();
    let text =
        text.with_context(|| format!("`--{}`: not UTF-8: `{}`", row.long, value.display()))?;
    Ok(text.to_owned())
}

/// A list of languages: empty, it would mean none or all.
fn languages(row: &Row, list: String) -> Result<String> {
    if list.trim().is_empty() {
        bail!("`--{}`: no language", row.long);
    }
    Ok(list)
}

/// Refuses formats without DWARF.
fn has_dwarf(list: &str) -> Result<()> {
    if list.split(',').any(|format| format == "dwarf") {
        return Ok(());
    }
    bail!("`--format_path`: BTF is made of `dwarf` only, not of `{list}`")
}

/// Says which command shows types.
fn only_shows(row: &Row, value: Option<&OsStr>, file: Option<&PathBuf>) -> anyhow::Error {
    let name = value.filter(|_| row.short == Some('C'));
    let name = name.map_or("TYPE".into(), OsStr::to_string_lossy);
    let file = file.map_or("FILE".into(), |file| file.to_string_lossy());
    anyhow!(
        "`--{}` shows types, which is not done under this name: use `btf-dump layout {name} {file}`",
        row.long
    )
}

#[cfg(test)]
#[path = "request_tests.rs"]
mod tests;
