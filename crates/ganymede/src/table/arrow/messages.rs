//! The messages of an Arrow file or stream: found, and checked before they are decoded.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

use arrow_buffer::{Buffer, MutableBuffer};
use arrow_ipc::convert::try_fb_to_schema;
use arrow_ipc::reader::read_footer_length;
use arrow_ipc::{Message, MessageHeader, RecordBatch, root_as_footer, root_as_message};
use arrow_schema::Schema;

use crate::error::{Error, Result};

/// Compressed files may unpack to this many bytes in any case.
const MAX_UNPACKED: u64 = 4 << 30;
/// Beyond, to so many bytes for each that the file holds.
const MAX_UNPACKED_EACH: u64 = 1024;
const CONTINUATION: [u8; 4] = [0xff; 4];
/// Bytes at the end of a file: the length of the footer and the mark.
const TRAILER: u64 = 10;

/// A file of which the schema was read.
pub(super) struct Messages<'a> {
    path: &'a Path,
    file: File,
    length: u64,
    /// Where the messages lie; none for a stream, in which each follows the other.
    frames: Option<Vec<Frame>>,
    /// The columns.
    pub schema: Schema,
}

/// Where a message lies.
struct Frame {
    start: u64,
    /// Bytes of its description, the length before it among them.
    n_head: u64,
}

impl<'a> Messages<'a> {
    /// Reads the schema.
    ///
    /// # Errors
    /// [`Error::Data`] if the file is damaged; [`Error::Io`].
    pub(super) fn open(path: &'a Path, is_stream: bool) -> Result<Self> {
        let file = File::open(path).map_err(|e| Error::io(path, "open", e))?;
        let length = file.metadata().map_err(|e| Error::io(path, "open", e))?.len();
        let mut messages = Self { path, file, length, frames: None, schema: Schema::empty() };
        if is_stream {
            let head = messages.head(0)?.ok_or_else(|| messages.damaged("it is empty"))?;
            let message = messages.message(&head)?;
            let schema = message.header_as_schema().ok_or_else(|| messages.damaged("it does not begin with a schema"))?;
            messages.schema = try_fb_to_schema(schema).map_err(|e| messages.damaged(e))?;
        } else {
            messages.read_footer()?;
        }
        Ok(messages)
    }

    fn read_footer(&mut self) -> Result<()> {
        let cut = || self.damaged("its end is missing");
        let end = self.length.checked_sub(TRAILER).ok_or_else(cut)?;
        let trailer: [u8; TRAILER as usize] = self.bytes(end, TRAILER)?.try_into().map_err(|_| cut())?;
        let n_footer = read_footer_length(trailer).map_err(|_| cut())? as u64;
        let bytes = self.bytes(end.checked_sub(n_footer).ok_or_else(cut)?, n_footer)?;
        let footer = root_as_footer(&bytes).map_err(|e| self.damaged(e))?;
        let schema = footer.schema().ok_or_else(|| self.damaged("it has no schema"))?;
        if !schema.endianness().equals_to_target_endianness() {
            return Err(self.damaged("its numbers are stored the other way round"));
        }
        let schema = try_fb_to_schema(schema).map_err(|e| self.damaged(e))?;
        let blocks = footer.dictionaries().into_iter().flatten().chain(footer.recordBatches().into_iter().flatten());
        let (mut frames, mut n_all) = (Vec::new(), 0u64);
        for block in blocks {
            let sizes = (u64::try_from(block.offset()), u64::try_from(block.metaDataLength()), u64::try_from(block.bodyLength()));
            let (Ok(start), Ok(n_head), Ok(n_body)) = sizes else { return Err(self.damaged("a length is negative")) };
            // Blocks that lie over each other would make many rows of few bytes.
            n_all = n_all.saturating_add(n_head).saturating_add(n_body);
            if n_all > self.length {
                return Err(self.damaged("its parts are longer than it is"));
            }
            frames.push(Frame { start, n_head });
        }
        (self.schema, self.frames) = (schema, Some(frames));
        Ok(())
    }

