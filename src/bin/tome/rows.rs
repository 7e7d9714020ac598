//! Which row of an output is which image: a line of JSON each, beside the output.

use std::collections::BTreeMap;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde_json::json;
use tempfile::NamedTempFile;

use crate::inputs::Inputs;
use crate::output;
use crate::text::shown;

/// The most names that an output's own metadata holds.
const IN_METADATA: usize = 10_000;

/// `OUT.jsonl`: `{"row":0,"path":"a.png","error":null}` and so on; with a threshold also `"tokens"`.
pub struct Rows {
    file: BufWriter<NamedTempFile>,
    target: PathBuf,
    next: usize,
}

impl Rows {
    pub fn create(output: &Path) -> Result<Self> {
        let target = output.with_extension("jsonl");
        Ok(Rows { file: BufWriter::new(output::beside(&target)?), target, next: 0 })
    }

    /// For the output's metadata: the rows' names, or where they are if they are many.
    pub fn metadata(&self, inputs: &Inputs) -> BTreeMap<String, String> {
        if inputs.count() > IN_METADATA {
            let name = self.target.file_name().unwrap_or_default();
            return BTreeMap::from([("rows".to_owned(), shown(Path::new(name)))]);
        }
        let names: Vec<String> = (0..inputs.count()).map(|row| inputs.name(row)).collect();
        BTreeMap::from([("paths".to_owned(), json!(names).to_string())])
    }

    /// The next rows; `unreadable` by their places among these, and the tokens of each where their number is the image's.
    pub fn append(
        &mut self,
        names: impl Iterator<Item = String>,
        unreadable: &[(usize, String)],
        tokens: Option<&[usize]>,
    ) -> Result<()> {
        for (place, path) in names.enumerate() {
            let error = unreadable.iter().find(|(at, _)| *at == place).map(|(_, why)| why);
            let mut row = json!({ "row": self.next, "path": path, "error": error });
            if let Some(tokens) = tokens {
                row["tokens"] = error.map_or_else(|| json!(tokens[place]), |_| json!(null));
            }
            writeln!(self.file, "{row}")
                .with_context(|| format!("{}: cannot be written", shown(&self.target)))?;
            self.next += 1;
        }
        Ok(())
    }

    /// Puts the file beside another output.
    pub fn finish_beside(mut self, output: &Path) -> Result<()> {
        self.target = output.with_extension("jsonl");
        self.finish()
    }

    /// Puts the file in its place.
    pub fn finish(self) -> Result<()> {
        let unwritten = || format!("{}: cannot be written", shown(&self.target));
        let file =
            self.file.into_inner().map_err(std::io::IntoInnerError::into_error).with_context(unwritten)?;
        output::put(file, &self.target)
    }
}
