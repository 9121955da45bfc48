//! The header of a frame: found in the bytes that are there, and put in front of a payload.
//!
//! Never looks into a payload, and never waits for one that is longer than its bound.

use super::{DecodeError, TooLong};

/// Bytes of a frame's header.
pub const HEADER_BYTES: usize = 12;
/// Where in a header the payload's length stands.
const LENGTH_AT: usize = 8;

/// A frame that is there whole.
pub(super) struct Framed<'a> {
    /// What the payload means.
    pub(super) message_type: u64,
    /// At most the bound given to [`split`]; empty for "no object".
    pub(super) payload: &'a [u8],
}

/// Splits off the first frame; nothing, while it is incomplete. A length beyond the bound is refused as soon as it can be
/// read.
#[inline]
pub(super) fn split(bytes: &[u8], payload_bytes_max: usize) -> Result<Option<Framed<'_>>, DecodeError> {
    let Some((message_type, rest)) = bytes.split_first_chunk() else { return Ok(None) };
    let Some((payload_bytes, rest)) = rest.split_first_chunk() else { return Ok(None) };
    let payload_bytes = u32::from_be_bytes(*payload_bytes) as usize;
    if payload_bytes > payload_bytes_max {
        return Err(DecodeError::PayloadTooLong);
    }
    let message_type = u64::from_be_bytes(*message_type);
    Ok(rest.get(..payload_bytes).map(|payload| Framed { message_type, payload }))
}

/// Appends a header and makes room for its payload, if that is within its bound.
#[inline]
pub(super) fn begin(
    message_type: u64,
    payload_bytes: usize,
    payload_bytes_max: usize,
    out: &mut Vec<u8>,
) -> Result<(), TooLong> {
    if payload_bytes > payload_bytes_max {
        return Err(TooLong);
    }
    out.reserve(HEADER_BYTES + payload_bytes);
    out.extend_from_slice(&header(message_type, payload_bytes));
    Ok(())
}

/// A header; the length is within a bound of `limits.rs`, all of which fit.
#[inline]
pub(super) fn header(message_type: u64, payload_bytes: usize) -> [u8; HEADER_BYTES] {
    let mut header = [0; HEADER_BYTES];
    header[..LENGTH_AT].copy_from_slice(&message_type.to_be_bytes());
    header[LENGTH_AT..].copy_from_slice(&(payload_bytes as u32).to_be_bytes());
    header
}

/// Corrects the length in the header of the last frame in `out`, which starts at `start`.
pub(super) fn patch_length(out: &mut [u8], start: usize) {
    let payload_bytes = (out.len() - start - HEADER_BYTES) as u32;
    out[start + LENGTH_AT..start + HEADER_BYTES].copy_from_slice(&payload_bytes.to_be_bytes());
}
