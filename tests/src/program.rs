//! Runs programs, ours and peers, in folders of their own.
//!
//! A peer is found by an environment variable or on `PATH`. A test that cannot run because one is missing says so on
//! stderr and passes; with `BTF_TESTS_NO_SKIP=1` it fails instead, which is how CI runs.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// A folder for one test, removed at its end.
#[derive(Debug)]
pub struct TestDir(TempDir);

impl TestDir {
    /// Makes an empty folder.
    ///
    /// # Panics
    /// If the system has no room for it.
    #[must_use]
    #[expect(clippy::new_without_default, reason = "it is an action, not a value")]
    pub fn new() -> Self {
        Self(tempfile::tempdir().expect("no temporary folder"))
    }

    /// The path of a file in it.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Writes a file in it.
    ///
    /// # Panics
    /// If the file cannot be written.
    #[expect(
        clippy::must_use_candidate,
        reason = "writing is what it is called for"
    )]
    pub fn write(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.path(name);
        std::fs::write(&path, bytes).expect("cannot write to a temporary folder");
        path
    }

    /// The names of all files in it, sorted.
    ///
    /// # Panics
    /// If the folder is gone.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        let entries = self
            .0
            .path()
            .read_dir()
            .expect("the temporary folder is gone");
        let mut names: Vec<_> = entries
            .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
            .collect();
        names.sort();
        names
    }
}

/// What a program did.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The exit status; `None` if a signal ended it.
    pub status: Option<i32>,
    /// What it wrote to stdout.
    pub stdout: String,
    /// What it wrote to stderr.
    pub stderr: String,
    /// How long it took.
    pub elapsed: Duration,
}

impl Outcome {
    /// Fails the test unless the program ended with 0.
    ///
    /// # Panics
    /// If it did not.
    #[track_caller]
    #[must_use]
    pub fn success(self) -> Self {
        assert_eq!(self.status, Some(0), "{self}");
        self
    }
}

impl std::fmt::Display for Outcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let status = self
            .status
            .map_or_else(|| "signal".to_owned(), |status| status.to_string());
        write!(
            f,
            "status: {status}\n----- stdout\n{}----- stderr\n{}",
            self.stdout, self.stderr
        )
    }
}

/// Runs a program with no input and waits for its end.
///
/// # Panics
/// If it cannot be started.
pub fn run<S: AsRef<OsStr>>(program: &Path, args: impl IntoIterator<Item = S>) -> Outcome {
    wait(program, Command::new(program).args(args))
}

/// Runs a program as [`run`] does, with at most `kib` KiB of address space: one that asks for more is ended by a signal.
///
/// # Panics
/// If it cannot be started.
pub fn run_within<S: AsRef<OsStr>>(
    kib: u32,
    program: &Path,
    args: impl IntoIterator<Item = S>,
) -> Outcome {
    let script = format!("ulimit -v {kib} && exec \"$0\" \"$@\"");
    let mut command = Command::new("sh");
    wait(
        program,
        command.arg("-c").arg(script).arg(program).args(args),
    )
}

/// Runs a program whose standard output nobody reads; the exit status.
///
/// # Panics
/// If it cannot be started, or the system has no pipe.
pub fn unheard<S: AsRef<OsStr>>(program: &Path, args: impl IntoIterator<Item = S>) -> Option<i32> {
    // Closed before the program starts, which might otherwise be done before that.
    let (reader, writer) = std::io::pipe().expect("no pipe");
    drop(reader);
    let mut command = Command::new(program);
    command.args(args).stdin(Stdio::null()).stdout(writer);
    let status = command.stderr(Stdio::null()).status();
    status.expect("cannot be started").code()
}

fn wait(program: &Path, command: &mut Command) -> Outcome {
    let start = Instant::now();
    let output = command
        .env("NO_COLOR", "1")
        .env("LC_ALL", "C.UTF-8")
        .env("COLUMNS", "100")
        .env_remove("DEBUGINFOD_URLS")
        .stdin(Stdio::null())
        .output()
        .unwrap_or_else(|error| panic!("{}: {error}", program.display()));
    Outcome {
        status: output.status.code(),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        elapsed: start.elapsed(),
    }
}

/// The program of this name from this workspace, built first in the profile of the running test if need be.
///
/// `BTF_TESTS_<NAME>`, in capitals, names another one.
///
/// # Panics
/// If it cannot be built.
#[must_use]
pub fn ours(name: &'static str) -> PathBuf {
    static BUILT: Mutex<BTreeMap<&str, PathBuf>> = Mutex::new(BTreeMap::new());
    if let Some(path) = variable(name) {
        return path;
    }
    // A build that failed has ended its test; for others it is not there yet.
    let mut built = BUILT.lock().unwrap_or_else(PoisonError::into_inner);
    let program = built
        .entry(name)
        .or_insert_with(|| build(&["--bin", name], name));
    program.clone()
}

/// The plugin for GNU ld, built first as [`ours`] builds programs.
///
/// # Panics
/// If it cannot be built.
#[must_use]
pub fn ours_plugin() -> PathBuf {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    let file = "libbtf_link_plugin.so";
    BUILT.get_or_init(|| build(&["--lib"], file)).clone()
}

