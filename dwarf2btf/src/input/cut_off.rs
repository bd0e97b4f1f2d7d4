//! Cut off: a message where mapped bytes cannot be read, with the name of the file.
//!
//! Somebody cut the file off, or its disk fails: then the signal SIGBUS would kill the process without a word. Its handler must
//! neither allocate nor lock, so what it says is put down when a file is mapped, in places made of atomic numbers.

use std::ops::Range;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicUsize};

use btf_core::Result;
use btf_core::cli::escape_name;

use super::io_error;

/// How many files are known by name at once: more than a program has open, unless it has very many threads.
const FILES: usize = 64;
/// How many bytes of a name are shown.
const NAME_BYTES: usize = 512;
/// Shown if a file is not known by its name.
const UNNAMED: &[u8] = b"an input file";
const CUT_OFF: &[u8] = b": cut off while it was read, or its disk failed\n";

/// A mapped file, as the signal handler finds it.
///
/// Of the file that a thread reads nothing changes while that thread's handler looks. Another one may come or go meanwhile: then
/// the handler may see it half, but all that can come of it is a wrong name.
struct Place {
    is_taken: AtomicBool,
    /// Where its bytes begin and end; that is 0 if there are none. Whoever finds an end finds the beginning that belongs to it, as that
    /// is stored before, unless the place is taken again meanwhile.
    start: AtomicUsize,
    end: AtomicUsize,
    name_len: AtomicUsize,
    name: [AtomicU8; NAME_BYTES],
}

static PLACES: [Place; FILES] = [const { Place::new() }; FILES];

impl Place {
    const fn new() -> Self {
        Self {
            is_taken: AtomicBool::new(false),
            start: AtomicUsize::new(0),
            end: AtomicUsize::new(0),
            name_len: AtomicUsize::new(0),
            name: [const { AtomicU8::new(0) }; NAME_BYTES],
        }
    }

    fn holds(&self, address: usize) -> bool {
        let end = self.end.load(Acquire);
        (self.start.load(Acquire)..end).contains(&address)
    }
}

/// Keeps a file known by its name while it is mapped; must be dropped before the mapping is.
#[derive(Debug)]
pub(super) struct Named(Option<usize>);

impl Named {
    /// Makes known whose bytes are at these addresses. If there are too many files, or their names are too long, the message has
    /// no name or a part of it.
    pub(super) fn new(addresses: Range<*const u8>, path: &Path) -> Self {
        let take = |place: &Place| !place.is_taken.swap(true, Acquire);
        let index = PLACES.iter().position(take);
        if let Some(index) = index {
            let place = &PLACES[index];
            let name = escape_name(path.as_os_str().as_bytes());
            let name = &name.as_bytes()[..name.floor_char_boundary(NAME_BYTES)];
            for (to, &from) in place.name.iter().zip(name) {
                to.store(from, Relaxed);
            }
            place.name_len.store(name.len(), Relaxed);
            place.start.store(addresses.start.addr(), Release);
            place.end.store(addresses.end.addr(), Release);
        }
        Self(index)
    }
}

impl Drop for Named {
    fn drop(&mut self) {
        if let Some(place) = self.0.map(|index| &PLACES[index]) {
            place.end.store(0, Release);
            place.is_taken.store(false, Release);
        }
    }
}

/// From now on ends the process with `status` where bytes of an [`Input`](super::Input) cannot be read, having written to standard
/// error, behind `prefix`, which file was cut off.
///
/// For programs; a library has no business with signals.
///
/// # Errors
/// [`ErrorKind::Io`](btf_core::ErrorKind::Io) if the signal cannot be caught.
pub fn exit_if_cut_off(prefix: &'static str, status: i32) -> Result<()> {
    let end = move |info: &libc::siginfo_t| {
        #[expect(unsafe_code, reason = "the address is in a union")]
        // SAFETY: For SIGBUS the system sets the address, says sigaction(2); if another process has sent the signal, the union
        // holds other numbers in its place, and no file is found.
        let address = unsafe { info.si_addr() };
        write_message(prefix, address.addr());
        #[expect(unsafe_code, reason = "a signal handler must not run what `exit` runs")]
        // SAFETY: _exit(2) takes a number and does not return.
        unsafe {
            libc::_exit(status)
        }
    };
    #[expect(unsafe_code, reason = "what a signal handler may do is little")]
    // SAFETY: `end` reads atomic numbers, calls write(2) and _exit(2) and does nothing else, all of which signal-safety(7) allows:
    // it does not allocate, lock, panic or return to the code that was interrupted.
    let registered = unsafe { signal_hook_registry::register_sigaction(libc::SIGBUS, end) };
    registered.map_err(|error| io_error("catch the signal SIGBUS", error))?;
    Ok(())
}

