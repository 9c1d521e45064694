//! Reading Arrow, batch by batch.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_ipc::MessageHeader;
use arrow_ipc::reader::{RecordBatchDecoder, read_dictionary};
use arrow_schema::DataType;

use super::super::read::{FileFormat, Reading, sparse};
use super::super::schema::Schema;
use super::super::typed::{TypedColumn, Wanted, finish, read_columns, wanted};
use super::cells::{cells, meaning};
use super::messages::Messages;
use crate::error::{Error, Result};

/// Reads an Arrow file or stream: see [`super::super::read`].
pub(crate) fn read(path: &Path, is_stream: bool, schema: Option<&Schema>) -> Result<Reading> {
    // The decoder asserts what damaged files do not keep.
    let read = std::panic::catch_unwind(|| read_sound(path, is_stream, schema));
    read.unwrap_or_else(|_| Err(Error::data(path, "the Arrow file is damaged", "write it again")))
}

fn read_sound(path: &Path, is_stream: bool, schema: Option<&Schema>) -> Result<Reading> {
    let messages = Messages::open(path, is_stream)?;
    let fields = messages.schema.fields();
    let (wanted, mut notes) = wanted(path, fields.iter().map(|field| field.name().as_str()), schema)?;
    let mut columns = Vec::new();
    for wanted in wanted {
        let data_type = fields[wanted.idx].data_type();
        let meaning = meaning(data_type).ok_or_else(|| refused(path, &wanted, data_type))?;
        notes.extend(note(&wanted.name, data_type));
        columns.push(TypedColumn::new(wanted, meaning));
    }
    let mut has_end = true;
    let columns = read_columns(path, columns, |columns| {
        has_end &= pass(path, &messages, columns)?;
        Ok(())
    })?;
    if !has_end {
        notes.push("the stream breaks off without a mark of its end; rows may be missing".to_owned());
    }
    finish(path, FileFormat::Arrow, columns, schema, notes)
}

/// Hands the rows to the columns that want more. Says whether the end was marked or reached.
fn pass(path: &Path, messages: &Messages<'_>, columns: &mut [TypedColumn]) -> Result<bool> {
    let schema = Arc::new(messages.schema.clone());
    let mut dictionaries = HashMap::new();
    let mut read: Vec<&mut TypedColumn> = columns.iter_mut().filter(|column| column.wants_more()).collect();
    let places: Vec<usize> = read.iter().map(|column| column.idx).collect();
    let n_full = places.iter().filter(|idx| *schema.field(**idx).data_type() != DataType::Null).count();
    let mut n_rows = 0usize;
    messages.each(&mut |message, body| {
        let version = message.version();
        match message.header_type() {
            MessageHeader::DictionaryBatch => {
                let batch = message.header_as_dictionary_batch().ok_or_else(|| messages.damaged("words are missing"))?;
                read_dictionary(body, batch, &schema, &mut dictionaries, &version).map_err(|e| messages.damaged(e))?;
                Ok(true)
            }
            MessageHeader::RecordBatch => {
                let batch = message.header_as_record_batch().ok_or_else(|| messages.damaged("rows are missing"))?;
                let decoded = RecordBatchDecoder::try_new(body, batch, schema.clone(), &dictionaries, &version)
                    .and_then(|decoder| decoder.with_projection(Some(&places)).read_record_batch());
                let batch = decoded.map_err(|e| messages.damaged(e))?;
                n_rows = n_rows.saturating_add(batch.num_rows());
                // Columns without type take no bytes, however many rows they say to have.
                sparse::check(path, n_rows, places.len(), (n_rows as u64).saturating_mul(n_full as u64))?;
                take(&batch, &mut read).ok_or_else(|| messages.damaged("a column is not what the schema says"))?;
                Ok(read.iter().any(|column| column.wants_more()))
            }
            other => Err(messages.damaged(format!("it holds a message of kind {other:?}"))),
        }
    })
}

fn take(batch: &RecordBatch, columns: &mut [&mut TypedColumn]) -> Option<()> {
    for (array, column) in batch.columns().iter().zip(columns) {
        let cell = cells(array.as_ref())?;
        for row in 0..array.len() {
            if !column.wants_more() {
                break;
            }
            column.take(cell(row));
        }
    }
    Some(())
}

fn refused(path: &Path, wanted: &Wanted, data_type: &DataType) -> Error {
    let what = match data_type {
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_) => "bytes".to_owned(),
        nested if nested.is_nested() => "lists or records".to_owned(),
        other => format!("values of type {other}"),
    };
    let problem = format!("column \"{}\" holds {what}", wanted.name);
    Error::data(path, problem, "write a table whose cells are numbers, words or moments, or leave the column out in the schema")
}

/// What a person should know of how a column was read.
fn note(name: &str, data_type: &DataType) -> Option<String> {
    match data_type {
        DataType::Timestamp(_, Some(zone)) if !matches!(&**zone, "UTC" | "Z" | "+00:00" | "Etc/UTC") => {
            Some(format!("column \"{name}\" is in the zone {zone}; it is written in UTC"))
        }
        DataType::Duration(_) => Some(format!("column \"{name}\" holds durations; they are read as seconds")),
        DataType::Dictionary(_, values) => note(name, values),
        _ => None,
    }
}
