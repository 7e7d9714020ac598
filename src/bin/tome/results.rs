//! The results of `tome infer` on their way into files: tensors and the names of their rows, or a table.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Error, Result};
use safetensors::Dtype;
use tome_wgpu::vit::{Config, Options, Output, Outputs, ValueKind, Values, ValuesMut, Want};

use crate::inputs::Inputs;
use crate::rows::Rows;
use crate::table::Table;
use crate::tensor_writer::TensorWriter;
use crate::text::shown;

/// Whether an output is a Parquet file, by its ending.
pub fn is_table(path: &Path) -> bool {
    path.extension().is_some_and(|suffix| suffix == "parquet")
}

/// Files that are written and not yet in their places.
pub struct Results {
    files: Files,
    want: Want,
    /// Whether images have tokens of their own number.
    counts: bool,
    /// Images whose results are written.
    pub images: usize,
    /// Those of them that could not be read.
    pub unreadable: usize,
}

enum Files {
    Tensors { writer: TensorWriter, rows: Rows },
    Table(Box<Table>),
}

impl Results {
    /// Makes room for the results of all inputs, with `about` as metadata.
    pub fn create(
        path: &Path,
        inputs: &Inputs,
        config: &Config,
        options: &Options,
        want: Want,
        mut about: BTreeMap<String, String>,
    ) -> Result<Self> {
        let merged = options.tokens_per_block(config).last().copied().unwrap_or_default();
        let counts = options.threshold.is_some();
        let files = match is_table(path) {
            true => Files::Table(Box::new(Table::create(path, want, merged, config, counts, about)?)),
            false => {
                let rows = Rows::create(path)?;
                let tensors = want.outputs().map(|output| tensor(output, inputs.count(), merged, config));
                let tensors = tensors.collect();
                about.extend(rows.metadata(inputs));
                Files::Tensors { writer: TensorWriter::create(path, tensors, about)?, rows }
            }
        };
        Ok(Results { files, want, counts, images: 0, unreadable: 0 })
    }

    /// Writes the results of the next images; those that could not be read, by their places among these, have none.
    pub fn append(
        &mut self,
        mut outputs: Outputs,
        unreadable: &[(usize, String)],
        inputs: &Inputs,
    ) -> Result<()> {
        let tokens: Option<Vec<usize>> =
            self.counts.then(|| (0..outputs.batch).map(|image| outputs.tokens_of(image)).collect());
        let names: Vec<String> =
            (self.images..self.images + outputs.batch).map(|row| inputs.name(row)).collect();
        for &(image, _) in unreadable {
            blank(&mut outputs, image);
        }
        match &mut self.files {
            Files::Table(table) => table.append(&names, unreadable, tokens.as_deref(), &outputs)?,
            Files::Tensors { writer, rows } => {
                for (tensor, output) in self.want.outputs().enumerate() {
                    match outputs.get(output) {
                        Values::F32(values) => writer.append(tensor, values)?,
                        Values::U32(values) => writer.append(tensor, values)?,
                    }
                }
                rows.append(names.into_iter(), unreadable, tokens.as_deref())?;
            }
        }
        self.images += outputs.batch;
        self.unreadable += unreadable.len();
        Ok(())
    }

    /// Puts all files in their places.
    pub fn finish(self) -> Result<()> {
        match self.files {
            Files::Table(table) => table.finish(self.unreadable),
            Files::Tensors { writer, rows } => {
                rows.finish()?;
                writer.finish()
            }
        }
    }

    /// Puts what there is into `OUT.partial.safetensors` and `OUT.partial.jsonl`, with nothing in the rows that are missing, or
    /// into `OUT.partial.parquet` without them, so that hours of work are not lost; gives the error with words about that.
    pub fn keep(self, error: Error, inputs: &Inputs, path: &Path) -> Error {
        if self.images == 0 {
            return error;
        }
        let (done, count, unreadable) = (self.images, inputs.count(), self.unreadable);
        let suffix = if is_table(path) { "parquet" } else { "safetensors" };
        let partial = path.with_extension(format!("partial.{suffix}"));
        let put = match self.files {
            Files::Table(table) => table.finish_as(&partial, unreadable),
            Files::Tensors { writer, rows } => keep_tensors(writer, rows, done, inputs, &partial),
        };
        match put {
            Ok(()) => error.context(format!("{done} of {count} images are done, in {}", shown(&partial))),
            Err(unwritten) => {
                error.context(format!("{done} of {count} images were done and are lost: {unwritten:#}"))
            }
        }
    }
}

fn keep_tensors(
    mut writer: TensorWriter,
    mut rows: Rows,
    done: usize,
    inputs: &Inputs,
    partial: &Path,
) -> Result<()> {
    let count = inputs.count();
    writer.blank_rest()?;
    let missing: Vec<(usize, String)> = (0..count - done).map(|at| (at, "not run".into())).collect();
    rows.append((done..count).map(|row| inputs.name(row)), &missing, None)?;
    rows.finish_beside(partial)?;
    writer.finish_as(partial)
}

/// Name, type and shape in the file.
fn tensor(output: Output, images: usize, merged: u32, config: &Config) -> (String, Dtype, Vec<usize>) {
    let dtype = match output.kind() {
        ValueKind::F32 => Dtype::F32,
        ValueKind::U32 => Dtype::U32,
    };
    let shape = [images].into_iter().chain(output.shape(config, merged)).collect();
    (output.name().into(), dtype, shape)
}

/// Results for an image that there is none of: NaN, and tokens that there cannot be.
fn blank(outputs: &mut Outputs, image: usize) {
    fn fill<T: Copy>(values: &mut [T], [batch, image]: [usize; 2], nothing: T) {
        let length = values.len() / batch;
        values[image * length..][..length].fill(nothing);
    }
    let row = [outputs.batch, image];
    for &output in Output::ALL {
        match outputs.get_mut(output) {
            ValuesMut::F32(values) => fill(values, row, f32::NAN),
            ValuesMut::U32(values) => fill(values, row, u32::MAX),
        }
    }
}
