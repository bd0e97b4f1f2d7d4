//! All modules of a kernel: one process of ours beside a process of pahole for each module, and single modules.

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use btf_tests::program::{TestDir, run};
use dwarf2btf::modules::find;

use crate::{Args, Contender, FEATURES, Sample, check, median, our_program, peer_program, theirs};

/// How often a single module is encoded for one sample.
const SINGLE_RUNS: u32 = 5;

/// Modules that are measured alone: a small one, a middling one and one of the largest.
const SINGLES: [&str; 3] = ["dummy.ko", "nf_tables.ko", "xfs.ko"];

/// What is measured, and what both need.
struct Bench<'a> {
    args: &'a Args,
    dir: TestDir,
    /// The BTF that the modules continue.
    base: PathBuf,
    ours: PathBuf,
    peer: PathBuf,
}

#[expect(clippy::print_stdout, reason = "it is a program")]
pub(crate) fn measure(args: &Args) -> Result<()> {
    check(args)?;
    let folder = args.modules.as_deref();
    let folder = folder.context("--modules is needed: a folder of modules with DWARF")?;
    let dir = TestDir::new();
    let bench = Bench {
        args,
        base: dir.path("base.btf"),
        dir,
        ours: our_program(args)?,
        peer: peer_program(args),
    };
    let mut files = find(&[folder.to_owned()])
        .map_err(|(path, error)| anyhow::Error::new(error).context(path.display().to_string()))?
        .files;
    ensure!(!files.is_empty(), "{}: no modules", folder.display());
    files.sort_by_key(|file| file.size_bytes);
    let files: Vec<PathBuf> = files.into_iter().map(|file| file.path).collect();
    let encoded = run(&bench.ours, bench.encode_base());
    ensure!(encoded.status == Some(0), "{encoded}");
    // All files are in the page cache before the first sample.
    files.iter().try_for_each(|file| crate::warm(file))?;

    println!("modules: {} of {}", files.len(), folder.display());
    println!("base: {} as raw BTF", args.file.display());
    println!(
        "ours: {}",
        bench.one_ours(&files[0], args.threads).describe()
    );
    println!(
        "peer: pahole {}",
        bench.one_theirs(&files[0], args.threads).describe()
    );
    println!("runs: {}, in turn, warm cache; medians", args.runs);
    let (ours, peer) = (bench.all_ours(folder), bench.all_theirs(&files)?);
    let (ours, peer) = bench.in_turn(&ours, &peer)?;
    let threads = args.threads;
    row(&format!("dwarf2btf modules -j{threads}"), ours);
    row(&format!("pahole, {threads} at a time"), peer);
    println!("wall ratio: {:.1}", peer.wall_s / ours.wall_s);
    println!("CPU ratio: {:.1}", peer.cpu_s / ours.cpu_s);
    let vmlinux = theirs(args, &bench.dir).measure(&bench.dir)?;
    row("pahole on vmlinux", vmlinux);
    println!(
        "peak RSS: {:.2} of pahole's on vmlinux",
        ours.peak_kib / vmlinux.peak_kib
    );

    for file in singles(&files) {
        println!("one module, into a new file: {}", file.display());
        let mut thread_counts = vec![1, args.threads];
        thread_counts.dedup();
        for threads in thread_counts {
            let ours = bench.one_ours(file, threads);
            let (ours, peer) = bench.in_turn(&ours, &bench.one_theirs(file, threads))?;
            row(&format!("dwarf2btf -j{threads}"), ours);
            row(&format!("pahole -j{threads}"), peer);
            println!("wall ratio: {:.1}", peer.wall_s / ours.wall_s);
            println!("CPU ratio: {:.1}", peer.cpu_s / ours.cpu_s);
        }
    }
    Ok(())
}

/// The modules that are measured alone: those of [`SINGLES`], or the smallest, the median and the largest if there is none.
fn singles(files: &[PathBuf]) -> Vec<&PathBuf> {
    let find = |name: &&str| files.iter().find(|file| file.ends_with(name));
    let named: Vec<_> = SINGLES.iter().filter_map(find).collect();
    if !named.is_empty() {
        return named;
    }
    let last = files.len() - 1;
    [0, last / 2, last].map(|index| &files[index]).into()
}

