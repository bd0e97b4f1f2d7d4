//! Differences as text, numbers, JSON and a page, beside the time of two listings, which is where a comparison with bpftool starts.

use std::ffi::OsString;

use anyhow::{Context as _, Result};
use btf_tests::program::TestDir;

use crate::{Args, Contender, SHORT_RUNS, beside, check, median, warm};

/// `diff` ends with 1 where there are differences.
const OURS: &str = r#""$0" diff "$@"; [ $? -le 1 ]"#;

const THEIRS: &str = r#""$0" btf dump file "$1" && "$0" btf dump file "$2""#;

#[expect(clippy::print_stdout, reason = "it is a program")]
pub(crate) fn measure(args: &Args) -> Result<()> {
    check(args)?;
    let dir = TestDir::new();
    let new = args.new.clone().context("`--new` names the second file")?;
    let files = [args.file.clone(), new];
    let bpftool = std::env::var_os("BTF_TESTS_BPFTOOL").unwrap_or_else(|| "bpftool".into());
    let contender = |script: &str, program: OsString, options: &[&str]| {
        let mut words: Vec<OsString> = vec!["-c".into(), script.into(), program];
        words.extend(files.iter().map(OsString::from));
        words.extend(options.iter().map(OsString::from));
        Contender {
            program: "sh".into(),
            args: words,
            repeats: SHORT_RUNS,
            output: None,
        }
    };
    let peer = contender(THEIRS, bpftool, &[]);
    let forms: [(&str, &[&str]); 4] = [
        ("text", &[]),
        ("summary", &["--summary"]),
        ("JSON", &["--json"]),
        ("page", &["--html"]),
    ];
    let runs = args.runs;
    println!("runs: {runs} of {SHORT_RUNS} each, in turn, warm cache; medians");
    files.iter().try_for_each(|file| warm(file))?;
    for (form, options) in forms {
        let ours = contender(OURS, beside("btf-dump")?.into(), options);
        let (mut our_samples, mut peer_samples) = (Vec::new(), Vec::new());
        for _ in 0..runs {
            our_samples.push(ours.measure(&dir)?);
            peer_samples.push(peer.measure(&dir)?);
        }
        let (ours, peer) = (median(&our_samples), median(&peer_samples));
        for (name, s) in [("btf-dump diff", ours), ("bpftool, twice", peer)] {
            println!(
                "{form:<8}{name:<15}{:>8.1} ms wall{:>8.1} ms CPU{:>8.0} MiB",
                s.wall_s * 1e3,
                s.cpu_s * 1e3,
                s.peak_kib / 1024.0
            );
        }
        println!("{form} wall ratio: {:.1}", peer.wall_s / ours.wall_s);
        println!("{form} CPU ratio: {:.1}", peer.cpu_s / ours.cpu_s);
    }
    Ok(())
}
