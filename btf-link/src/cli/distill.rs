//! `btf-link distill`: a module's BTF, independent of the ids of its kernel.

use std::path::PathBuf;

use anyhow::{Context as _, Result, bail};
use btf_core::Btf;
use btf_core::cli::sources::Base;
use btf_core::cli::{ExitStatus, Printer, count, escape_name, output, plural};
use btf_core::distill::{Distilled, Request};
use btf_core::elf::NewSection;
use btf_core::relocate::Refusal;
use btf_link::ids::{self, BtfIds};

use super::TOOL;
use super::target::{Subject, TargetArgs, bytes_of};

const EXAMPLES: &str = "\
Examples:
  btf-link distill module.ko --base vmlinux --in-place
  btf-link distill module.btf --base vmlinux -o split.btf    its base is split.btf.base
";

/// Give the BTF of a module a small base of its own, so that other builds of its kernel can load it
///
/// An ELF file gets the sections `.BTF` and `.BTF.base`, and the ids in `.BTF_ids` are those of the new BTF. Of raw BTF, the output
/// gets the split BTF and `OUT.base` its base; a file of that name is only replaced if it is a distilled base, too. Kernels since 6.11 know
/// such a base.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct DistillArgs {
    /// A module, or its split BTF
    #[arg(value_name = "MODULE")]
    module: PathBuf,

    /// The kernel that the module was made for
    #[arg(short = 'B', long, value_name = "VMLINUX")]
    base: Option<PathBuf>,

    #[command(flatten)]
    target: TargetArgs,

    /// Make what libbpf makes, even where kernels will then refuse the module
    ///
    /// Without it forward declarations stay in the module's own BTF, and so do structures that the kernel could not tell from others
    /// of their name, as declarations.
    #[arg(long)]
    as_libbpf: bool,
}

/// Distils.
pub(crate) fn run(args: &DistillArgs, printer: &Printer) -> Result<ExitStatus> {
    let subject = Subject::open(&args.module, args.base.as_deref())?;
    let (source, title) = (&subject.source, subject.source.title());
    match source.base {
        Base::Own => bail!("{title}: it has a `.BTF.base` already"),
        Base::File(ref base) if source.has_own_base() => {
            bail!(
                "{title}: it has a distilled base already: {}",
                base.display()
            )
        }
        Base::None => bail!("{title}: this is no split BTF, so that there is no base to distil"),
        Base::File(_) => {}
    }
    let needed = subject.ids.iter().flat_map(BtfIds::types);
    let request = Request {
        needed: needed.collect(),
        for_kernels: !args.as_libbpf,
    };
    let distilled = Distilled::new(&source.btf, &request).with_context(|| title.clone())?;
    warn(&distilled, &subject, printer);

    let order = subject.order();
    let base = distilled.btf.base().map(|base| bytes_of(base, order));
    let (btf, base) = (
        bytes_of(&distilled.btf, order)?,
        base.transpose()?.unwrap_or_default(),
    );
    let target = args.target.path(&args.module, source.files())?;
    if subject.elf.is_some() {
        let new_ids = subject.new_ids(printer, |id| distilled.new_id(id));
        let mut sections = vec![
            NewSection {
                name: ".BTF",
                bytes: &btf,
            },
            NewSection {
                name: ".BTF.base",
                bytes: &base,
            },
        ];
        sections.extend(new_ids.as_deref().map(|bytes| NewSection {
            name: ids::SECTION,
            bytes,
        }));
        subject.write_elf(target, &sections, printer)?;
    } else {
        if target.as_os_str() == "-" {
            bail!("raw BTF with a base is two files: name the first with `-o`");
        }
        output::check_target(&output::base_path(target), source.files())?;
        output::write_with_base(target, &btf, Some(&base))
            .with_context(|| target.display().to_string())?;
    }
    let own = |btf: &Btf| u64::from(btf.end_id() - btf.first_id());
    let summary = format!(
        "{} on a base of {}, from {} on one of {}",
        plural(own(&distilled.btf), "type"),
        count(u64::from(distilled.btf.first_id()) - 1),
        count(own(&source.btf)),
        count(u64::from(source.btf.first_id()) - 1),
    );
    printer.say(&summary);
    Ok(ExitStatus::Done)
}

/// Says what kernels will not find.
fn warn(distilled: &Distilled, subject: &Subject, printer: &Printer) {
    let title = subject.source.title();
    let old = &subject.source.btf;
    for &id in &distilled.declared {
        let name = escape_name(old.name(id).unwrap_or_default());
        let text = format!(
            "{title}: kernels could not tell which `{name}` is meant, so it is only declared"
        );
        printer.warning(TOOL, &text);
    }
    let base = distilled.btf.base();
    for refusal in &distilled.refusals {
        let name = base
            .zip(refusal.distilled())
            .and_then(|(base, id)| base.name(id).ok());
        let name = escape_name(name.unwrap_or_default());
        let why = if matches!(refusal, Refusal::Candidates { .. }) {
            "more than one has its name and size"
        } else {
            "nothing matches it"
        };
        printer.warning(
            TOOL,
            &format!("{title}: kernels will refuse the module because of `{name}`: {why}"),
        );
    }
}
