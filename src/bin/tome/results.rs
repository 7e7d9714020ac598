//! The results of `tome infer` on their way into files: tensors, and the names of their rows.

use std::path::Path;

use anyhow::{Error, Result};
use safetensors::Dtype;
use tome_wgpu::vit::{Config, Options, Output, Outputs, ValueKind, Values, ValuesMut, Want};

use crate::inputs::Inputs;
use crate::model;
use crate::rows::Rows;
use crate::tensor_writer::TensorWriter;
use crate::text::shown;

/// Two files that are written and not yet in their places.
pub struct Results {
    writer: TensorWriter,
    rows: Rows,
    want: Want,
    /// Whether images have tokens of their own number.
    counts: bool,
    /// Images whose results are written.
    pub images: usize,
    /// Those of them that could not be read.
    pub unreadable: usize,
}

impl Results {
    /// Makes room for the results of all inputs.
    pub fn create(
        path: &Path,
        inputs: &Inputs,
        config: &Config,
        options: &Options,
        want: Want,
    ) -> Result<Self> {
        let merged = options.tokens_per_block(config).last().copied().unwrap_or_default();
        let rows = Rows::create(path)?;
        let tensors = want.outputs().map(|output| tensor(output, inputs.count(), merged, config)).collect();
        let mut about = rows.metadata(inputs);
        about.insert("preprocess".into(), model::described(config).to_string());
        about.insert("r".into(), options.schedule.to_string());
        if let Some(threshold) = options.threshold {
            about.insert("threshold".into(), threshold.to_string());
            about.insert("least".into(), options.least.to_string());
        }
        let writer = TensorWriter::create(path, tensors, about)?;
        Ok(Results { writer, rows, want, counts: options.threshold.is_some(), images: 0, unreadable: 0 })
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
        for &(image, _) in unreadable {
            blank(&mut outputs, image);
        }
        for (tensor, output) in self.want.outputs().enumerate() {
            match outputs.get(output) {
                Values::F32(values) => self.writer.append(tensor, values)?,
                Values::U32(values) => self.writer.append(tensor, values)?,
            }
        }
        let names = (self.images..self.images + outputs.batch).map(|row| inputs.name(row));
        self.rows.append(names, unreadable, tokens.as_deref())?;
        self.images += outputs.batch;
        self.unreadable += unreadable.len();
        Ok(())
    }

    /// Puts both files in their places.
    pub fn finish(self) -> Result<()> {
        self.rows.finish()?;
        self.writer.finish()
    }

    /// Puts what there is into `OUT.partial.safetensors` and `OUT.partial.jsonl`, so that hours of work are not lost, with
    /// nothing in the rows that are missing; gives the error with words about that.
    pub fn keep(mut self, error: Error, inputs: &Inputs, path: &Path) -> Error {
        if self.images == 0 {
            return error;
        }
        let partial = path.with_extension("partial.safetensors");
        let (done, count) = (self.images, inputs.count());
        let mut put = || -> Result<()> {
            self.writer.blank_rest()?;
            let missing: Vec<(usize, String)> = (0..count - done).map(|at| (at, "not run".into())).collect();
            self.rows.append((done..count).map(|row| inputs.name(row)), &missing, None)
        };
        let put = put()
            .and_then(|()| self.rows.finish_beside(&partial))
            .and_then(|()| self.writer.finish_as(&partial));
        match put {
            Ok(()) => error.context(format!("{done} of {count} images are done, in {}", shown(&partial))),
            Err(unwritten) => {
                error.context(format!("{done} of {count} images were done and are lost: {unwritten:#}"))
            }
        }
    }
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
