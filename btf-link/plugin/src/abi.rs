//! ld's interface: what it calls, and what can be called of it. All that is unsafe is here.
#![expect(unsafe_code, reason = "the interface is one of C")]
// ld calls the plugin from one thread; the lock is never waited for.

use std::ffi::{CStr, CString, OsStr, c_char, c_int, c_void};
use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use btf_link::link::SharedSymbol;

use crate::session::{Messages, Session};

/// An `enum ld_plugin_status`.
const OK: c_int = 0;
const FAILED: c_int = 3;

/// An `enum ld_plugin_level`.
const LEVEL_ERROR: c_int = 2;

/// The tags of what ld passes at the start, as far as it is used.
mod tag {
    pub(super) const NULL: i32 = 0;
    pub(super) const LINKER_OUTPUT: i32 = 3;
    pub(super) const REGISTER_CLAIM_FILE: i32 = 5;
    pub(super) const REGISTER_ALL_SYMBOLS_READ: i32 = 6;
    pub(super) const REGISTER_CLEANUP: i32 = 7;
    pub(super) const ADD_SYMBOLS: i32 = 8;
    pub(super) const ADD_INPUT_FILE: i32 = 10;
    pub(super) const MESSAGE: i32 = 11;
    pub(super) const OUTPUT_NAME: i32 = 15;
    pub(super) const GET_VIEW: i32 = 18;
}

/// A `struct ld_plugin_tv`.
#[repr(C)]
#[expect(missing_debug_implementations, reason = "its union cannot be shown")]
pub struct Transfer {
    tag: c_int,
    value: Value,
}

/// Its union; each tag has a field.
#[repr(C)]
#[derive(Clone, Copy)]
union Value {
    number: c_int,
    string: *const c_char,
    register_claim_file: extern "C" fn(ClaimFile) -> c_int,
    register_hook: extern "C" fn(Hook) -> c_int,
    add_symbols: AddSymbols,
    add_input_file: AddInputFile,
    message: Message,
    get_view: GetView,
}

/// A `struct ld_plugin_input_file`.
#[repr(C)]
struct InputFile {
    name: *const c_char,
    fd: c_int,
    offset: i64,
    size: i64,
    handle: *mut c_void,
}

/// A `struct ld_plugin_symbol`, of little endian machines; of others the four bytes stand in reverse.
#[repr(C)]
struct Symbol {
    name: *mut c_char,
    version: *mut c_char,
    kinds: [u8; 4],
    visibility: c_int,
    size: u64,
    comdat_key: *mut c_char,
    resolution: c_int,
}

type ClaimFile = extern "C" fn(*const InputFile, *mut c_int) -> c_int;
type Hook = extern "C" fn() -> c_int;
type AddSymbols = extern "C" fn(*mut c_void, c_int, *const Symbol) -> c_int;
type AddInputFile = extern "C" fn(*const c_char) -> c_int;
type Message = unsafe extern "C" fn(c_int, *const c_char, ...) -> c_int;
type GetView = extern "C" fn(*const c_void, *mut *const c_void) -> c_int;

/// What can be called of ld.
#[derive(Clone, Copy)]
struct Linker {
    add_symbols: AddSymbols,
    add_input_file: AddInputFile,
    message: Message,
    get_view: GetView,
}

/// The run, once ld has told what it offers.
static RUN: Mutex<Option<(Linker, Session)>> = Mutex::new(None);

/// Does something with the run; fails if ld has not started it.
fn with_run(act: impl FnOnce(&Linker, &mut Session) -> Result<(), Messages>) -> c_int {
    let mut run = RUN.lock().unwrap_or_else(PoisonError::into_inner);
    let Some((linker, session)) = run.as_mut() else {
        return FAILED;
    };
    match act(linker, session) {
        Ok(()) => OK,
        Err(messages) => {
            for message in messages {
                linker.complain(&message);
            }
            FAILED
        }
    }
}

impl Linker {
    /// Prints an error as ld does. The link goes on, and fails in the end.
    fn complain(&self, text: &str) {
        let text = CString::new(text.replace('\0', "\\0")).unwrap_or_default();
        // SAFETY: the format is a constant that takes one string, which lives until the call ends.
        unsafe { (self.message)(LEVEL_ERROR, c"btf-link: %s".as_ptr(), text.as_ptr()) };
    }

    /// Tells ld the symbols of a file that was taken.
    fn add_symbols(&self, handle: *mut c_void, symbols: &[SharedSymbol]) -> Result<(), Messages> {
        let list: Vec<_> = symbols.iter().map(Symbol::new).collect();
        // ld keeps the names, and bfd the list, for as long as it runs.
        let list: &[Symbol] = list.leak();
        let count = c_int::try_from(list.len()).unwrap_or(c_int::MAX);
        if (self.add_symbols)(handle, count, list.as_ptr()) == OK {
            return Ok(());
        }
        Err(vec!["ld does not take the symbols".to_owned()])
    }
}

