//! Reading a log: a line after the other, or one somewhere in it.

use std::io;
use std::sync::Arc;

use crate::limits::{JSONL_LINE_BYTES_MAX, JSONL_SCAN_BYTES};
use crate::store::disk::DiskFile;

/// Lines, one after the other, from somewhere in a file to somewhere. It keeps some [`JSONL_SCAN_BYTES`] at once, or the
/// longest line.
#[derive(Debug)]
pub(super) struct Lines {
    file: Arc<dyn DiskFile>,
    /// Where to read next.
    at: u64,
    /// Where reading ends.
    end: u64,
    /// `[start..]` has been read and not handed out.
    buffer: Vec<u8>,
    start: usize,
    /// Lines handed out.
    count: u64,
}

/// A line.
#[derive(Clone, Copy, Debug)]
pub(super) struct Raw<'a> {
    /// From 1.
    pub(super) number: u64,
    /// Where it begins.
    pub(super) offset: u64,
    /// Its bytes, with its end.
    pub(super) length: u64,
    /// What stands in it, without its end. None: more than [`JSONL_LINE_BYTES_MAX`].
    pub(super) bytes: Option<&'a [u8]>,
    /// Whether it has an end. Only the last one may have none.
    pub(super) is_ended: bool,
}

impl Lines {
    /// The lines from one offset to another. A line is expected to begin at the first.
    pub(super) fn new(file: Arc<dyn DiskFile>, at: u64, end: u64) -> Self {
        Self { file, at, end, buffer: Vec::new(), start: 0, count: 0 }
    }

    /// The same, with more to read: the file has grown.
    pub(super) fn extend_to(&mut self, end: u64) {
        self.end = self.end.max(end);
    }

    /// Where the next line begins.
    pub(super) fn offset(&self) -> u64 {
        self.at - (self.buffer.len() - self.start) as u64
    }

    /// The next line. None: that was the last.
    pub(super) fn next(&mut self) -> io::Result<Option<Raw<'_>>> {
        let offset = self.offset();
        let mut searched = 0;
        let mut skipped = 0;
        let (end, is_ended) = loop {
            let unread = &self.buffer[self.start..];
            if let Some(end) = memchr::memchr(b'\n', &unread[searched..]) {
                break (searched + end + 1, true);
            }
            searched = unread.len();
            if skipped > 0 || searched > JSONL_LINE_BYTES_MAX {
                // Nobody looks at it: its end is all that counts.
                skipped += searched as u64;
                (searched, self.start) = (0, self.buffer.len());
            }
            if !self.fill()? {
                break (searched, false);
            }
        };
        let length = skipped + end as u64;
        if length == 0 {
            return Ok(None);
        }
        let line = self.start..self.start + end - usize::from(is_ended);
        self.start += end;
        self.count += 1;
        let fits = length <= JSONL_LINE_BYTES_MAX as u64;
        let bytes = if fits { Some(&self.buffer[line]) } else { None };
        Ok(Some(Raw { number: self.count, offset, length, bytes, is_ended }))
    }

    /// Reads more. Whether there was more.
    fn fill(&mut self) -> io::Result<bool> {
        let wanted = self.end.saturating_sub(self.at).min(JSONL_SCAN_BYTES as u64) as usize;
        self.buffer.drain(..self.start);
        self.start = 0;
        let length = self.buffer.len();
        self.buffer.resize(length + wanted, 0);
        let read = read_at(&*self.file, &mut self.buffer[length..], self.at);
        let count = *read.as_ref().unwrap_or(&0);
        self.buffer.truncate(length + count);
        self.at += count as u64;
        Ok(read? > 0)
    }
}

/// Lines somewhere in a file. It keeps one block of the file, which those that follow each other share, in either direction.
#[derive(Debug)]
pub(super) struct Blocks {
    file: Arc<dyn DiskFile>,
    /// Bytes of a block.
    size: usize,
    /// The block that begins at `start`, a multiple of `size`.
    block: Vec<u8>,
    start: u64,
    /// A line that goes on behind the block.
    long: Vec<u8>,
}