/// Writes to standard error that the file at `address` was cut off.
fn write_message(prefix: &str, address: usize) {
    let mut name = [0; NAME_BYTES];
    let place = PLACES.iter().find(|place| place.holds(address));
    let len = place.map_or(0, |place| {
        for (to, from) in name.iter_mut().zip(&place.name) {
            *to = from.load(Relaxed);
        }
        place.name_len.load(Relaxed)
    });
    let name = name.get(..len).filter(|name| !name.is_empty());
    for text in [prefix.as_bytes(), name.unwrap_or(UNNAMED), CUT_OFF] {
        // Nobody is left to tell if this fails.
        let _ = rustix::io::write(rustix::stdio::stderr(), text);
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::process::{Command, Output};

    use super::super::Input;
    use super::*;

    /// Names the files that [`reads_what_is_cut_off`] opens, of which it cuts off the last.
    const FILES_TO_OPEN: &str = "DWARF2BTF_TEST_CUT_OFF";

    fn read_cut_off(paths: &[&Path]) -> Output {
        let name = "input::cut_off::tests::reads_what_is_cut_off";
        Command::new(std::env::current_exe().unwrap())
            .args(["--exact", name, "--ignored", "--nocapture"])
            .env(FILES_TO_OPEN, std::env::join_paths(paths).unwrap())
            .output()
            .unwrap()
    }

    #[test]
    fn a_file_that_is_cut_off_ends_the_process_with_its_name() {
        let folder = tempfile::tempdir().unwrap();
        let paths = ["a module", "its\nbase"].map(|name| folder.path().join(name));
        for path in &paths {
            File::create(path).unwrap().set_len(1 << 18).unwrap();
        }
        let [module, base] = paths.each_ref().map(|path| &**path);
        for (files, name) in [
            ([base, module], "a module"),
            ([module, base], "its\\u{a}base"),
        ] {
            for path in files {
                File::options()
                    .write(true)
                    .open(path)
                    .unwrap()
                    .set_len(1 << 18)
                    .unwrap();
            }
            let outcome = read_cut_off(&files);
            assert_eq!(outcome.status.code(), Some(2), "{outcome:?}");
            let text = String::from_utf8_lossy(&outcome.stderr);
            let end = format!("{name}: cut off while it was read, or its disk failed\n");
            assert!(
                text.contains("program: error: /") && text.ends_with(&end),
                "{text}"
            );
        }
    }

    #[test]
    #[ignore = "ends the process; the test above runs it in one of its own"]
    fn reads_what_is_cut_off() {
        let Some(paths) = std::env::var_os(FILES_TO_OPEN) else {
            return;
        };
        exit_if_cut_off("program: error: ", 2).unwrap();
        let paths: Vec<_> = std::env::split_paths(&paths).collect();
        let inputs: Vec<_> = paths
            .iter()
            .map(|path| Input::open(path).unwrap())
            .collect();
        let file = File::options().write(true).open(paths.last().unwrap());
        file.unwrap().set_len(0).unwrap();
        let bytes = inputs.iter().flat_map(Input::bytes);
        let sum: u64 = bytes.map(|byte| u64::from(*byte)).sum();
        panic!("read {sum} from nothing");
    }

    #[test]
    fn a_name_is_known_as_long_as_its_file_is_mapped() {
        let bytes = [0_u8; 8];
        let middle = bytes.as_ptr().addr() + 4;
        let is_known = || PLACES.iter().any(|place| place.holds(middle));
        let long = "ä".repeat(NAME_BYTES);
        let named = Named::new(bytes.as_ptr_range(), Path::new(&long));
        assert!(is_known());
        let place = PLACES.iter().find(|place| place.holds(middle)).unwrap();
        assert_eq!(place.name_len.load(Relaxed), NAME_BYTES);
        drop(named);
        assert!(!is_known());
        // More files than there are places for.
        let all: Vec<_> = (0..=FILES)
            .map(|_| Named::new(bytes.as_ptr_range(), Path::new("x")))
            .collect();
        assert!(all.last().is_some_and(|last| last.0.is_none()));
        drop(all);
        assert!(!is_known());
    }
}
