//! How a program ends.

use std::process::ExitCode;

/// The status that a program exits with. A signal ends it as it ends any program: a shell then shows 128 and the signal's
/// number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExitStatus {
    /// It did what was asked.
    Done,
    /// It ran, and the answer is no: differences, findings, a check that failed.
    No,
    /// It could not run: bad usage, input or output that failed, bad input.
    Failed,
}

impl ExitStatus {
    /// The status as a number.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::No => 1,
            Self::Failed => 2,
        }
    }

    /// No if there is something to say no to, else done.
    #[must_use]
    pub const fn no_if(condition: bool) -> Self {
        if condition { Self::No } else { Self::Done }
    }
}

impl From<ExitStatus> for ExitCode {
    fn from(status: ExitStatus) -> Self {
        Self::from(status.code())
    }
}

/// Whether the error comes from writing to somebody who has stopped reading.
#[must_use]
pub fn is_broken_pipe(error: &(dyn std::error::Error + 'static)) -> bool {
    std::iter::successors(Some(error), |error| error.source()).any(|error| {
        error
            .downcast_ref::<std::io::Error>()
            .is_some_and(|error| error.kind() == std::io::ErrorKind::BrokenPipe)
    })
}

/// What became of an answer that was written: that its reader has gone away is no error, and changes nothing about it.
///
/// A command that judges goes on with this, so that its status is the same whoever listens: `tool | head` must not make a
/// success of a no.
///
/// # Errors
/// Those of `written`, but for a broken pipe.
pub fn ignore_broken_pipe<E: std::error::Error + 'static>(written: Result<(), E>) -> Result<(), E> {
    match written {
        Err(error) if is_broken_pipe(&error) => Ok(()),
        written => written,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Error, ErrorKind};

    #[test]
    fn each_status_has_its_number() {
        let codes = [ExitStatus::Done, ExitStatus::No, ExitStatus::Failed].map(ExitStatus::code);
        assert_eq!(codes, [0, 1, 2]);
        assert_eq!(ExitStatus::no_if(true), ExitStatus::No);
        assert_eq!(ExitStatus::no_if(false), ExitStatus::Done);
    }

    #[test]
    fn a_broken_pipe_is_found_below_other_errors() {
        let with = |kind: std::io::ErrorKind| {
            Error::new(ErrorKind::Io("write")).caused_by(std::io::Error::from(kind))
        };
        assert!(is_broken_pipe(&with(std::io::ErrorKind::BrokenPipe)));
        assert!(!is_broken_pipe(&with(std::io::ErrorKind::NotFound)));
        let written = |kind| ignore_broken_pipe(Err(with(kind)));
        assert!(written(std::io::ErrorKind::BrokenPipe).is_ok());
        assert!(written(std::io::ErrorKind::NotFound).is_err());
        assert!(!is_broken_pipe(&Error::new(ErrorKind::Cycle)));
    }
}
