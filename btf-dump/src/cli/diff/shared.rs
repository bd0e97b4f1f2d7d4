//! What has changed in several files in the same way, told once: modules that hold the same structure change with it together.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};

use btf_dump::diff::Change;

/// So many files of several are named.
const NAMED: usize = 8;

/// Changes of many files, each once and with the files that have it.
#[derive(Debug, Default)]
pub(super) struct Shared<'d> {
    told: Vec<Told<'d>>,
    /// The numbers of those that one text says.
    known: HashMap<Vec<u8>, Vec<usize>>,
}

#[derive(Debug)]
struct Told<'d> {
    change: &'d Change,
    text: Vec<u8>,
    /// In ascending order.
    files: Vec<usize>,
}

/// What files have in common that no other file has.
#[derive(Debug)]
pub(super) struct Group {
    /// The numbers of the files, in ascending order.
    pub(super) files: Vec<usize>,
    pub(super) texts: Vec<Vec<u8>>,
}

impl<'d> Shared<'d> {
    /// Adds a change of file number `file`, which `text` tells. Files come in the order of their numbers.
    pub(super) fn add(&mut self, file: usize, change: &'d Change, text: Vec<u8>) {
        let numbers = self.known.entry(text.clone()).or_default();
        // A file may say the same twice, of types without names.
        let is_free = |&&number: &&usize| self.told[number].files.last() != Some(&file);
        if let Some(&number) = numbers.iter().find(is_free) {
            return self.told[number].files.push(file);
        }
        numbers.push(self.told.len());
        let files = vec![file];
        self.told.push(Told {
            change,
            text,
            files,
        });
    }

    /// The changes, each once.
    pub(super) fn changes(&self) -> impl Iterator<Item = &'d Change> {
        self.told.iter().map(|told| told.change)
    }

    /// The changes by the files that have them: first those of one file each, in the order of files, then those that most files have.
    pub(super) fn groups(self) -> Vec<Group> {
        let mut groups: BTreeMap<Vec<usize>, Vec<Vec<u8>>> = BTreeMap::new();
        for told in self.told {
            groups.entry(told.files).or_default().push(told.text);
        }
        let groups = groups.into_iter();
        let mut groups: Vec<_> = groups
            .map(|(files, texts)| Group { files, texts })
            .collect();
        groups.sort_by_key(|group| (group.files.len() > 1, Reverse(group.files.len())));
        groups
    }
}

impl Group {
    /// What stands above its changes.
    pub(super) fn title(&self, name_of: impl Fn(usize) -> String) -> String {
        let names = self.files.iter().take(NAMED);
        let names: Vec<_> = names.map(|&file| name_of(file)).collect();
        let names = names.join(", ");
        match self.files.len() {
            1 => names,
            count @ ..=NAMED => format!("{count} files: {names}"),
            count => format!("{count} files: {names} and {} more", count - NAMED),
        }
    }
}
