//! Goal: whatever happens while BTF is written into a file, the file is whole, the old one or the new one, and a run that
//! could not do it says so.
//! Method: full and read-only file systems in a mount namespace, which `unshare` makes without privileges where the machine
//! allows it; files that are cut off, processes that are ended and several runs at once, each at many moments of a run.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use btf_tests::corpus;
use btf_tests::program::{Outcome, TestDir, ours, peer, run, skip};

/// At how many moments of a run something happens to it.
const MOMENTS: u32 = 16;

fn object(name: &str) -> PathBuf {
    corpus::root().join("dwarf/gcc-x86_64").join(name)
}

/// Runs a shell script in a mount namespace with an empty file system of `size`, where it stands; `$0` is our program, also
/// there as `pahole`, `$1` a file to encode.
fn run_on_disk(size: &str, script: &str) -> Option<Outcome> {
    let unshare = peer("unshare")?;
    let dir = TestDir::new();
    let disk = dir.path("disk");
    fs::create_dir(&disk).unwrap();
    symlink(ours("dwarf2btf"), dir.path("pahole")).unwrap();
    let mount = format!("mount -t tmpfs -o size={size} none \"$2\"");
    let (program, file) = (ours("dwarf2btf"), object("image.emit-relocs.elf"));
    let shell = |script: &str| {
        let words = ["-rm", "sh", "-c", script].map(Path::new);
        run(&unshare, words.into_iter().chain([&*program, &file, &disk]))
    };
    let mounted = shell(&mount);
    if mounted.status != Some(0) {
        let why = mounted.stderr.trim();
        skip(&format!("no file system can be mounted: {why}"));
        return None;
    }
    let prepare = "cp \"$1\" file; cp \"$1\" base.ko; cp \"$1\" ../old";
    Some(shell(&format!(
        "set -e; {mount}; cd \"$2\"; {prepare}; {script}"
    )))
}

/// Each way to write into `file`, what it ends with, and whether the file is the old one; then what is in the folder.
const EACH_WAY: &str = r#"
    "$0" base.ko -qo ../base
    try() { status=0; "$@" || status=$?; cmp -s file ../old && echo "$status old" || echo "$status new"; }
    try ../pahole -J file
    try ../pahole -J --btf_base ../base --btf_features=distilled_base file
    try "$0" modules -q --base ../base --in-place file
    ls -A"#;

/// Checks how each way ended, and that each was told of in a line that has `why`.
#[track_caller]
fn check_each_way(outcome: &Outcome, stdout: &str, why: &str) {
    assert_eq!(outcome.stdout, stdout, "{outcome}");
    let lines: Vec<_> = outcome.stderr.lines().collect();
    assert!(lines.iter().all(|line| line.contains(why)), "{outcome}");
    assert_eq!(lines.len(), stdout.matches("2 old").count(), "{outcome}");
}

const ALL_FAIL: &str = "2 old\n2 old\n2 old\nballast\nbase.ko\nfile\n";

#[test]
fn on_a_full_disk_the_old_file_stays() {
    let script = format!("head -c 200000 /dev/zero >ballast 2>../said || true; {EACH_WAY}");
    if let Some(outcome) = run_on_disk("160k", &script) {
        check_each_way(&outcome, ALL_FAIL, "No space left on device");
    }
}

#[test]
fn a_read_only_file_is_not_replaced() {
    // Without capabilities even root is refused what the mode forbids.
    let Some(_) = peer("setpriv") else { return };
    let script = format!(
        "touch ballast; chmod a-w file; export PATH=$PATH
        setpriv --bounding-set=-all --inh-caps=-all sh -c '{EACH_WAY}' \"$0\" \"$1\""
    );
    if let Some(outcome) = run_on_disk("1m", &script) {
        check_each_way(&outcome, ALL_FAIL, "Permission denied");
    }
}

#[test]
fn on_a_read_only_file_system_nothing_changes() {
    let script = format!("touch ballast; mount -o remount,ro .; {EACH_WAY}");
    if let Some(outcome) = run_on_disk("1m", &script) {
        check_each_way(&outcome, ALL_FAIL, "Read-only file system");
    }
}

#[test]
fn in_a_read_only_folder_nothing_changes() {
    let Some(_) = peer("setpriv") else { return };
    let script = format!(
        "touch ballast; chmod a-w .
        setpriv --bounding-set=-all --inh-caps=-all sh -c '{EACH_WAY}' \"$0\" \"$1\""
    );
    if let Some(outcome) = run_on_disk("1m", &script) {
        check_each_way(&outcome, ALL_FAIL, "Permission denied");
    }
}

