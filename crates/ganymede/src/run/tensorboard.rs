//! TensorBoard event files: `tensorboard --logdir runs/` shows every run's curves and sheets.
//!
//! The file is a row of records `length, masked CRC of the length, protocol-buffer message, masked CRC of the message` (TFRecord,
//! `tensorflow/core/lib/io/record_writer.h`); the messages are `Event`, `Summary` and `SessionLog` of `tensorflow/core/util/event.proto` and
//! `tensorflow/core/framework/summary.proto`. Only the few fields used here are written.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::time::since_epoch;
use crate::error::{Error, Result};

/// An event file open for appending, one per process.
#[derive(Debug)]
pub(crate) struct EventFile {
    path: PathBuf,
    file: File,
}

impl EventFile {
    /// Starts a new file. If the run was continued from a checkpoint, viewers are told to drop what earlier files say about later steps.
    pub(crate) fn create(folder: &Path, continued_from: Option<u64>) -> Result<Self> {
        let now = since_epoch();
        let (mut path, mut file) = (PathBuf::new(), None);
        // A second start within one second by the same process must not append to the first one's file.
        for attempt in 0..1000 {
            path = folder.join(format!("events.out.tfevents.{}.ganymede.{}.{attempt}", now.as_secs(), std::process::id()));
            match OpenOptions::new().create_new(true).write(true).open(&path) {
                Ok(opened) => {
                    file = Some(opened);
                    break;
                }
                Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
                Err(e) => return Err(Error::io(&path, "create TensorBoard's event file", e)),
            }
        }
        let file = file.ok_or_else(|| Error::io(&path, "create TensorBoard's event file", io::ErrorKind::AlreadyExists.into()))?;
        let mut events = Self { path, file };
        events.write(&event(now.as_secs_f64(), 0, 3, b"brain.Event:2"))?;
        if let Some(step) = continued_from {
            const SESSION_START: [u8; 2] = [1 << 3, 1];
            events.write(&event(now.as_secs_f64(), step.saturating_add(1), 7, &SESSION_START))?;
        }
        Ok(events)
    }

    /// Numbers of one step.
    pub(crate) fn scalars(&mut self, step: u64, scalars: &[(&str, f64)]) -> Result<()> {
        let values = scalars.iter().flat_map(|(tag, value)| {
            let mut message = bytes_field(1, tag.as_bytes());
            message.push(2 << 3 | 5);
            message.extend_from_slice(&(*value as f32).to_le_bytes());
            bytes_field(1, &message)
        });
        let summary: Vec<u8> = values.collect();
        self.write(&event(since_epoch().as_secs_f64(), step, 5, &summary))
    }

    /// A PNG picture of one step.
    pub(crate) fn image(&mut self, step: u64, tag: &str, png: &[u8]) -> Result<()> {
        let Some((width, height)) = png_size(png) else { return Ok(()) };
        let mut image = varint_field(1, height.into());
        image.extend(varint_field(2, width.into()));
        // The colour space is informative only; 3 is RGB.
        image.extend(varint_field(3, 3));
        image.extend(bytes_field(4, png));
        let mut value = bytes_field(1, tag.as_bytes());
        value.extend(bytes_field(4, &image));
        self.write(&event(since_epoch().as_secs_f64(), step, 5, &bytes_field(1, &value)))
    }

    fn write(&mut self, message: &[u8]) -> Result<()> {
        self.file.write_all(&record(message)).map_err(|e| Error::io(&self.path, "write TensorBoard's event file", e))
    }
}

/// An `Event` whose field `number` holds `payload`.
fn event(wall_time: f64, step: u64, number: u8, payload: &[u8]) -> Vec<u8> {
    let mut message = vec![1 << 3 | 1];
    message.extend_from_slice(&wall_time.to_le_bytes());
    if step > 0 {
        message.extend(varint_field(2, step));
    }
    message.extend(bytes_field(number, payload));
    message
}

fn varint_field(number: u8, value: u64) -> Vec<u8> {
    let mut bytes = vec![number << 3];
    push_varint(&mut bytes, value);
    bytes
}

