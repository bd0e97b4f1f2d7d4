//! Writes a result, whole or not at all.
//!
//! A file is written in its target's folder and then renamed onto the target, so that whoever looks at the target sees the
//! old file or the new one, and a run that fails leaves the old one. Of two runs on one target each puts a whole file
//! there, and the last one wins. What cannot be renamed onto (a pipe, `/dev/stdout`) is written to as it is.
//!
//! Until it is complete the new file has no name at all (`O_TMPFILE`, where the file system can): the system removes it
//! when the process ends, however it ends, so that no signal has to be caught for that. Nothing is forced to the disk: a
//! result can be made again, and a build writes thousands.
//!
//! A file that takes another's place is a new one. It gets the old one's permissions and, where the system permits, its
//! owner and group; other hard links to the old file keep the old contents, and extended attributes are not carried over.

use std::fs::{File, Metadata, OpenOptions, Permissions};
use std::io::{Read as _, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, Mode, OFlags};

use crate::builder::Blob;
use crate::distill::is_distilled;
use crate::error::{Error, ErrorKind, Result};
use crate::reader::Btf;

/// The permissions of a new file, from which the process's umask takes away.
const NEW_MODE: u32 = 0o644;
/// The bits that let a program run as its file's owner or group.
const SET_ID_MODE: u32 = 0o6000;
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
    write_parts(target, [bytes])
}

/// Writes `parts`, which follow each other, to `target` in the manner of [`write()`].
///
/// # Errors
/// Those of [`write()`].
pub fn write_parts<'p>(target: &Path, parts: impl IntoIterator<Item = &'p [u8]>) -> Result<()> {
    write_with(target, |out| {
        let mut parts = parts.into_iter();
        parts.try_for_each(|part| out.write_all(part).map_err(failed("write the output")))
    })
}

/// Writes BTF to `target` in the manner of [`write()`], without putting all of it together in memory.
///
/// # Errors
/// Those of [`write()`].
pub fn write_blob(target: &Path, blob: &Blob<'_>) -> Result<()> {
    write_with(target, |out| {
        blob.write_to(out).map_err(failed("write the output"))
    })
}

/// Writes BTF to `target`, and the distilled base that it continues, if there is one, to [`base_path`].
///
/// The base is there first, but what `target` itself is refused for is found before. Nobody names that second file, so it replaces
/// only an empty one and what an earlier run can have written: a distilled base, or the same bytes.
///
/// # Errors
/// Those of [`write()`]; if there is a base, a `target` that is there and no file, as nobody looks for a file beside that, and another
/// file in the place of the base.
pub fn write_with_base(target: &Path, btf: &[u8], base: Option<&[u8]>) -> Result<()> {
    let is_other =
        || is_stdout(target) || std::fs::metadata(target).is_ok_and(|metadata| !metadata.is_file());
    if base.is_some() && is_other() {
        let kind = ErrorKind::Io("write a base beside what is no file");
        return Err(Error::new(kind));
    }
    let in_base = |error| {
        let kind = ErrorKind::Io("write its base to the same name with `.base` behind it");
        Error::new(kind).caused_by(error)
    };
    if let Some(base) = base {
        check_old_base(&base_path(target), base).map_err(in_base)?;
    }
    write_with(target, |out| {
        out.write_all(btf).map_err(failed("write the output"))?;
        let Some(base) = base else { return Ok(()) };
        write(&base_path(target), base).map_err(in_base)
    })
}

/// Refuses to replace a file by `base` that is something else than a distilled base.
fn check_old_base(path: &Path, base: &[u8]) -> Result<()> {
    // What is no file is left to whoever writes.
    if !path.is_file() {
        return Ok(());
    }
    let mut old = Vec::new();
    let read = File::open(path).and_then(|mut file| file.read_to_end(&mut old));
    read.map_err(failed("read the file that is there"))?;
    let is_replaceable =
        old.is_empty() || old == base || Btf::parse(&old, None).is_ok_and(|old| is_distilled(&old));
    if is_replaceable {
        return Ok(());
    }
    let kind = ErrorKind::Io("replace the file that is there, as it is no distilled base");
    Err(Error::new(kind))
}

/// Where the distilled base of the raw BTF in `target` is: beside it, with `.base` behind its name.
#[must_use]
pub fn base_path(target: &Path) -> PathBuf {
    let mut name = target.as_os_str().to_owned();
    name.push(".base");
    name.into()
}

/// An output that would replace an input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReplacesInput {
    /// The input as it was named.
    pub input: PathBuf,
}

impl std::fmt::Display for ReplacesInput {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{}: the input is also the output, which would replace it; name another output",
            self.input.display()
        )
    }
}

impl std::error::Error for ReplacesInput {}

