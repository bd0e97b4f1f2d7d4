//! `btf-bench VMLINUX`: our programs and their peers in turn on the same file, by time and memory: dwarf2btf beside pahole, on a
//! kernel or on its modules; btf-dump's listings, and its differences, beside bpftool's listings; btf-link's links beside bpftool's,
//! and its merges beside libbpf's.

mod diff;
mod links;
mod merge;
mod modules;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::Instant;

use anyhow::{Context as _, Result, bail, ensure};
use btf_tests::program::{TestDir, run};
use clap::{Parser, ValueEnum};

/// What kernels ask pahole for since 6.10.
const FEATURES: &str = "encode_force,var,float,enum64,decl_tag,type_tag,optimized_func,consistent_func,decl_tag_kfuncs";

/// Runs our program and its peer in turn on the same file and prints medians, ratios and peak memory.
///
/// The file is read once before, so that both find it in the page cache. Times are the wall clock's and those of the
/// processors, memory is the peak resident set of the process, all as the kernel counts them for GNU time.
#[derive(Debug, Parser)]
#[command(version)]
struct Args {
    /// A vmlinux with DWARF; for listings any file with BTF; for links a folder of objects, for merges one of files with BTF.
    file: PathBuf,
    /// What is measured.
    #[arg(long, value_enum, default_value_t = Task::Encode)]
    task: Task,
    /// The second file, for `--task diff`.
    #[arg(long)]
    new: Option<PathBuf>,
    /// The modules of the kernel, for `--task modules`: a folder.
    #[arg(long)]
    modules: Option<PathBuf>,
    /// How often each program runs.
    #[arg(long, default_value_t = 5)]
    runs: usize,
    /// Threads of both.
    #[arg(long, default_value_t = 2)]
    threads: usize,
    /// The peer; without it, the environment variable `BTF_TESTS_PAHOLE`, then `pahole`.
    #[arg(long)]
    pahole: Option<PathBuf>,
    /// Our program; without it, the one beside this program.
    #[arg(long)]
    dwarf2btf: Option<PathBuf>,
    /// A language that both leave out, as kernel builds do with Rust.
    #[arg(long, default_value = "rust")]
    exclude_language: String,
}

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Task {
    /// DWARF to BTF: dwarf2btf beside pahole.
    Encode,
    /// DWARF to split BTF: dwarf2btf on all modules beside one pahole for each, as many at a time as there are threads.
    Modules,
    /// Listings as text and JSON, and the C header: btf-dump beside bpftool.
    List,
    /// BPF objects into one: btf-link beside bpftool.
    Link,
    /// Differences of two kernels: btf-dump beside two listings of bpftool.
    Diff,
    /// Many BTF files into one: `btf-link merge` beside a small program on libbpf.
    Merge,
}

/// How often a program that takes some milliseconds runs for one sample: GNU time counts in hundredths of a second.
const SHORT_RUNS: u32 = 20;

/// One run of one program.
#[derive(Clone, Copy, Debug)]
struct Sample {
    wall_s: f64,
    cpu_s: f64,
    peak_kib: f64,
}

/// The median of each number, which need not come from the same run.
fn median(samples: &[Sample]) -> Sample {
    let of = |number: fn(&Sample) -> f64| {
        let mut numbers: Vec<_> = samples.iter().map(number).collect();
        numbers.sort_by(f64::total_cmp);
        numbers[numbers.len() / 2]
    };
    Sample {
        wall_s: of(|sample| sample.wall_s),
        cpu_s: of(|sample| sample.cpu_s),
        peak_kib: of(|sample| sample.peak_kib),
    }
}

/// A program with its arguments.
struct Contender {
    program: PathBuf,
    args: Vec<OsString>,
    /// How often it runs for one sample; its output is for nobody if that is not once.
    repeats: u32,
    /// The option that names its output, if each run shall make a new file: replacing one takes time of its own.
    output: Option<&'static str>,
}

impl Contender {
    /// Runs it below GNU time, which asks the kernel for what the process used.
    fn measure(&self, dir: &TestDir) -> Result<Sample> {
        let report = dir.path("time");
        for run in 1..=self.repeats {
            // None is there before the first sample.
            let _ = std::fs::remove_file(dir.path(&format!("{ONE}{run}")));
        }
        let start = Instant::now();
        let output = Command::new(
            std::env::var_os("BTF_TESTS_TIME").unwrap_or_else(|| "/usr/bin/time".into()),
        )
        .args(["-f", "%U %S %M", "-o"])
        .arg(&report)
        .args(self.command(dir))
        .stdin(Stdio::null())
        .output()
        .context("GNU time is needed, as /usr/bin/time or BTF_TESTS_TIME")?;
        let wall_s = start.elapsed().as_secs_f64();
        let stderr = String::from_utf8_lossy(&output.stderr);
        ensure!(
            output.status.success(),
            "{} failed: {stderr}",
            self.program.display()
        );
        let report = std::fs::read_to_string(report)?;
        let numbers: Vec<f64> = report
            .split_whitespace()
            .filter_map(|word| word.parse().ok())
            .collect();
        let [user_s, system_s, peak_kib] = numbers[..] else {
            bail!("GNU time reports {report:?}");
        };
        let cpu_s = user_s + system_s;
        let repeats = f64::from(self.repeats);
        Ok(Sample {
            wall_s: wall_s / repeats,
            cpu_s: cpu_s / repeats,
            peak_kib,
        })
    }

