//! Unpacks compressed debug sections.
//!
//! The size that a section claims is input like all else: it is held against the file's size before anything is allocated,
//! and the output grows with what really comes out.
//!
//! Spec: gABI ch. 4 "Section Compression"; for `.zdebug_*` the form that GNU binutils used before it.

use std::io::Read;

use btf_core::{Error, ErrorKind, Result};

/// How a section is packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Method {
    /// A zlib stream (`ELFCOMPRESS_ZLIB` and `.zdebug_*`).
    Zlib,
    /// One or more zstd frames (`ELFCOMPRESS_ZSTD`).
    Zstd,
}

/// Most bytes that all debug sections together may become for each byte of the file. Those of kernels and modules, packed
/// with zlib or zstd, become 1.5 times as much as their file, and single ones up to 7 times their size; a table that
/// relocations fill in is all zeros and shrinks to nearly nothing, but not so the relocations beside it.
const MAX_RATIO: u64 = 16;
/// What sections may become whatever the size of the file, in bytes.
const ALLOWANCE_BYTES: u64 = 1 << 20;
/// The largest size in bytes of all when unpacked: a vmlinux with every option on stays below 8 GiB.
const MAX_BYTES: u64 = 1 << 34;
/// First allocation in bytes, which doubles until the claimed size is reached.
const FIRST_BYTES: usize = 1 << 24;
/// What a zstd frame may always ask for as its window, in bytes, as the format recommends.
const MIN_WINDOW_BYTES: u64 = 8 << 20;

/// Whether the debug sections of a file of `file_len` bytes may become `claimed` bytes.
///
/// # Errors
/// [`ErrorKind::TooLarge`] if not.
pub(super) fn check_claim(claimed: u64, file_len: u64) -> Result<()> {
    let limit = file_len
        .saturating_mul(MAX_RATIO)
        .saturating_add(ALLOWANCE_BYTES)
        .min(MAX_BYTES);
    if claimed <= limit {
        return Ok(());
    }
    Err(Error::new(ErrorKind::TooLarge {
        what: "size in bytes of the debug sections up to this one, when unpacked,",
        value: claimed,
        limit,
    }))
}

/// Unpacks `packed`, which must become `claimed` bytes; [`check_claim`] has found that to be bearable.
///
/// # Errors
/// [`ErrorKind::Compressed`] if the data are damaged or become more or fewer bytes.
pub(super) fn unpack(method: Method, packed: &[u8], claimed: u64) -> Result<Vec<u8>> {
    let mut output = Output::new(claimed)?;
    match method {
        Method::Zlib => {
            let mut source = flate2::read::ZlibDecoder::new(packed);
            output.take_all(&mut source, "damaged zlib data")?;
        }
        Method::Zstd => unpack_zstd(packed, claimed, &mut output)?,
    }
    output.finish()
}

fn unpack_zstd(mut packed: &[u8], claimed: u64, output: &mut Output) -> Result<()> {
    use ruzstd::decoding::StreamingDecoder;
    use ruzstd::decoding::errors::{FrameDecoderError, ReadFrameHeaderError};

    let window = claimed.saturating_mul(2).max(MIN_WINDOW_BYTES);
    while !packed.is_empty() {
        match StreamingDecoder::new_with_max_window_size(&mut packed, window) {
            Ok(mut frame) => output.take_all(&mut frame, "damaged zstd data")?,
            Err(FrameDecoderError::ReadFrameHeaderError(ReadFrameHeaderError::SkipFrame {
                length,
                ..
            })) => {
                packed = usize::try_from(length)
                    .ok()
                    .and_then(|length| packed.get(length..))
                    .ok_or_else(|| damaged("zstd frame is cut off"))?;
            }
            // The unpacker's own errors are texts for its developers.
            Err(_) => return Err(damaged("bad zstd frame")),
        }
    }
    Ok(())
}

fn damaged(text: &'static str) -> Error {
    Error::new(ErrorKind::Compressed(text))
}

/// Unpacked bytes, never more than were claimed.
struct Output {
    bytes: Vec<u8>,
    claimed: usize,
}

impl Output {
    fn new(claimed: u64) -> Result<Self> {
        let claimed = usize::try_from(claimed).map_err(|_| damaged("larger than memory"))?;
        let bytes = Vec::new();
        Ok(Self { bytes, claimed })
    }

