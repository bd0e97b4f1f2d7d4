//! BPF objects of a folder linked into one: btf-link beside `bpftool gen object`.

use std::ffi::OsString;
use std::path::PathBuf;

use anyhow::{Context as _, Result, ensure};
use btf_tests::program::TestDir;

use crate::{Args, Contender, beside, check, median, warm};

/// How often each program links for one sample: GNU time counts in hundredths of a second.
const RUNS_A_SAMPLE: u32 = 3;

#[expect(clippy::print_stdout, reason = "it is a program")]
pub(crate) fn measure(args: &Args) -> Result<()> {
    check(args)?;
    let title = args.file.display();
    let entries = args
        .file
        .read_dir()
        .with_context(|| format!("{title}: a folder of objects is needed"))?;
    let paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
    let mut objects: Vec<_> = paths
        .filter(|path| path.extension().is_some_and(|extension| extension == "o"))
        .collect();
    objects.sort();
    ensure!(!objects.is_empty(), "{title}: no objects");
    objects.iter().try_for_each(|object| warm(object))?;
    let dir = TestDir::new();
    let contender = |program: PathBuf, output: &str| {
        let words = [
            OsString::from("gen"),
            "object".into(),
            dir.path(output).into(),
        ];
        Contender {
            program,
            args: words
                .into_iter()
                .chain(objects.iter().map(Into::into))
                .collect(),
            repeats: RUNS_A_SAMPLE,
            output: None,
        }
    };
    let bpftool = std::env::var_os("BTF_TESTS_BPFTOOL").unwrap_or_else(|| "bpftool".into());
    let ours = contender(beside("btf-link")?, "ours.o");
    let peer = contender(bpftool.into(), "theirs.o");
    println!("objects: {} of {title}", objects.len());
    println!(
        "runs: {} of {RUNS_A_SAMPLE} each, in turn, warm cache; medians",
        args.runs
    );
    let (mut our_samples, mut peer_samples) = (Vec::new(), Vec::new());
    for _ in 0..args.runs {
        our_samples.push(ours.measure(&dir)?);
        peer_samples.push(peer.measure(&dir)?);
    }
    let (ours, peer) = (median(&our_samples), median(&peer_samples));
    for (name, s) in [("btf-link", ours), ("bpftool", peer)] {
        println!(
            "{name:<15}{:>8.1} ms wall{:>8.1} ms CPU{:>8.0} MiB",
            s.wall_s * 1e3,
            s.cpu_s * 1e3,
            s.peak_kib / 1024.0
        );
    }
    println!("wall ratio: {:.1}", peer.wall_s / ours.wall_s);
    println!("CPU ratio: {:.1}", peer.cpu_s / ours.cpu_s);
    Ok(())
}