#[test]
fn a_limit_of_file_sizes_leaves_the_old_file() {
    let dir = TestDir::new();
    let before = fs::read(object("image.emit-relocs.elf")).unwrap();
    let file = dir.write("file", &before);
    let pahole = dir.path("pahole");
    symlink(ours("dwarf2btf"), &pahole).unwrap();
    let script = r#"trap '' XFSZ; ulimit -f 40; exec "$0" -J "$1""#;
    let words = ["-c", script].map(Path::new);
    let outcome = run(Path::new("sh"), words.into_iter().chain([&*pahole, &*file]));
    assert_eq!(outcome.status, Some(2), "{outcome}");
    assert!(outcome.stderr.contains("File too large"), "{outcome}");
    assert!(fs::read(&file).unwrap() == before);
    assert_eq!(dir.names(), ["file", "pahole"]);
}

/// Starts our program by the name `name`.
fn start(name: &str, words: &[&Path]) -> Child {
    Command::new(ours("dwarf2btf"))
        .arg0(name)
        .args(words)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// How long one undisturbed run takes.
fn duration(name: &str, words: &[&Path]) -> Duration {
    let begin = Instant::now();
    assert!(
        start(name, words)
            .wait_with_output()
            .unwrap()
            .status
            .success()
    );
    begin.elapsed()
}

/// Waits until the `moment`th of [`MOMENTS`] parts of a run of `duration` that began at `begin`.
fn wait_for(moment: u32, duration: Duration, begin: Instant) {
    while begin.elapsed() < duration * moment / MOMENTS {
        std::thread::yield_now();
    }
}

#[test]
fn a_file_that_shrinks_while_it_is_read_is_told_of() {
    let dir = TestDir::new();
    let before = fs::read(object("image.emit-relocs.elf")).unwrap();
    let path = dir.write("file", &before);
    let words = [Path::new("-J"), &path];
    let duration = duration("pahole", &words);
    let after = fs::read(&path).unwrap();
    for moment in 0..MOMENTS {
        fs::write(&path, &before).unwrap();
        let file = File::options().write(true).open(&path).unwrap();
        let child = start("pahole", &words);
        wait_for(moment, duration, Instant::now());
        file.set_len(before.len() as u64 / 2).unwrap();
        let output = child.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        let now = fs::read(&path).unwrap();
        if output.status.success() {
            // It was done before, or the file that was cut is no longer the one with the name.
            assert!(now == after || now == after[..before.len() / 2], "{moment}");
        } else {
            assert_eq!(output.status.code(), Some(2), "{moment}: {said}");
            assert_eq!(said.lines().count(), 1, "{moment}: {said}");
            assert!(now == before[..before.len() / 2], "{moment}");
        }
        assert_eq!(dir.names(), ["file"], "{moment}");
    }
}

#[test]
fn a_run_that_is_ended_leaves_every_module_whole() {
    let dir = TestDir::new();
    let base = dir.path("base");
    let image = object("image.elf");
    let _ = run(&ours("dwarf2btf"), [&image, Path::new("-qo"), &base]).success();
    let folder = dir.path("modules");
    fs::create_dir(&folder).unwrap();
    let before = fs::read(object("image.emit-relocs.elf")).unwrap();
    let files: Vec<PathBuf> = (0..12).map(|n| folder.join(format!("{n}.ko"))).collect();
    let restore = || {
        for file in &files {
            fs::write(file, &before).unwrap();
        }
    };
    restore();
    let words = ["modules", "-q", "-j2", "--in-place", "--base"].map(Path::new);
    let words: Vec<&Path> = words.into_iter().chain([&*base, &*folder]).collect();
    let duration = duration("dwarf2btf", &words);
    let after = fs::read(&files[0]).unwrap();
    assert!(after != before);
    for moment in 0..MOMENTS {
        restore();
        let child = start("dwarf2btf", &words);
        wait_for(moment, duration, Instant::now());
        let kill = ["-TERM".to_owned(), child.id().to_string()];
        let _ = run(Path::new("kill"), kill);
        let _ = child.wait_with_output().unwrap();
        // Between its second name and its own a complete file has a passing one.
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            let now = fs::read(&path).unwrap();
            assert!(now == after || now == before, "{}", path.display());
            if path.extension().is_some_and(|end| end == "tmp") {
                fs::remove_file(path).unwrap();
            }
        }
        assert!(files.iter().all(|file| file.exists()), "{moment}");
    }
}

#[test]
fn of_several_runs_on_one_file_each_writes_it_whole() {
    let dir = TestDir::new();
    let before = fs::read(object("image.emit-relocs.elf")).unwrap();
    let path = dir.write("file", &before);
    let words = [Path::new("-J"), &path];
    let _ = duration("pahole", &words);
    let after = fs::read(&path).unwrap();
    for _ in 0..MOMENTS / 4 {
        fs::write(&path, &before).unwrap();
        let children: Vec<_> = (0..4).map(|_| start("pahole", &words)).collect();
        for child in children {
            let output = child.wait_with_output().unwrap();
            let said = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "{said}");
        }
        assert!(fs::read(&path).unwrap() == after);
        assert_eq!(dir.names(), ["file"]);
    }
}
