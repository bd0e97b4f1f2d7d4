//! Says why there is nothing to describe.

use btf_core::{Error, ErrorKind};

use crate::finding::{Finding, FindingKind};
use crate::unit::{Context, UnitReader};
use crate::workers::Harvest;

/// The error of an input of which nothing is described; the cause that a user can do most about comes first.
#[cold]
pub(crate) fn error(context: &Context<'_, '_>, harvest: &Harvest) -> Error {
    let all = context.units.all.len();
    if all > 0 && harvest.unit_count == 0 {
        let why = format!("all units ({all}) are left out by their language");
        return ErrorKind::NoTypes(why).into();
    }
    let first = |kind| harvest.findings.iter().find(|finding| finding.kind == kind);
    if let Some(finding) = first(FindingKind::SkeletonUnit) {
        return at(context, finding, split_dwarf(context, finding));
    }
    if let Some(finding) = first(FindingKind::TerseUnit) {
        let why = "this unit has no types: it was compiled with -g1";
        return at(context, finding, why.to_owned());
    }
    ErrorKind::NoTypes("no unit describes a type".to_owned()).into()
}

/// An error with the place of a finding.
fn at(context: &Context<'_, '_>, finding: &Finding, why: String) -> Error {
    let unit = &context.units.all[finding.unit as usize];
    let section = context.units.sections[unit.section as usize].0.name;
    Error::new(ErrorKind::NoTypes(why)).at(section, finding.die_offset)
}

/// What is wrong with a unit whose DWARF is in another file.
fn split_dwarf(context: &Context<'_, '_>, finding: &Finding) -> String {
    let state = UnitReader::new(context).enter(finding.unit);
    let name = state.map_or_else(|_| Vec::new(), |state| context.names.bytes(state.dwo_name));
    let file = match name.as_slice() {
        [] => "another file".to_owned(),
        name => format!("`{}`", String::from_utf8_lossy(name)),
    };
    format!(
        "the types of this unit are in {file}, which is not read; compile without -gsplit-dwarf"
    )
}