fn bytes_field(number: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![number << 3 | 2];
    push_varint(&mut bytes, payload.len() as u64);
    bytes.extend_from_slice(payload);
    bytes
}

fn push_varint(bytes: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
}

fn record(message: &[u8]) -> Vec<u8> {
    let length = (message.len() as u64).to_le_bytes();
    let mut bytes = length.to_vec();
    bytes.extend_from_slice(&masked_crc32c(&length).to_le_bytes());
    bytes.extend_from_slice(message);
    bytes.extend_from_slice(&masked_crc32c(message).to_le_bytes());
    bytes
}

/// TFRecord stores checksums rotated and shifted, so that a checksum over data that holds checksums stays sound.
fn masked_crc32c(bytes: &[u8]) -> u32 {
    crc32c(bytes).rotate_right(15).wrapping_add(0xa282_ead8)
}

/// CRC-32C (Castagnoli), reflected polynomial 0x82F63B78, one table.
fn crc32c(bytes: &[u8]) -> u32 {
    const TABLE: [u32; 256] = {
        let mut table = [0; 256];
        let mut idx = 0;
        while idx < 256 {
            let mut crc = idx as u32;
            let mut bit = 0;
            while bit < 8 {
                crc = if crc & 1 == 1 { crc >> 1 ^ 0x82f6_3b78 } else { crc >> 1 };
                bit += 1;
            }
            table[idx] = crc;
            idx += 1;
        }
        table
    };
    !bytes.iter().fold(!0, |crc, byte| TABLE[((crc ^ u32::from(*byte)) & 0xff) as usize] ^ crc >> 8)
}

/// Width and height in a PNG's first chunk.
fn png_size(png: &[u8]) -> Option<(u32, u32)> {
    let is_png = png.get(..8)? == b"\x89PNG\r\n\x1a\n" && png.get(12..16)? == b"IHDR";
    let number = |at: usize| Some(u32::from_be_bytes(png.get(at..at + 4)?.try_into().ok()?));
    if is_png { Some((number(16)?, number(20)?)) } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn crc32c_has_the_known_check_values() {
        assert_eq!(crc32c(b"123456789"), 0xe306_9283);
        // RFC 3720, appendix B.4: 32 bytes of zeros.
        assert_eq!(crc32c(&[0; 32]), 0x8a91_36aa);
    }

    #[test]
    fn a_scalar_event_has_the_bytes_of_the_published_messages() {
        let summary = bytes_field(1, &[&bytes_field(1, b"a")[..], &[0x15, 0, 0, 0x80, 0x3f]].concat());
        let message = event(1.0, 300, 5, &summary);
        let expected = [
            &[0x09, 0, 0, 0, 0, 0, 0, 0xf0, 0x3f][..],
            &[0x10, 0xac, 0x02],
            &[0x2a, 0x0a, 0x0a, 0x08, 0x0a, 0x01, b'a', 0x15, 0, 0, 0x80, 0x3f],
        ]
        .concat();
        assert_eq!(message, expected);
    }

    #[test]
    fn every_record_of_a_file_is_framed_and_checked() {
        let dir = tempfile::tempdir().unwrap();
        let mut events = EventFile::create(dir.path(), Some(10)).unwrap();
        events.scalars(11, &[("d_loss", 0.5)]).unwrap();
        let mut png = b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR".to_vec();
        png.extend_from_slice(&[0, 0, 0, 7, 0, 0, 0, 9]);
        events.image(11, "samples", &png).unwrap();
        events.image(11, "samples", b"no picture").unwrap();
        let mut rest = &std::fs::read(&events.path).unwrap()[..];
        let mut n_records = 0;
        while !rest.is_empty() {
            let length = u64::from_le_bytes(rest[..8].try_into().unwrap()) as usize;
            assert_eq!(rest[8..12], masked_crc32c(&rest[..8]).to_le_bytes());
            assert_eq!(rest[12 + length..16 + length], masked_crc32c(&rest[12..12 + length]).to_le_bytes());
            rest = &rest[16 + length..];
            n_records += 1;
        }
        assert_eq!(n_records, 4);
        let second = EventFile::create(dir.path(), None).unwrap();
        assert_ne!(second.path, events.path);
    }
}