/// Makes sure that writing to `target` leaves the files `inputs` as they are, by whatever names they are called.
///
/// # Errors
/// The first input that it would replace.
pub fn check_target<'a>(
    target: &Path,
    inputs: impl IntoIterator<Item = &'a Path>,
) -> std::result::Result<(), ReplacesInput> {
    let identity = |path: &Path| {
        let metadata = std::fs::metadata(path).ok()?;
        metadata.is_file().then(|| (metadata.dev(), metadata.ino()))
    };
    let target = identity(target).filter(|_| !is_stdout(target));
    let mut inputs = inputs.into_iter();
    match inputs.find(|input| target.is_some() && target == identity(input)) {
        Some(input) => Err(ReplacesInput {
            input: input.to_owned(),
        }),
        None => Ok(()),
    }
}

/// Writes to `target` what `fill` writes to the writer that it is given, in the manner of [`write()`].
///
/// The writer is not buffered. What `fill` reads may be the old file, mapped: it is not touched, and whether it changed
/// meanwhile is best asked at the end of `fill`, because its error leaves the target as it was.
///
/// # Errors
/// Those of [`write()`] and of `fill`.
pub fn write_with(target: &Path, fill: impl FnOnce(&mut dyn Write) -> Result<()>) -> Result<()> {
    if is_stdout(target) {
        let mut stdout = std::io::stdout().lock();
        fill(&mut stdout)?;
        return stdout.flush().map_err(failed("write to standard output"));
    }
    match std::fs::metadata(target) {
        Ok(old) if old.is_file() => {
            drop(open_existing(target)?);
            let target = std::fs::canonicalize(target).map_err(failed("find the output"))?;
            replace(&target, Some(&old), fill)
        }
        Ok(_) => fill(&mut open_existing(target)?),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            replace(&follow_links(target), None, fill)
        }
        Err(error) => Err(failed("look at the output")(error)),
    }
}

