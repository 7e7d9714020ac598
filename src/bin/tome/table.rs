//! A Parquet file with a row for each image, written in row groups, so that it never has to fit in memory.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result};
use arrow_array::types::{ArrowPrimitiveType, Float32Type, UInt32Type};
use arrow_array::{ArrayRef, FixedSizeListArray, PrimitiveArray, RecordBatch, StringArray, UInt32Array};
use arrow_schema::{DataType, Field, FieldRef, Schema, SchemaRef};
use parquet::arrow::ArrowWriter;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;
use parquet::file::reader::{FileReader, SerializedFileReader};
use tempfile::NamedTempFile;
use tome_wgpu::vit::{Config, Outputs, ValueKind, Values, Want};

use crate::output;
use crate::text::shown;

/// Bytes of rows that are held until they are written together.
const ROW_GROUP: usize = 64 << 20;
/// Columns ahead of the results.
const PATH: &str = "path";
const ERROR: &str = "error";
/// What an image has left where a threshold decides: `tokens` are the tokens themselves.
const TOKENS_LEFT: &str = "tokens_left";
/// In the metadata: images that could not be read.
pub const UNREADABLE: &str = "unreadable";

/// `path`, `error`, with a threshold `tokens_left`, and each result as a list of a fixed size: NaN, or
/// 4294967295 for indices, where there is an error. No list is null, which Arrow's C++ reader does not read.
pub struct Table {
    writer: ArrowWriter<NamedTempFile>,
    target: PathBuf,
    schema: SchemaRef,
    want: Want,
}

/// Whether Parquet can be written.
pub fn check() -> Result<()> {
    Ok(())
}

/// What a file says of itself.
pub fn metadata(path: &Path) -> Result<BTreeMap<String, String>> {
    let unreadable = || format!("{}: cannot be read as a Parquet file", shown(path));
    let file = File::open(path).with_context(unreadable)?;
    let reader = SerializedFileReader::new(file).with_context(unreadable)?;
    let pairs = reader.metadata().file_metadata().key_value_metadata();
    let pairs = pairs.into_iter().flatten();
    Ok(pairs.filter_map(|pair| Some((pair.key.clone(), pair.value.clone()?))).collect())
}

impl Table {
    /// A file for results of which merging leaves `merged` tokens, with `about` as metadata.
    pub fn create(
        target: &Path,
        want: Want,
        merged: u32,
        config: &Config,
        counts: bool,
        about: BTreeMap<String, String>,
    ) -> Result<Self> {
        let mut fields =
            vec![Field::new(PATH, DataType::Utf8, false), Field::new(ERROR, DataType::Utf8, true)];
        if counts {
            fields.push(Field::new(TOKENS_LEFT, DataType::UInt32, true));
        }
        for output in want.outputs() {
            let kind = match output.kind() {
                ValueKind::F32 => DataType::Float32,
                ValueKind::U32 => DataType::UInt32,
            };
            let shape = output.shape(config, merged);
            let length = i32::try_from(shape.iter().product::<usize>()).ok().filter(|&length| length > 0);
            let length = length.with_context(|| format!("{output} {shape:?} is no column of a table"))?;
            let list = DataType::FixedSizeList(Arc::new(Field::new("item", kind, false)), length);
            // Rows of several dimensions are flat, which not every reader would take otherwise.
            let shape = HashMap::from([("shape".to_owned(), format!("{shape:?}"))]);
            fields.push(Field::new(output.name(), list, false).with_metadata(shape));
        }
        let schema = Arc::new(Schema::new(fields));
        // Floats of a network hardly compress, and paths are few bytes beside them.
        let properties = WriterProperties::builder()
            .set_dictionary_enabled(false)
            .set_max_row_group_bytes(Some(ROW_GROUP));
        let file = output::beside(target)?;
        let unwritten = || format!("{}: cannot be written", shown(target));
        let mut writer =
            ArrowWriter::try_new(file, schema.clone(), Some(properties.build())).with_context(unwritten)?;
        for (key, value) in about {
            writer.append_key_value_metadata(KeyValue::new(key, value));
        }
        Ok(Table { writer, target: target.to_owned(), schema, want })
    }

    /// The next rows; `unreadable` by their places among these, and the tokens of each where their number is the image's.
    pub fn append(
        &mut self,
        names: &[String],
        unreadable: &[(usize, String)],
        tokens: Option<&[usize]>,
        outputs: &Outputs,
    ) -> Result<()> {
        let mut errors: Vec<Option<&str>> = vec![None; names.len()];
        for (place, why) in unreadable {
            errors[*place] = Some(why);
        }
        let there: Vec<bool> = errors.iter().map(Option::is_none).collect();
        let mut columns: Vec<ArrayRef> = vec![
            Arc::new(StringArray::from_iter_values(names)),
            Arc::new(errors.iter().copied().collect::<StringArray>()),
        ];
        if let Some(tokens) = tokens {
            let left = tokens.iter().zip(&there).map(|(&left, &there)| there.then_some(left as u32));
            columns.push(Arc::new(left.collect::<UInt32Array>()));
        }
        for (output, field) in self.want.outputs().zip(&self.schema.fields()[columns.len()..]) {
            columns.push(match outputs.get(output) {
                Values::F32(values) => lists::<Float32Type>(field, values),
                Values::U32(values) => lists::<UInt32Type>(field, values),
            });
        }
        let unwritten = || format!("{}: cannot be written", shown(&self.target));
        let batch = RecordBatch::try_new(self.schema.clone(), columns).with_context(unwritten)?;
        self.writer.write(&batch).with_context(unwritten)
    }

    /// Puts the file in its place; so many images in it could not be read.
    pub fn finish(self, unreadable: usize) -> Result<()> {
        let target = self.target.clone();
        self.finish_as(&target, unreadable)
    }

    /// Puts the file elsewhere.
    pub fn finish_as(mut self, target: &Path, unreadable: usize) -> Result<()> {
        self.writer.append_key_value_metadata(KeyValue::new(UNREADABLE.to_owned(), unreadable.to_string()));
        let file =
            self.writer.into_inner().with_context(|| format!("{}: cannot be written", shown(target)))?;
        output::put(file, target)
    }
}

/// A list for each row.
fn lists<T: ArrowPrimitiveType>(field: &FieldRef, values: &[T::Native]) -> ArrayRef {
    let DataType::FixedSizeList(item, length) = field.data_type() else { unreachable!("a list") };
    let values = PrimitiveArray::<T>::from_iter_values(values.iter().copied());
    Arc::new(FixedSizeListArray::new(item.clone(), *length, Arc::new(values), None))
}
