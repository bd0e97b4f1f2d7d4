//! Writes the result, whole or not at all.
//!
//! A file is written beside its target under a passing name and then renamed, so that whoever looks at the target sees the
//! old file or the new one, and a run that fails leaves the old one. What cannot be renamed onto (a pipe, `/dev/stdout`)
//! is written to as it is.

use std::fs::{File, OpenOptions, Permissions};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use btf_core::{Error, ErrorKind, Result};

/// The permissions of a new file, from which the process's umask takes away.
const NEW_MODE: u32 = 0o644;
/// Names of standard output. The last three are links, but what they lead to belongs to whoever opened it.
const STDOUT: [&str; 4] = ["-", "/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"];
/// As many symbolic links are followed as Linux follows (`path_resolution(7)`).
const MAX_LINKS: usize = 40;

/// Writes `bytes` to `target`; `-` is standard output.
///
/// A file that exists keeps its permissions, and a symbolic link stays one: what it points to is replaced. A file that
/// may not be written to is not replaced either, though its folder would allow it.
///
/// # Errors
/// [`ErrorKind::Io`] if something cannot be created or written; the target is then as it was, unless it cannot be renamed
/// onto.
pub fn write(target: &Path, bytes: &[u8]) -> Result<()> {
    if STDOUT.iter().any(|name| target == Path::new(name)) {
        let mut stdout = std::io::stdout().lock();
        let written = stdout.write_all(bytes).and_then(|()| stdout.flush());
        return written.map_err(failed("write to standard output"));
    }
    match std::fs::metadata(target) {
        Ok(metadata) if metadata.is_file() => {
            drop(open_existing(target)?);
            let target = std::fs::canonicalize(target).map_err(failed("find the output"))?;
            replace(&target, Some(metadata.permissions()), bytes)
        }
        Ok(_) => {
            let mut file = open_existing(target)?;
            file.write_all(bytes).map_err(failed("write the output"))
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            replace(&follow_links(target), None, bytes)
        }
        Err(error) => Err(failed("look at the output")(error)),
    }
}

/// The file that `path`, which may be a link to nowhere, would be created as.
fn follow_links(path: &Path) -> PathBuf {
    let mut path = path.to_owned();
    for _ in 0..MAX_LINKS {
        let Ok(link) = std::fs::read_link(&path) else {
            break;
        };
        path = path.parent().unwrap_or(Path::new("")).join(link);
    }
    path
}

fn open_existing(target: &Path) -> Result<File> {
    OpenOptions::new()
        .write(true)
        .open(target)
        .map_err(failed("write to the output"))
}

/// Puts a file with these bytes in the place of `target`; `old` are the permissions of the file that is there.
fn replace(target: &Path, old: Option<Permissions>, bytes: &[u8]) -> Result<()> {
    let folder = match target.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let mut prefix = std::ffi::OsString::from(".");
    prefix.push(target.file_name().unwrap_or_default());
    prefix.push(".");
    let mut temporary = tempfile::Builder::new()
        .prefix(&prefix)
        .suffix(".tmp")
        .permissions(Permissions::from_mode(NEW_MODE))
        .tempfile_in(folder)
        // Only the kind: tempfile adds the passing name, which tells nobody anything.
        .map_err(|error| failed("create a file beside the output")(error.kind().into()))?;
    temporary
        .write_all(bytes)
        .map_err(failed("write the output"))?;
    if let Some(permissions) = old {
        // The umask has nothing to say about a file that was there before.
        let changed = temporary.as_file().set_permissions(permissions);
        changed.map_err(failed("set the output's permissions"))?;
    }
    temporary
        .persist(target)
        .map_err(|error| failed("rename the output to its name")(error.error))?;
    Ok(())
}

fn failed(what: &'static str) -> impl FnOnce(std::io::Error) -> Error {
    move |error| Error::new(ErrorKind::Io(what)).caused_by(error)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::symlink;

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<_> = fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn a_new_file_is_readable_and_nothing_else_is_left() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("new");
        write(&target, b"bytes").unwrap();
        assert_eq!(fs::read(&target).unwrap(), b"bytes");
        let mode = fs::metadata(&target).unwrap().permissions().mode();
        assert_eq!(mode & 0o600, 0o600);
        assert_eq!(mode & 0o133, 0);
        assert_eq!(names(folder.path()), ["new"]);
    }

    #[test]
    fn an_old_file_keeps_its_permissions_and_loses_its_tail() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("old");
        fs::write(&target, b"much longer than before").unwrap();
        fs::set_permissions(&target, Permissions::from_mode(0o602)).unwrap();
        write(&target, b"short").unwrap();
        assert_eq!(fs::read(&target).unwrap(), b"short");
        let mode = fs::metadata(&target).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o602);
    }

    #[test]
    fn links_stay_links() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        symlink("second", path("first")).unwrap();
        symlink("file", path("second")).unwrap();
        write(&path("first"), b"one").unwrap();
        write(&path("first"), b"two").unwrap();
        assert_eq!(fs::read(path("file")).unwrap(), b"two");
        assert!(fs::symlink_metadata(path("first")).unwrap().is_symlink());
        assert_eq!(names(folder.path()), ["file", "first", "second"]);
    }

    #[test]
    fn what_is_no_regular_file_is_written_to() {
        write(Path::new("/dev/null"), b"bytes").unwrap();
        assert!(!fs::metadata("/dev/null").unwrap().is_file());
    }

    #[test]
    fn failures_leave_nothing() {
        let folder = tempfile::tempdir().unwrap();
        assert!(write(&folder.path().join("no/such/folder"), b"x").is_err());
        assert!(write(folder.path(), b"x").is_err());
        assert!(names(folder.path()).is_empty());
    }
}