/// The folder of the running test's profile.
fn folder() -> PathBuf {
    let test = std::env::current_exe().expect("a test has a path");
    let is_deps = |folder: &&Path| folder.file_name().is_none_or(|name| name != "deps");
    let mut folders = test.ancestors().skip(1);
    folders
        .find(is_deps)
        .expect("tests are in a folder")
        .to_owned()
}

/// Builds what `targets` select, in the profile that the name of the running test's folder tells; returns the path of `file`.
fn build(targets: &[&str], file: &str) -> PathBuf {
    let folder = folder();
    let profile = folder
        .file_name()
        .and_then(OsStr::to_str)
        .unwrap_or("debug");
    let profile = if profile == "debug" { "dev" } else { profile };
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let args = [
        "build",
        "--quiet",
        "--locked",
        // With the features of dependencies that a build of everything has: so nothing is built twice.
        "--workspace",
        "--profile",
        profile,
    ];
    let status = Command::new(cargo)
        .args(args)
        .args(targets)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .status();
    assert!(
        status.is_ok_and(|status| status.success()),
        "`{file}` cannot be built"
    );
    folder.join(file)
}

/// The program that `BTF_TESTS_<NAME>` names, or that is on `PATH`; without it, [`skip`]s.
#[must_use]
pub fn peer(name: &str) -> Option<PathBuf> {
    let on_path = || {
        let path = std::env::var_os("PATH")?;
        let mut candidates = std::env::split_paths(&path).map(|folder| folder.join(name));
        candidates.find(|candidate| candidate.is_file())
    };
    let found = variable(name).or_else(on_path);
    if found.is_none() {
        skip(&format!(
            "{name} is not installed: run .ci/peers and source its env file"
        ));
    }
    found
}

/// pahole, if it is of the release that we are compared with, 1.32, or a newer one; otherwise [`skip`]s.
#[must_use]
pub fn pahole() -> Option<PathBuf> {
    let pahole = peer("pahole")?;
    let version = run(&pahole, ["--version"]).stdout;
    let minor = version
        .trim()
        .strip_prefix("v1.")
        .and_then(|minor| minor.parse::<u32>().ok());
    if minor.is_some_and(|minor| minor >= 32) {
        return Some(pahole);
    }
    skip(&format!(
        "pahole is {}, v1.32 is needed: run .ci/peers",
        version.trim()
    ));
    None
}

/// The kernels that `BTF_TESTS_KERNELS` lists; if there are none, [`skip`]s.
#[must_use]
pub fn kernels() -> Vec<PathBuf> {
    let list = std::env::var_os("BTF_TESTS_KERNELS").unwrap_or_default();
    let paths: Vec<_> = std::env::split_paths(&list)
        .filter(|path| path.is_file())
        .collect();
    if paths.is_empty() {
        skip("BTF_TESTS_KERNELS names no vmlinux: run .ci/peers and source its env file");
    }
    paths
}

/// The kernels whose modules are tested, each with the folder of these: the folders that `BTF_TESTS_MODULES` lists, each with a
/// `vmlinux` in it, or else the few modules beside each of [`kernels`].
#[must_use]
pub fn kernels_with_modules() -> Vec<(PathBuf, PathBuf)> {
    if let Some(list) = std::env::var_os("BTF_TESTS_MODULES") {
        let folders = std::env::split_paths(&list);
        return folders
            .map(|folder| (folder.join("vmlinux"), folder))
            .collect();
    }
    let kernels = kernels().into_iter();
    kernels
        .map(|kernel| (kernel.clone(), kernel.with_file_name("modules")))
        .collect()
}

/// The few modules beside one of [`kernels`], sorted; none if there is no folder of them.
#[must_use]
pub fn modules_beside(kernel: &Path) -> Vec<PathBuf> {
    let folder = kernel.with_file_name("modules");
    if folder.is_dir() {
        files_below(&folder, &[".ko"])
    } else {
        Vec::new()
    }
}

/// All files below a folder with one of these endings, sorted.
///
/// # Panics
/// If a folder cannot be read, or a name is not UTF-8.
#[must_use]
pub fn files_below(folder: &Path, endings: &[&str]) -> Vec<PathBuf> {
    let (mut found, mut folders) = (Vec::new(), vec![folder.to_owned()]);
    while let Some(folder) = folders.pop() {
        for entry in folder.read_dir().expect("a folder cannot be read") {
            let path = entry.expect("a folder cannot be read").path();
            let name = path.file_name().and_then(OsStr::to_str);
            let name = name.expect("a name that is not UTF-8");
            if path.is_dir() {
                folders.push(path);
            } else if endings.iter().any(|ending| name.ends_with(ending)) {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

/// Says why a test cannot run, or fails it if nothing may be skipped.
///
/// # Panics
/// If `BTF_TESTS_NO_SKIP` is 1.
pub fn skip(reason: &str) {
    let strict = std::env::var_os("BTF_TESTS_NO_SKIP").is_some_and(|value| value == "1");
    assert!(!strict, "nothing may be skipped: {reason}");
    let thread = std::thread::current();
    let test = thread.name().unwrap_or("a test");
    // Not `eprintln!`, which the test runner catches and drops if the test passes.
    let _ = writeln!(std::io::stderr(), "SKIPPED: {test}: {reason}");
}

fn variable(name: &str) -> Option<PathBuf> {
    let name = format!("BTF_TESTS_{}", name.to_uppercase().replace(['-', '.'], "_"));
    let value = std::env::var_os(name)?;
    (!value.is_empty()).then(|| value.into())
}