impl Blocks {
    pub(super) fn new(file: Arc<dyn DiskFile>, size: usize) -> Self {
        Self { file, size, block: Vec::new(), start: 0, long: Vec::new() }
    }

    /// The line that begins at an offset, without its end.
    pub(super) fn line(&mut self, offset: u64) -> io::Result<&[u8]> {
        let start = offset - offset % self.size as u64;
        if self.block.is_empty() || start != self.start {
            self.block.resize(self.size, 0);
            let read = read_at(&*self.file, &mut self.block, start);
            self.block.truncate(*read.as_ref().unwrap_or(&0));
            self.start = start;
            read?;
        }
        let within = ((offset - start) as usize).min(self.block.len());
        if let Some(end) = memchr::memchr(b'\n', &self.block[within..]) {
            return Ok(&self.block[within..within + end]);
        }
        self.long.clear();
        self.long.extend_from_slice(&self.block[within..]);
        loop {
            let length = self.long.len();
            if length > JSONL_LINE_BYTES_MAX {
                return Err(io::Error::new(io::ErrorKind::InvalidData, "a line is too long"));
            }
            self.long.resize(length + self.size.max(length), 0);
            let count = read_at(&*self.file, &mut self.long[length..], offset + length as u64)?;
            self.long.truncate(length + count);
            if let Some(end) = memchr::memchr(b'\n', &self.long[length..]) {
                return Ok(&self.long[..length + end]);
            }
            if count == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }
}

/// Reads until the buffer is full or the file ends.
pub(super) fn read_at(file: &dyn DiskFile, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    let mut done = 0;
    while done < buffer.len() {
        match file.read_at(&mut buffer[done..], offset + done as u64) {
            Ok(0) => break,
            Ok(count) => done += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(done)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn file_of(bytes: &[u8]) -> Arc<dyn DiskFile> {
        let mut file = tempfile::tempfile().expect("a file");
        file.write_all(bytes).expect("space for it");
        Arc::new(file)
    }

    #[test]
    fn lines_come_whole_whatever_their_length() {
        let lengths = [0, 1, JSONL_SCAN_BYTES - 1, JSONL_SCAN_BYTES, JSONL_LINE_BYTES_MAX - 1, 7];
        let too_long = [JSONL_LINE_BYTES_MAX, 3 * JSONL_LINE_BYTES_MAX];
        let mut bytes = Vec::new();
        let mut starts = Vec::new();
        for length in lengths.into_iter().chain(too_long).chain([3]) {
            starts.push((bytes.len() as u64, length));
            bytes.extend(std::iter::repeat_n(b'x', length));
            bytes.push(b'\n');
        }
        let end = bytes.len() as u64;
        bytes.extend_from_slice(b"torn");
        let file = file_of(&bytes);
        let mut lines = Lines::new(Arc::clone(&file), 0, bytes.len() as u64);
        for (index, &(offset, length)) in starts.iter().enumerate() {
            let raw = lines.next().expect("it can be read").expect("a line");
            assert_eq!((raw.number, raw.offset, raw.length), (index as u64 + 1, offset, length as u64 + 1));
            assert_eq!(raw.bytes.map(<[u8]>::len), Some(length).filter(|length| !too_long.contains(length)));
            assert!(raw.is_ended);
        }
        let raw = lines.next().expect("it can be read").expect("the beginning of a line");
        assert_eq!((raw.offset, raw.length, raw.is_ended), (end, 4, false));
        assert!(lines.next().expect("it can be read").is_none());
        for size in [16, 4096, JSONL_SCAN_BYTES] {
            let mut blocks = Blocks::new(Arc::clone(&file), size);
            for &(offset, length) in starts.iter().chain(starts.iter().rev()) {
                match blocks.line(offset) {
                    Ok(line) => assert_eq!(line.len(), length),
                    Err(_) => assert!(too_long.contains(&length), "{length}"),
                }
            }
            assert!(blocks.line(end).is_err());
        }
    }
}