    /// The words of the command for one sample.
    fn command(&self, dir: &TestDir) -> Vec<OsString> {
        const LOOP: &str = r#"i=$0; o=$1; shift
while [ "$i" -gt 0 ]; do "$@" ${o:+"$o$i"} >/dev/null || exit; i=$((i - 1)); done"#;
        let own = std::iter::once(self.program.clone().into()).chain(self.args.clone());
        if self.repeats == 1 && self.output.is_none() {
            return own.collect();
        }
        let mut output = OsString::new();
        if let Some(option) = self.output {
            output.push(option);
            output.push(dir.path(ONE));
        }
        let repeats = self.repeats.to_string();
        let shell = ["sh", "-c", LOOP, &repeats].map(OsString::from);
        shell.into_iter().chain([output]).chain(own).collect()
    }

    fn describe(&self) -> String {
        let args: Vec<_> = self.args.iter().map(|arg| arg.to_string_lossy()).collect();
        let version = run(&self.program, ["--version"]).stdout;
        format!("{} ({})", version.trim(), args.join(" "))
    }
}

/// One of our programs that is beside this one.
fn beside(name: &str) -> Result<PathBuf> {
    Ok(std::env::current_exe()?.with_file_name(name))
}

fn our_program(args: &Args) -> Result<PathBuf> {
    let program = args.dwarf2btf.clone();
    let program = program.map_or_else(|| beside("dwarf2btf"), Ok)?;
    ensure!(program.is_file(), "{} is not built", program.display());
    Ok(program)
}

fn peer_program(args: &Args) -> PathBuf {
    let variable = || std::env::var_os("BTF_TESTS_PAHOLE").map(PathBuf::from);
    let given = args.pahole.clone().or_else(variable);
    given.unwrap_or_else(|| "pahole".into())
}

fn ours(args: &Args, dir: &TestDir, threads: usize) -> Result<Contender> {
    let program = our_program(args)?;
    let options = [
        format!("-j{threads}"),
        format!("--features={FEATURES}"),
        format!("--exclude-language={}", args.exclude_language),
        "-q".to_owned(),
        "-o".to_owned(),
    ];
    let mut list: Vec<OsString> = options.into_iter().map(Into::into).collect();
    list.extend([dir.path("ours.btf").into(), args.file.clone().into()]);
    Ok(Contender {
        program,
        args: list,
        repeats: 1,
        output: None,
    })
}

fn theirs(args: &Args, dir: &TestDir) -> Contender {
    let program = peer_program(args);
    let mut detached = OsString::from("--btf_encode_detached=");
    detached.push(dir.path("theirs.btf"));
    let list = vec![
        "-J".into(),
        format!("-j{}", args.threads).into(),
        format!("--btf_features={FEATURES}").into(),
        format!("--lang_exclude={}", args.exclude_language).into(),
        detached,
        args.file.clone().into(),
    ];
    Contender {
        program,
        args: list,
        repeats: 1,
        output: None,
    }
}

/// One more run of ours, for where the time goes: the phases as `--time` prints them.
fn phases(ours: &Contender) -> String {
    let args = ours.args.iter().cloned().chain(["--time".into()]);
    run(&ours.program, args).stderr
}

/// Reads the file once, so that both programs find it in the page cache.
fn warm(file: &Path) -> Result<()> {
    let mut file = std::fs::File::open(file).with_context(|| file.display().to_string())?;
    std::io::copy(&mut file, &mut std::io::sink())?;
    Ok(())
}

/// What all measurements need.
fn check(args: &Args) -> Result<()> {
    ensure!(args.runs > 0, "--runs must be at least 1");
    ensure!(
        !cfg!(debug_assertions),
        "this is no release build: `cargo build --release`"
    );
    Ok(())
}

/// How the names of new files begin, which end with the number of a run.
const ONE: &str = "one.btf.";

/// Stands for the file in a command line.
const FILE: &str = "FILE";