/// Whether a target is standard output.
#[must_use]
pub fn is_stdout(target: &Path) -> bool {
    STDOUT.iter().any(|name| target == Path::new(name))
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

/// Puts a new file in the place of `target`; `old` is what is known of the file that is there.
fn replace(
    target: &Path,
    old: Option<&Metadata>,
    fill: impl FnOnce(&mut dyn Write) -> Result<()>,
) -> Result<()> {
    let folder = match target.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let mut builder = tempfile::Builder::new();
    builder.prefix(".btf-").suffix(".tmp");
    // The system's own error: tempfile adds the temporary name, which tells nobody anything.
    let mut cause = None;
    let mut make = |make: &dyn Fn(&Path) -> std::io::Result<File>| {
        let made = builder.make_in(folder, |path| {
            make(path).inspect_err(|error| cause = error.raw_os_error())
        });
        made.map_err(|error| {
            let cause = cause.map(std::io::Error::from_raw_os_error);
            failed("create a file beside the output")(cause.unwrap_or(error))
        })
    };
    let renamed = if let Some(mut file) = open_unnamed(folder) {
        fill(&mut file)?;
        take_after(&file, old)?;
        let named = make(&|path| {
            give_name(&file, path)?;
            file.try_clone()
        })?;
        let renamed = named.persist(target);
        renamed.map(drop).map_err(|error| error.error)
    } else {
        let new = |path: &Path| {
            let mut options = OpenOptions::new();
            let options = options.write(true).create_new(true).mode(NEW_MODE);
            options.open(path)
        };
        let mut file = make(&new)?;
        fill(file.as_file_mut())?;
        take_after(file.as_file(), old)?;
        let renamed = file.persist(target);
        renamed.map(drop).map_err(|error| error.error)
    };
    renamed.map_err(failed("rename the output to its name"))
}

/// The folder through which a file without a name gets one (`open(2)`, `O_TMPFILE`).
const DESCRIPTORS: &str = "/proc/self/fd";

/// A new file without a name, if the file system has such files and they can get a name later.
fn open_unnamed(folder: &Path) -> Option<File> {
    if !Path::new(DESCRIPTORS).is_dir() {
        return None;
    }
    let flags = OFlags::TMPFILE | OFlags::WRONLY | OFlags::CLOEXEC;
    let file = rustix::fs::open(folder, flags, Mode::from_raw_mode(NEW_MODE));
    file.ok().map(File::from)
}

/// Gives the name `path` to a file of [`open_unnamed`].
fn give_name(file: &File, path: &Path) -> std::io::Result<()> {
    use std::os::fd::AsRawFd;
    let descriptor = Path::new(DESCRIPTORS).join(file.as_raw_fd().to_string());
    rustix::fs::linkat(CWD, descriptor, CWD, path, AtFlags::SYMLINK_FOLLOW)?;
    Ok(())
}

/// Gives `file` the owner and group of `old`, if this process may, and its permissions.
fn take_after(file: &File, old: Option<&Metadata>) -> Result<()> {
    let Some(old) = old else {
        return Ok(());
    };
    // Before the permissions, because a change of owner takes bits of them away.
    let mut mode = old.permissions().mode();
    let new = file
        .metadata()
        .map_err(failed("read the output's permissions"))?;
    if (new.uid(), new.gid()) != (old.uid(), old.gid())
        && fchown(file, Some(old.uid()), Some(old.gid())).is_err()
    {
        // What was allowed to its former owner must not be allowed to another.
        mode &= !SET_ID_MODE;
    }
    // The umask has nothing to say about a file that was there before.
    let changed = file.set_permissions(Permissions::from_mode(mode));
    changed.map_err(failed("set the output's permissions"))
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
    fn errors_are_in_the_words_of_the_system() {
        use std::error::Error as _;
        let folder = tempfile::tempdir().unwrap();
        let error = write(&folder.path().join("no/such"), b"x").unwrap_err();
        let cause = error.source().unwrap().to_string();
        assert_eq!(cause, "No such file or directory (os error 2)");
    }

    #[test]
    fn failures_leave_nothing() {
        let folder = tempfile::tempdir().unwrap();
        assert!(write(&folder.path().join("no/such/folder"), b"x").is_err());
        assert!(write(folder.path(), b"x").is_err());
        assert!(names(folder.path()).is_empty());
    }

    #[test]
    fn what_fails_in_the_middle_leaves_the_old_file() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("file");
        fs::write(&target, b"old").unwrap();
        let error = write_with(&target, |out| {
            out.write_all(b"new, but").unwrap();
            Err(ErrorKind::Changed.into())
        });
        assert_eq!(*error.unwrap_err().kind(), ErrorKind::Changed);
        assert_eq!(fs::read(&target).unwrap(), b"old");
        assert_eq!(names(folder.path()), ["file"]);
    }

    #[test]
    fn an_input_is_known_by_all_its_names() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        fs::write(path("file"), b"bytes").unwrap();
        fs::write(path("other"), b"bytes").unwrap();
        fs::hard_link(path("file"), path("hard")).unwrap();
        std::os::unix::fs::symlink("file", path("link")).unwrap();
        let file = path("file");
        for name in ["file", "hard", "link"] {
            let error = check_target(&path(name), [&*path("other"), &*file]).unwrap_err();
            assert_eq!(error.input, file, "{name}");
        }
        for target in [path("other"), path("none"), PathBuf::from("-")] {
            assert_eq!(check_target(&target, [&*file]), Ok(()));
        }
    }

    #[test]
    fn the_new_file_has_no_name_before_it_is_complete() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("file");
        fs::write(&target, b"old").unwrap();
        let is_unnamed = open_unnamed(folder.path()).is_some();
        write_with(&target, |out| {
            out.write_all(b"new").unwrap();
            // Where the file system has only files with names, there is a passing one.
            assert_eq!(names(folder.path()).len(), if is_unnamed { 1 } else { 2 });
            assert_eq!(fs::read(&target).unwrap(), b"old");
            Ok(())
        })
        .unwrap();
        assert_eq!(fs::read(&target).unwrap(), b"new");
    }

    #[test]
    fn of_two_runs_at_once_the_last_one_wins() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("file");
        fs::write(&target, b"old").unwrap();
        write_with(&target, |out| {
            out.write_all(b"first to begin, ").unwrap();
            write(&target, b"second to begin").unwrap();
            assert_eq!(fs::read(&target).unwrap(), b"second to begin");
            out.write_all(b"last to end").unwrap();
            Ok(())
        })
        .unwrap();
        assert_eq!(fs::read(&target).unwrap(), b"first to begin, last to end");
        assert_eq!(names(folder.path()), ["file"]);
    }

    #[test]
    fn other_names_keep_the_old_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        fs::write(path("one"), b"old").unwrap();
        fs::hard_link(path("one"), path("two")).unwrap();
        write(&path("one"), b"new").unwrap();
        assert_eq!(fs::read(path("one")).unwrap(), b"new");
        assert_eq!(fs::read(path("two")).unwrap(), b"old");
    }

    #[test]
    fn a_long_name_is_no_obstacle() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("n".repeat(255));
        write(&target, b"bytes").unwrap();
        assert_eq!(fs::read(&target).unwrap(), b"bytes");
    }

    #[test]
    fn a_full_disk_is_an_error() {
        let error = write(Path::new("/dev/full"), b"bytes").unwrap_err();
        assert_eq!(*error.kind(), ErrorKind::Io("write the output"));
    }
}
