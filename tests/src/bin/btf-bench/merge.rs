//! `--task merge`: `btf-link merge` beside a small program on libbpf, which adds all files and removes duplicates.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use btf_tests::program::{TestDir, run};

use super::{Args, Contender, Sample, beside, check, median};

/// The program on libbpf.
const SOURCE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/libbpf/merge.c");

/// Measures the merge of all files in a folder.
#[expect(clippy::print_stdout, reason = "it is a program")]
pub(super) fn measure(args: &Args) -> Result<()> {
    check(args)?;
    let dir = TestDir::new();
    let list = dir.write("list", list(&args.file)?.as_bytes());
    let peer = dir.path("merge");
    // A compiler that links the newest libbpf, or else the machine's own.
    let newest = std::env::var_os("BTF_TESTS_CC_LIBBPF");
    let (compiler, library) = match &newest {
        Some(compiler) => (Path::new(compiler), None),
        None => (Path::new("cc"), Some("-lbpf".as_ref())),
    };
    let words = ["-O2".as_ref(), SOURCE.as_ref(), "-o".as_ref()];
    let words = words.into_iter().chain([peer.as_os_str()]).chain(library);
    let built = run(compiler, words);
    ensure!(
        built.status == Some(0),
        "cc and libbpf-dev, or BTF_TESTS_CC_LIBBPF, are needed: {built}"
    );
    let outputs = ["ours", "one", "theirs"].map(|name| dir.path(name));
    let two = ours(args.threads, &list, &outputs[0])?;
    let one = ours(1, &list, &outputs[1])?;
    let theirs = Contender {
        program: peer,
        args: vec![outputs[2].clone().into(), list.clone().into()],
        repeats: 1,
        output: None,
    };
    println!("peer: {}", theirs.describe());
    let mut samples: [Vec<Sample>; 3] = Default::default();
    // The first round finds the files in the page cache afterwards, and does not count.
    for round in 0..=args.runs {
        let contenders = [&two, &one, &theirs].into_iter().zip(&outputs);
        for ((contender, output), samples) in contenders.zip(&mut samples) {
            // All make new files: to replace one takes time of its own. None is there in the first round.
            let _ = std::fs::remove_file(output);
            let sample = contender.measure(&dir)?;
            if round > 0 {
                samples.push(sample);
            }
        }
    }
    let [two, one, theirs] = samples.map(|samples| median(&samples));
    let names = [
        format!("btf-link -j{}", args.threads),
        "btf-link -j1".to_owned(),
        "libbpf".to_owned(),
    ];
    println!("{:<20}{:>10}{:>10}{:>14}", "", "wall", "CPU", "peak RSS");
    for (name, s) in names.iter().zip([two, one, theirs]) {
        let peak = s.peak_kib / 1024.0;
        println!(
            "{name:<20}{:>8.3} s{:>8.3} s{peak:>10.0} MiB",
            s.wall_s, s.cpu_s
        );
    }
    println!("wall ratio: {:.1}", theirs.wall_s / two.wall_s);
    println!("CPU ratio: {:.1}", theirs.cpu_s / two.cpu_s);
    let counts: Result<Vec<_>> = outputs.iter().map(|path| count(path)).collect();
    let counts = counts?;
    println!("types: ours {}, theirs {}", counts[0], counts[2]);
    let [two, one, _] = outputs.map(std::fs::read);
    ensure!(two? == one?, "the bytes depend on the number of threads");
    Ok(())
}

fn ours(threads: usize, list: &Path, output: &Path) -> Result<Contender> {
    let threads = format!("-j{threads}");
    let words = [
        "merge".as_ref(),
        "-q".as_ref(),
        threads.as_ref(),
        "--files-from".as_ref(),
    ];
    let words = words
        .into_iter()
        .chain([list.as_os_str(), "-o".as_ref(), output.as_os_str()]);
    Ok(Contender {
        program: beside("btf-link")?,
        args: words.map(Into::into).collect(),
        repeats: 1,
        output: None,
    })
}

/// The files of a folder, one a line.
fn list(folder: &Path) -> Result<String> {
    let name = || folder.display().to_string();
    let entries = folder.read_dir().with_context(name)?;
    let paths: std::io::Result<Vec<PathBuf>> = entries.map(|entry| Ok(entry?.path())).collect();
    let mut paths = paths.with_context(name)?;
    paths.sort();
    let lines = paths.iter().map(|path| format!("{}\n", path.display()));
    Ok(lines.collect())
}

/// The number of types in a file.
fn count(path: &Path) -> Result<u32> {
    let btf = btf_core::Btf::parse(&std::fs::read(path)?, None)?;
    Ok(btf.end_id() - 1)
}