    /// Appends all that `source` gives; `text` is the error if it fails.
    fn take_all(&mut self, source: &mut impl Read, text: &'static str) -> Result<()> {
        loop {
            let room = self.bytes.capacity().min(self.claimed) - self.bytes.len();
            if room == 0 {
                if self.bytes.len() == self.claimed {
                    break;
                }
                let more = self.bytes.len().max(FIRST_BYTES);
                let more = more.min(self.claimed - self.bytes.len());
                self.bytes
                    .try_reserve_exact(more)
                    .map_err(|error| damaged("out of memory").caused_by(error))?;
                continue;
            }
            let got = source
                .by_ref()
                .take(room as u64)
                .read_to_end(&mut self.bytes);
            if got.map_err(|_| damaged(text))? < room {
                return Ok(());
            }
        }
        // All that was claimed is there; one byte more is one too many, and zlib checks its sum only at the end.
        match source.read(&mut [0]) {
            Ok(0) => Ok(()),
            Ok(_) => Err(damaged("more data than the section claims")),
            Err(_) => Err(damaged(text)),
        }
    }

    fn finish(self) -> Result<Vec<u8>> {
        if self.bytes.len() == self.claimed {
            Ok(self.bytes)
        } else {
            Err(damaged("less data than the section claims"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn zlib(data: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(data).unwrap();
        encoder.finish().unwrap()
    }

    fn zstd(data: &[u8]) -> Vec<u8> {
        ruzstd::encoding::compress_to_vec(data, ruzstd::encoding::CompressionLevel::Fastest)
    }

    fn text() -> Vec<u8> {
        (0..40_000u32).flat_map(|i| (i * i).to_le_bytes()).collect()
    }

    #[track_caller]
    fn check(method: Method, packed: &[u8], claimed: usize, expect: &str) {
        let error = unpack(method, packed, claimed as u64).unwrap_err();
        assert!(error.to_string().contains(expect), "{error}");
    }

    #[test]
    fn both_methods_give_back_what_was_packed() {
        let data = text();
        let length = data.len() as u64;
        assert_eq!(unpack(Method::Zlib, &zlib(&data), length).unwrap(), data);
        assert_eq!(unpack(Method::Zstd, &zstd(&data), length).unwrap(), data);
    }

    #[test]
    fn several_zstd_frames_are_joined_and_skippable_ones_skipped() {
        let data = text();
        let mut packed = zstd(&data[..1000]);
        packed.extend([0x50, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 1, 2, 3]);
        packed.extend(zstd(&data[1000..]));
        assert_eq!(
            unpack(Method::Zstd, &packed, data.len() as u64).unwrap(),
            data
        );
    }

    #[test]
    fn the_claimed_size_must_be_true() {
        let data = text();
        for (method, packed) in [(Method::Zlib, zlib(&data)), (Method::Zstd, zstd(&data))] {
            check(method, &packed, data.len() - 1, "more data than");
            check(method, &packed, data.len() + 1, "less data than");
        }
    }

    #[test]
    fn a_claim_is_held_against_the_file() {
        assert!(check_claim(ALLOWANCE_BYTES, 0).is_ok());
        assert!(check_claim(ALLOWANCE_BYTES + 1, 0).is_err());
        assert!(check_claim(ALLOWANCE_BYTES + 16_000_000, 1_000_000).is_ok());
        let error = check_claim(ALLOWANCE_BYTES + 16_000_001, 1_000_000).unwrap_err();
        assert!(error.to_string().contains("too large: 17048577"), "{error}");
        assert!(check_claim(u64::MAX, u64::MAX).is_err());
    }

    #[test]
    fn damage_is_an_error() {
        let data = text();
        let mut packed = zlib(&data);
        let middle = packed.len() / 2;
        packed[middle] ^= 0x55;
        check(Method::Zlib, &packed, data.len(), "damaged");
        check(Method::Zstd, &zlib(&data), data.len(), "bad zstd frame");
        let packed = zstd(&data);
        let half = &packed[..packed.len() / 2];
        let error = unpack(Method::Zstd, half, data.len() as u64).unwrap_err();
        assert_eq!(error.to_string(), "cannot unpack: damaged zstd data");
        assert!(std::error::Error::source(&error).is_none());
    }
}
