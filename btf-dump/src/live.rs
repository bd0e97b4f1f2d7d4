//! Asks the running kernel whether it takes BTF: `bpf(BPF_BTF_LOAD)`.
//!
//! The kernel reads the bytes and answers with a descriptor, which is closed at once, or with an error and a log. Nothing
//! stays loaded. It takes `CAP_BPF`, as `bpftool` does.
//!
//! The system call has no safe wrapper in any crate that we could use without a C library, so it is made here, by the
//! only unsafe code of this crate.
//!
//! Spec: bpf(2); include/uapi/linux/bpf.h of Linux 7.2, `union bpf_attr`, `BPF_BTF_LOAD`.

use std::io;
use std::os::fd::{FromRawFd as _, OwnedFd};

/// The number of the command `BPF_BTF_LOAD`.
const BPF_BTF_LOAD: libc::c_int = 18;

/// The largest log in bytes that is asked for. Since Linux 6.4 a longer one loses its start, which nobody needs.
const LOG_LEN: usize = 1 << 20;

/// The error number that the kernel uses for what it does not support, which user space does not know.
const ENOTSUPP: i32 = 524;

/// What the kernel says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It takes the BTF.
    Accepted,
    /// It does not.
    Refused(Refusal),
}

/// Why the kernel refuses BTF.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The error number.
    pub errno: i32,
    /// The last line of the verifier's log, which names the fault; empty if it says nothing.
    pub message: String,
}

/// The part of `union bpf_attr` that belongs to the command.
#[repr(C)]
struct BtfLoad {
    btf: u64,
    log_buf: u64,
    btf_size: u32,
    log_size: u32,
    log_level: u32,
    /// Written by the kernel since 6.4; must be 0 before.
    log_true_size: u32,
}

/// Asks the kernel about a blob.
///
/// # Errors
/// If the kernel cannot be asked: the process may not, the kernel has no BPF, or is out of memory.
pub fn load(blob: &[u8]) -> io::Result<Answer> {
    let Err(error) = call(blob, &mut []) else {
        return Ok(Answer::Accepted);
    };
    let errno = error.raw_os_error().unwrap_or(0);
    // What the call points to is ours, so EFAULT is an answer: the kernel gives it for special fields without a place.
    if matches!(
        errno,
        libc::EPERM | libc::EACCES | libc::ENOSYS | libc::ENOMEM
    ) {
        return Err(error);
    }
    let mut log = vec![0; LOG_LEN];
    // The answer is known; a log that does not fit would only replace it.
    let _ = call(blob, &mut log);
    let end = log.iter().position(|&byte| byte == 0);
    let log = log.get(..end.unwrap_or(log.len())).unwrap_or_default();
    let log = String::from_utf8_lossy(log);
    let last = log.lines().rfind(|line| !line.trim().is_empty());
    let message = last.unwrap_or_default().trim().to_owned();
    Ok(Answer::Refused(Refusal { errno, message }))
}

/// The name of an error number and what it means, as far as the kernel uses it for BTF.
#[must_use]
pub fn describe(errno: i32) -> String {
    if errno == ENOTSUPP {
        return "not supported (ENOTSUPP)".to_owned();
    }
    io::Error::from_raw_os_error(errno).to_string()
}

/// Makes the call; `log` is where the kernel writes its log, if it has room.
#[expect(
    unsafe_code,
    reason = "there is no safe wrapper of bpf(2) without a C library"
)]
fn call(blob: &[u8], log: &mut [u8]) -> io::Result<OwnedFd> {
    let len =
        |len: usize| u32::try_from(len).map_err(|_| io::Error::from_raw_os_error(libc::E2BIG));
    let mut attr = BtfLoad {
        btf: blob.as_ptr() as u64,
        log_buf: if log.is_empty() {
            0
        } else {
            log.as_mut_ptr() as u64
        },
        btf_size: len(blob.len())?,
        log_size: len(log.len())?,
        log_level: u32::from(!log.is_empty()),
        log_true_size: 0,
    };
    // SAFETY: the kernel reads and writes `size_of::<BtfLoad>()` bytes at `attr`, reads `btf_size` bytes at `btf`, which is
    // `blob`, and writes at most `log_size` bytes at `log_buf`, which is `log`; `attr` and `log` are ours alone. All outlive
    // the call, and the kernel keeps no pointer. The structure is laid out as the kernel's header says, without padding;
    // fields that it lacks count as 0.
    let result = unsafe {
        libc::syscall(
            libc::SYS_bpf,
            BPF_BTF_LOAD,
            &raw mut attr,
            size_of::<BtfLoad>(),
        )
    };
    let fd = i32::try_from(result).map_err(io::Error::other)?;
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel has just opened this descriptor for us, and nobody else knows of it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}