impl Symbol {
    fn new(symbol: &SharedSymbol) -> Self {
        // An `enum ld_plugin_symbol_kind`: DEF, WEAKDEF, UNDEF, WEAKUNDEF.
        let kind = match (symbol.is_defined, symbol.is_weak) {
            (true, false) => 0,
            (true, true) => 1,
            (false, false) => 2,
            (false, true) => 3,
        };
        // An `enum ld_plugin_symbol_visibility`: DEFAULT, PROTECTED, INTERNAL, HIDDEN; by ELF's numbers.
        let visibility = match symbol.visibility {
            3 => 1,
            1 => 2,
            2 => 3,
            _ => 0,
        };
        let kinds = if cfg!(target_endian = "little") {
            [kind, 0, 0, 0]
        } else {
            [0, 0, 0, kind]
        };
        Self {
            name: CString::new(&symbol.name[..])
                .unwrap_or_default()
                .into_raw(),
            version: std::ptr::null_mut(),
            kinds,
            visibility,
            size: 0,
            comdat_key: std::ptr::null_mut(),
            resolution: 0,
        }
    }
}

/// Where a plugin begins: ld tells what it offers, and gets told what to call.
///
/// # Safety
/// `transfer` is ld's list, which ends with the tag 0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn onload(transfer: *const Transfer) -> c_int {
    let mut session = Session::default();
    let (mut add_symbols, mut add_input_file, mut message, mut get_view) = (None, None, None, None);
    let mut at = transfer;
    loop {
        // SAFETY: the list ends with the tag 0, and `at` has not gone beyond.
        let &Transfer { tag, value } = unsafe { &*at };
        match tag {
            tag::NULL => break,
            tag::LINKER_OUTPUT => {
                // SAFETY: this tag comes with a number.
                session.is_relocatable = unsafe { value.number } == 0;
            }
            tag::OUTPUT_NAME => {
                // SAFETY: this tag comes with a string.
                let text = unsafe { value.string };
                // SAFETY: it ends with 0, as strings of C do.
                session.output = unsafe { path(text) };
            }
            tag::REGISTER_CLAIM_FILE => {
                // SAFETY: this tag comes with such a function.
                let register = unsafe { value.register_claim_file };
                register(claim_file);
            }
            tag::REGISTER_ALL_SYMBOLS_READ | tag::REGISTER_CLEANUP => {
                // SAFETY: these tags come with such a function.
                let register = unsafe { value.register_hook };
                register(if tag == tag::REGISTER_CLEANUP {
                    cleanup
                } else {
                    all_symbols_read
                });
            }
            // SAFETY: this tag comes with such a function.
            tag::ADD_SYMBOLS => add_symbols = Some(unsafe { value.add_symbols }),
            // SAFETY: this tag comes with such a function.
            tag::ADD_INPUT_FILE => add_input_file = Some(unsafe { value.add_input_file }),
            // SAFETY: this tag comes with such a function.
            tag::MESSAGE => message = Some(unsafe { value.message }),
            // SAFETY: this tag comes with such a function.
            tag::GET_VIEW => get_view = Some(unsafe { value.get_view }),
            _ => {}
        }
        at = at.wrapping_add(1);
    }
    let (Some(add_symbols), Some(add_input_file), Some(message), Some(get_view)) =
        (add_symbols, add_input_file, message, get_view)
    else {
        return FAILED;
    };
    let linker = Linker {
        add_symbols,
        add_input_file,
        message,
        get_view,
    };
    *RUN.lock().unwrap_or_else(PoisonError::into_inner) = Some((linker, session));
    OK
}

/// A path that ld has given.
///
/// # Safety
/// `text` is a string that ends with 0.
unsafe fn path(text: *const c_char) -> PathBuf {
    // SAFETY: the caller says so.
    let text = unsafe { CStr::from_ptr(text) };
    PathBuf::from(OsStr::from_bytes(text.to_bytes()))
}

extern "C" fn claim_file(file: *const InputFile, claimed: *mut c_int) -> c_int {
    with_run(|linker, session| {
        // SAFETY: ld passes a file that lives until this call ends.
        let file = unsafe { &*file };
        // SAFETY: its name is a string that ends with 0.
        let mut name = unsafe { path(file.name) }.display().to_string();
        if file.offset > 0 {
            name = format!("{name}+{:#x}", file.offset);
        }
        let mut view = std::ptr::null();
        let size = usize::try_from(file.size).unwrap_or(0);
        if (linker.get_view)(file.handle, &raw mut view) != OK || view.is_null() || size == 0 {
            return Ok(());
        }
        // SAFETY: ld has mapped that many bytes of the file, at least until this call ends.
        let bytes = unsafe { std::slice::from_raw_parts(view.cast::<u8>(), size) };
        let Some(symbols) = session.claim(&name, bytes)? else {
            return Ok(());
        };
        linker.add_symbols(file.handle, &symbols)?;
        // SAFETY: ld passes a place for the answer.
        unsafe { *claimed = 1 };
        Ok(())
    })
}

extern "C" fn all_symbols_read() -> c_int {
    with_run(|linker, session| {
        let Some(path) = session.link()? else {
            return Ok(());
        };
        let text = CString::new(path.as_os_str().as_bytes()).unwrap_or_default();
        if (linker.add_input_file)(text.as_ptr()) == OK {
            return Ok(());
        }
        Err(vec!["ld does not take the linked object".to_owned()])
    })
}

#[expect(
    clippy::exit,
    reason = "ld does not ask for the status here, and would end with 0"
)]
extern "C" fn cleanup() -> c_int {
    let mut output = PathBuf::new();
    let status = with_run(|_, session| {
        output.clone_from(&session.output);
        session.finish()
    });
    if status != OK {
        let _ = std::fs::remove_file(&output);
        std::process::exit(1);
    }
    status
}