#[expect(clippy::print_stdout, reason = "it is a program")]
fn row(name: &str, sample: Sample) {
    println!(
        "{name:<24}{:>8.4} s wall{:>8.4} s CPU{:>8.0} MiB",
        sample.wall_s,
        sample.cpu_s,
        sample.peak_kib / 1024.0
    );
}

impl Bench<'_> {
    /// The medians of ours and of the peer.
    fn in_turn(&self, ours: &Contender, peer: &Contender) -> Result<(Sample, Sample)> {
        let (mut our_samples, mut peer_samples) = (Vec::new(), Vec::new());
        for _ in 0..self.args.runs {
            our_samples.push(ours.measure(&self.dir)?);
            peer_samples.push(peer.measure(&self.dir)?);
        }
        Ok((median(&our_samples), median(&peer_samples)))
    }

    /// What both are asked for.
    fn our_options(&self) -> Vec<OsString> {
        let exclude = format!("--exclude-language={}", self.args.exclude_language);
        ["-q", &format!("--features={FEATURES}"), &exclude]
            .map(OsString::from)
            .into()
    }

    fn their_options(&self, threads: usize) -> Vec<OsString> {
        let mut base = OsString::from("--btf_base=");
        base.push(&self.base);
        let exclude = format!("--lang_exclude={}", self.args.exclude_language);
        let features = format!("--btf_features={FEATURES}");
        vec![
            "-J".into(),
            format!("-j{threads}").into(),
            features.into(),
            exclude.into(),
            base,
        ]
    }

    fn encode_base(&self) -> Vec<OsString> {
        let mut words = self.our_options();
        let paths = [&self.args.file, Path::new("-o"), &self.base];
        words.extend(paths.map(OsString::from));
        words
    }

    fn all_ours(&self, folder: &Path) -> Contender {
        let mut args = vec!["modules".into(), format!("-j{}", self.args.threads).into()];
        args.extend(self.our_options());
        let out = self.dir.path("ours");
        let words = [
            Path::new("--base"),
            &self.base,
            Path::new("--out-dir"),
            &out,
            folder,
        ];
        args.extend(words.map(OsString::from));
        Contender {
            program: self.ours.clone(),
            args,
            repeats: 1,
            output: None,
        }
    }

    /// xargs gives each process two words: where its output goes, and its module.
    fn all_theirs(&self, files: &[PathBuf]) -> Result<Contender> {
        let out = self.dir.path("theirs");
        std::fs::create_dir(&out)?;
        let mut list = Vec::new();
        for (index, file) in files.iter().enumerate() {
            list.extend(detached(&out.join(index.to_string())).as_bytes());
            list.push(0);
            list.extend(file.as_os_str().as_bytes());
            list.push(0);
        }
        let list = self.dir.write("list", &list);
        let at_a_time = format!("-P{}", self.args.threads);
        let mut args: Vec<OsString> = vec!["-0n2".into(), at_a_time.into(), "-a".into()];
        args.extend([list.into(), self.peer.clone().into()]);
        args.extend(self.their_options(1));
        Ok(Contender {
            program: "xargs".into(),
            args,
            repeats: 1,
            output: None,
        })
    }

    fn one_ours(&self, file: &Path, threads: usize) -> Contender {
        let mut args = self.our_options();
        let words = [file, Path::new("--base"), &self.base];
        args.extend(words.map(OsString::from));
        args.push(format!("-j{threads}").into());
        Contender {
            program: self.ours.clone(),
            args,
            repeats: SINGLE_RUNS,
            output: Some("--output="),
        }
    }

    fn one_theirs(&self, file: &Path, threads: usize) -> Contender {
        let mut args = self.their_options(threads);
        args.push(file.into());
        Contender {
            program: self.peer.clone(),
            args,
            repeats: SINGLE_RUNS,
            output: Some(DETACHED),
        }
    }
}

/// The option of pahole that names its output.
const DETACHED: &str = "--btf_encode_detached=";

fn detached(output: &Path) -> OsString {
    let mut word = OsString::from(DETACHED);
    word.push(output);
    word
}
