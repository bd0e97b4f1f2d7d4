//! Adds sections to an ELF file, or gives sections that it has other contents.
//!
//! What does not have to move does not: all other sections keep their bytes, offsets and indices, program headers are not
//! touched. New headers are put at the end of the table. What is new stands at the end of the file: the names of sections,
//! if one was missing, then the sections, then the header table. Before that the file is cut behind the last thing that
//! stays, so that what was at the end and is new now (the header table of any usual file, the sections of a run before)
//! leaves no hole. A section with new contents stays where it is if it lies further in front and the contents fit; else
//! its old bytes become a hole.
//!
//! A section that is part of the memory image has its place because of its address. It can only get contents that fit. One
//! without bytes is not: with contents it stands at the end, without an address.
//!
//! Spec: gABI chapter 4, "Sections".
#![deny(clippy::indexing_slicing)]

use object::elf::{ET_REL, SHF_COMPRESSED, SHT_REL, SHT_RELA, SHT_STRTAB};

use super::draft::Draft;
use super::elf_error;
use super::headers::Headers;
use super::plan::Plan;
use crate::error::Result;

/// A section to add, or to give other contents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NewSection<'a> {
    /// Its name, such as `.BTF`.
    pub name: &'a str,
    /// Its contents.
    pub bytes: &'a [u8],
}

/// Plans an ELF file with these sections, which are added if the file has none of that name.
///
/// Files of both classes and byte orders, of any type and with any number of sections can be changed. New sections are
/// `PROGBITS`, not part of the memory image, and aligned to 8 bytes. Of several sections with one name the first is given
/// the contents, as it is the one that [`super::sections`] finds. Where new contents are shorter than those that have to
/// stay in their place, zeros follow behind the section's end: a linked kernel, whose symbols say where its `.BTF` ends,
/// needs contents of the same length.
///
/// The new file is a function of the old one and of `sections`, and planning the same sections for it again gives the same
/// file.
///
/// # Errors
/// [`ErrorKind::Elf`](crate::ErrorKind::Elf) with the place in the section header table, in bytes, if the headers cannot be read or a section lies
/// outside of the file; if a section is part of the memory image and the contents do not fit; if relocations of an object
/// file belong to the old contents of a section; if `sections` names one twice.
/// [`ErrorKind::TooLarge`](crate::ErrorKind::TooLarge) if the new file is too large for its class.
pub fn put_sections<'a>(file: &'a [u8], sections: &[NewSection<'a>]) -> Result<Plan<'a>> {
    let headers = Headers::parse(file)?;
    let names = place_names(&headers, sections)?;
    let targets = find_targets(&headers, sections)?;

    let mut draft = Draft::new(&headers, &targets, names.added.is_some());
    draft.keep_places(sections, &targets)?;
    // From here on it is known where the file is cut, and everything else is appended.

    let old_count = headers.entries.len();
    let count = old_count + targets.iter().filter(|target| target.is_none()).count();
    let stays = count == old_count
        && headers.table.end <= draft.end
        && draft.layout.is_free(&headers.table);
    if let Some(added) = names.added {
        draft.append_names(headers.names_index, added);
    }
    for ((section, target), name) in sections.iter().zip(&targets).zip(&names.offsets) {
        match target {
            Some(index) if draft.is_placed(*index) => {}
            target => draft.append_section(*target, *name, section.bytes),
        }
    }
    draft.finish(stays.then_some(headers.table.start))
}

/// Where the names of sections are.
struct Names {
    /// The offset of each new section's name.
    offsets: Vec<u32>,
    /// What is to be put behind the old names, if one is missing.
    added: Option<Vec<u8>>,
}

/// Finds the names of `sections` among the names that are there, and notes those that are not.
fn place_names(headers: &Headers<'_>, sections: &[NewSection<'_>]) -> Result<Names> {
    let index = headers.names_index;
    let entry = headers.entries.get(index).copied().unwrap_or_default();
    if entry.kind != SHT_STRTAB.0 || entry.flags & SHF_COMPRESSED.0 != 0 {
        let text = "expected the names of the sections, an uncompressed STRTAB";
        return Err(headers.error_at(index, text));
    }
    let old = headers.data(index);
    let mut added = Vec::new();
    if old.last() != Some(&0) {
        added.push(0);
    }
    let is_fixed = added.len();
    let mut offsets = Vec::with_capacity(sections.len());
    for section in sections {
        let name = section.name.as_bytes();
        if name.is_empty() || name.contains(&0) {
            return Err(elf_error(format!(
                "not a section's name: `{}`",
                section.name
            )));
        }
        let known = find_name(old, name).or_else(|| {
            let at = find_name(&added, name)?;
            Some(old.len() + at)
        });
        let at = known.unwrap_or_else(|| {
            let at = old.len() + added.len();
            added.extend_from_slice(name);
            added.push(0);
            at
        });
        let Ok(at) = u32::try_from(at) else {
            return Err(headers.error_at(index, "too many names"));
        };
        offsets.push(at);
    }
    let added = (added.len() > is_fixed).then_some(added);
    if added.is_some() && headers.is_in_image(&entry) {
        let text = "is part of the memory image, so that no name can be added";
        return Err(headers.error_at(index, text));
    }
    Ok(Names { offsets, added })
}

/// The offset of the string `name` in `strings`, be it the end of a longer one.
fn find_name(strings: &[u8], name: &[u8]) -> Option<usize> {
    let mut end = 0;
    for string in strings.split_inclusive(|&byte| byte == 0) {
        end += string.len();
        if let Some(string) = string.strip_suffix(&[0])
            && string.ends_with(name)
        {
            return Some(end - 1 - name.len());
        }
    }
    None
}

/// The index of the section that each of `sections` gives contents to; `None` for one that is new.
fn find_targets(headers: &Headers<'_>, sections: &[NewSection<'_>]) -> Result<Vec<Option<usize>>> {
    let mut targets = Vec::with_capacity(sections.len());
    for (at, section) in sections.iter().enumerate() {
        let before = sections.iter().take(at);
        if before
            .map(|other| other.name)
            .any(|name| name == section.name)
        {
            return Err(elf_error(format!(
                "section `{}` is given twice",
                section.name
            )));
        }
        // The null section has no name, whatever its header says.
        let mut indices = 1..headers.entries.len();
        let target = indices.find(|&index| headers.has_name(index, section.name.as_bytes()));
        if let Some(index) = target {
            check_relocations(headers, index)?;
        }
        if target == Some(headers.names_index) {
            let text = "holds the names of the sections and cannot get other contents";
            return Err(headers.error_at(headers.names_index, text));
        }
        targets.push(target);
    }
    Ok(targets)
}

/// Checks that no relocations belong to the contents of a section of an object file.
fn check_relocations(headers: &Headers<'_>, target: usize) -> Result<()> {
    if headers.file_type != ET_REL.0 {
        return Ok(());
    }
    let relocations = headers.entries.iter().position(|entry| {
        (entry.kind == SHT_REL.0 || entry.kind == SHT_RELA.0)
            && entry.size > 0
            && entry.info as usize == target
    });
    match relocations {
        Some(index) => {
            let name = String::from_utf8_lossy(headers.name(target).unwrap_or_default());
            let text = format!("relocates `{name}`, which cannot get other contents therefore");
            Err(headers.error_at(index, &text))
        }
        None => Ok(()),
    }
}