#[expect(clippy::print_stdout, reason = "it is a program")]
fn measure_listings(args: &Args) -> Result<()> {
    check(args)?;
    let dir = TestDir::new();
    let bpftool = std::env::var_os("BTF_TESTS_BPFTOOL").unwrap_or_else(|| "bpftool".into());
    let contender = |program: &Path, words: &[&str]| {
        let file = args.file.as_os_str();
        let words = words
            .iter()
            .map(|&word| if word == FILE { file } else { word.as_ref() });
        Contender {
            program: program.to_owned(),
            args: words.map(OsString::from).collect(),
            repeats: SHORT_RUNS,
            output: None,
        }
    };
    let (ours, peer) = (beside("btf-dump")?, PathBuf::from(bpftool));
    let forms: [(&str, &[&str], &[&str]); 3] = [
        ("text", &[FILE], &["btf", "dump", "file", FILE]),
        (
            "JSON",
            &["--json", FILE],
            &["-j", "btf", "dump", "file", FILE],
        ),
        (
            "C",
            &["c", FILE],
            &["btf", "dump", "file", FILE, "format", "c"],
        ),
    ];
    println!("file: {}", args.file.display());
    println!(
        "runs: {} of {SHORT_RUNS} each, in turn, warm cache; medians",
        args.runs
    );
    warm(&args.file)?;
    for (form, our_words, peer_words) in forms {
        let (ours, peer) = (contender(&ours, our_words), contender(&peer, peer_words));
        let (mut our_samples, mut peer_samples) = (Vec::new(), Vec::new());
        for _ in 0..args.runs {
            our_samples.push(ours.measure(&dir)?);
            peer_samples.push(peer.measure(&dir)?);
        }
        let samples = [
            ("btf-dump", median(&our_samples)),
            ("bpftool", median(&peer_samples)),
        ];
        for (name, s) in samples {
            println!(
                "{form} {name:<15}{:>8.1} ms wall{:>8.1} ms CPU{:>8.0} MiB",
                s.wall_s * 1e3,
                s.cpu_s * 1e3,
                s.peak_kib / 1024.0
            );
        }
        let [(_, ours), (_, peer)] = samples;
        println!("{form} wall ratio: {:.1}", peer.wall_s / ours.wall_s);
        println!("{form} CPU ratio: {:.1}", peer.cpu_s / ours.cpu_s);
        let ratio = ours.peak_kib / peer.peak_kib;
        println!("{form} peak RSS: {ratio:.2} of the peer's");
    }
    Ok(())
}

#[expect(clippy::print_stdout, reason = "it is a program")]
fn measure(args: &Args) -> Result<()> {
    check(args)?;
    let dir = TestDir::new();
    let [ours_two, ours_one] = [ours(args, &dir, args.threads)?, ours(args, &dir, 1)?];
    let theirs = theirs(args, &dir);
    println!("file: {}", args.file.display());
    println!("ours: {}", ours_two.describe());
    println!("peer: pahole {}", theirs.describe());
    println!("runs: {}, in turn, warm cache; medians", args.runs);
    warm(&args.file)?;
    let (mut two, mut one, mut peer) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..args.runs {
        two.push(ours_two.measure(&dir)?);
        peer.push(theirs.measure(&dir)?);
        one.push(ours_one.measure(&dir)?);
    }
    let (two, one, peer) = (median(&two), median(&one), median(&peer));
    let threads = args.threads;
    println!("{:<20}{:>10}{:>10}{:>14}", "", "wall", "CPU", "peak RSS");
    for (name, s) in [
        (format!("dwarf2btf -j{threads}"), two),
        ("dwarf2btf -j1".to_owned(), one),
        (format!("pahole -j{threads}"), peer),
    ] {
        println!(
            "{name:<20}{:>8.3} s{:>8.3} s{:>10.0} MiB",
            s.wall_s,
            s.cpu_s,
            s.peak_kib / 1024.0
        );
    }
    println!("wall ratio: {:.1}", peer.wall_s / two.wall_s);
    println!("CPU ratio: {:.1}", peer.cpu_s / two.cpu_s);
    println!(
        "peak RSS: {:.2} of the peer's",
        two.peak_kib / peer.peak_kib
    );
    println!(
        "from 1 to {threads} threads: {:.2} times as fast",
        one.wall_s / two.wall_s
    );
    println!(
        "phases of one more run with {threads} threads:\n{}",
        phases(&ours_two).trim_end()
    );
    Ok(())
}

#[expect(clippy::print_stderr, reason = "a program's error goes to stderr")]
fn main() -> ExitCode {
    let args = Args::parse();
    let measured = match args.task {
        Task::Encode => measure(&args),
        Task::Modules => modules::measure(&args),
        Task::List => measure_listings(&args),
        Task::Link => links::measure(&args),
        Task::Diff => diff::measure(&args),
        Task::Merge => merge::measure(&args),
    };
    match measured {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("btf-bench: error: {error:#}");
            ExitCode::from(2)
        }
    }
}