    /// Hands every message after the schema, with its body, to `take` until that returns false. Says whether the end was marked or reached.
    ///
    /// # Errors
    /// Those of `take`; [`Error::Data`] if the file is damaged; [`Error::Io`].
    pub(super) fn each(&self, take: &mut dyn FnMut(&Message<'_>, &Buffer) -> Result<bool>) -> Result<bool> {
        let mut unpacked = 0u64;
        let mut visit = |head: &[u8], body_start: u64| -> Result<Option<u64>> {
            let message = self.message(head)?;
            let n_body = u64::try_from(message.bodyLength()).map_err(|_| self.damaged("a length is negative"))?;
            let body = self.body(body_start, n_body)?;
            unpacked = unpacked.saturating_add(self.unpacked(&message, &body)?);
            if unpacked > MAX_UNPACKED.max(MAX_UNPACKED_EACH.saturating_mul(self.length)) {
                let problem = format!("the compressed file says that it unpacks to more than {} GiB", unpacked >> 30);
                return Err(Error::data(self.path, problem, "if that is right, write it without compression"));
            }
            Ok(if take(&message, &body)? { Some(body_start + n_body) } else { None })
        };
        if let Some(frames) = &self.frames {
            for frame in frames {
                let head = self.bytes(frame.start, frame.n_head)?;
                let skipped = if head.starts_with(&CONTINUATION) { 8 } else { 4 };
                let head = head.get(skipped..).ok_or_else(|| self.damaged("a message is too short"))?;
                if visit(head, frame.start + frame.n_head)?.is_none() {
                    break;
                }
            }
            return Ok(true);
        }
        // The schema has no body.
        let mut at = self.head(0)?.map_or(0, |head| 8 + head.len() as u64);
        while at < self.length {
            let Some(head) = self.head(at)? else { return Ok(true) };
            match visit(&head, at + 8 + head.len() as u64)? {
                Some(next) => at = next,
                None => return Ok(true),
            }
        }
        Ok(false)
    }

    /// The description of the stream's message at `start`; nothing at the mark of its end.
    fn head(&self, start: u64) -> Result<Option<Vec<u8>>> {
        let prefix = self.bytes(start, 8)?;
        let (mark, length) = prefix.split_at(4);
        if mark != CONTINUATION {
            return Err(self.damaged("a message does not begin where it should"));
        }
        let length = i32::from_le_bytes([length[0], length[1], length[2], length[3]]);
        match u64::try_from(length) {
            Ok(0) => Ok(None),
            Ok(n) => self.bytes(start + 8, n).map(Some),
            Err(_) => Err(self.damaged("a length is negative")),
        }
    }

    fn message<'b>(&self, head: &'b [u8]) -> Result<Message<'b>> {
        root_as_message(head).map_err(|e| self.damaged(e))
    }

    /// Bytes to which the body unpacks, as it says, after checking that its buffers lie in it and that memory can hold them.
    fn unpacked(&self, message: &Message<'_>, body: &[u8]) -> Result<u64> {
        let batch: Option<RecordBatch<'_>> = match message.header_type() {
            MessageHeader::RecordBatch => message.header_as_record_batch(),
            MessageHeader::DictionaryBatch => message.header_as_dictionary_batch().and_then(|batch| batch.data()),
            _ => None,
        };
        let Some(batch) = batch else { return Ok(0) };
        let mut n_all = 0u64;
        for buffer in batch.buffers().into_iter().flatten() {
            let bytes = usize::try_from(buffer.offset()).ok().zip(usize::try_from(buffer.length()).ok());
            let bytes = bytes.and_then(|(start, length)| body.get(start..start.checked_add(length)?));
            let bytes = bytes.ok_or_else(|| self.damaged("a column lies outside of its part"))?;
            let says = bytes.first_chunk().map_or(0, |length| i64::from_le_bytes(*length));
            // -1 says that the buffer is not compressed.
            n_all = n_all.saturating_add(if batch.compression().is_some() { u64::try_from(says).unwrap_or(0) } else { 0 });
        }
        let is_held = usize::try_from(n_all).is_ok_and(|n| Vec::<u8>::new().try_reserve_exact(n).is_ok());
        if is_held { Ok(n_all) } else { Err(self.damaged(format!("it says that a part unpacks to {n_all} bytes"))) }
    }

    fn bytes(&self, start: u64, length: u64) -> Result<Vec<u8>> {
        self.check(start, length)?;
        let mut bytes = vec![0; length as usize];
        self.fill(start, &mut bytes)?;
        Ok(bytes)
    }

    fn body(&self, start: u64, length: u64) -> Result<Buffer> {
        self.check(start, length)?;
        let mut bytes = MutableBuffer::try_from_len_zeroed(length as usize).map_err(|e| self.damaged(e))?;
        self.fill(start, &mut bytes)?;
        Ok(bytes.into())
    }

    /// No length is believed before it is held against that of the file.
    fn check(&self, start: u64, length: u64) -> Result<()> {
        match start.checked_add(length) {
            Some(end) if end <= self.length => Ok(()),
            _ => Err(self.damaged("it is cut off")),
        }
    }

    fn fill(&self, start: u64, bytes: &mut [u8]) -> Result<()> {
        let mut file = &self.file;
        let read = file.seek(SeekFrom::Start(start)).and_then(|_| file.read_exact(bytes));
        read.map_err(|e| match e.kind() {
            io::ErrorKind::UnexpectedEof => self.damaged("it is cut off"),
            _ => Error::io(self.path, "read", e),
        })
    }

    /// The error for a damaged file.
    pub(super) fn damaged(&self, problem: impl std::fmt::Display) -> Error {
        Error::data(self.path, format!("the Arrow file cannot be read: {problem}"), "write it again")
    }
}
