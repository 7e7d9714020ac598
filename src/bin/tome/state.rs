//! What an evaluation has done so far, kept in a file: a line of JSON that says what is evaluated, then one an image.
//! Features, which are many numbers, are in a file beside it.

use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde_json::{Map, Value, json};
use tome_wgpu::eval::Compared;

use crate::text::shown;

/// An image's results.
pub struct Row {
    pub path: String,
    pub label: Option<usize>,
    /// One for each way that is evaluated, or why there are none.
    pub compared: Result<Vec<Compared>, String>,
}

/// The two files.
pub struct State {
    rows: File,
    features: Option<File>,
    path: PathBuf,
}

/// The key of what two runs of the same network agree in up to rounding.
const FINGERPRINT: &str = "fingerprint";
/// How far by the largest value.
const ROUNDING: f64 = 1e-3;

impl State {
    /// Opens a file for what `header` says, or makes one; hands on the rows that are there, and the features of each way.
    /// `features` are the values of an image's in all ways.
    pub fn open(
        path: &Path,
        header: &Value,
        features: Option<usize>,
        mut take: impl FnMut(Row) -> Result<()>,
    ) -> Result<(Self, Vec<f32>)> {
        let unreadable = || format!("{}: cannot be opened", shown(path));
        if path.exists() && !path.is_file() {
            bail!("{}: is no regular file, and the state is kept in one", shown(path));
        }
        let mut rows = open(path).with_context(unreadable)?;
        if rows.try_lock().is_err() {
            bail!("{}: another run writes it", shown(path));
        }
        let mut reader = BufReader::new(&mut rows);
        // Up to here lines are whole; a run that was killed may have left a part of one.
        let mut whole = 0;
        let (mut number, mut readable) = (0, 0);
        let mut line = String::new();
        loop {
            line.clear();
            let broken =
                || format!("{}: line {} is broken; remove the file to begin anew", shown(path), number + 1);
            reader.by_ref().take(MOST_BYTES).read_line(&mut line).with_context(broken)?;
            if !line.ends_with('\n') {
                if line.len() as u64 >= MOST_BYTES
                    || number == 0 && !line.is_empty() && !line.starts_with("{\"")
                {
                    bail!("{}: is not the state of an evaluation; give another file", shown(path));
                }
                break;
            }
            whole += line.len() as u64;
            if number == 0 {
                let found: Value = serde_json::from_str(&line).unwrap_or_default();
                same(&found, header).with_context(|| shown(path))?;
            } else {
                let row = Row::parse(&line).with_context(broken)?;
                readable += usize::from(row.compared.is_ok());
                take(row)?;
            }
            number += 1;
        }
        rows.set_len(whole).with_context(unreadable)?;
        rows.seek(SeekFrom::End(0)).with_context(unreadable)?;
        let mut beside = path.as_os_str().to_owned();
        beside.push(".features");
        let (file, values) = match features {
            Some(width) => {
                let (file, values) = read_features(Path::new(&beside), readable * width)?;
                (Some(file), values)
            }
            None => (None, Vec::new()),
        };
        let mut state = State { rows, features: file, path: path.into() };
        if number == 0 {
            state.write(header)?;
        }
        Ok((state, values))
    }

    /// Adds an image, its features first, so that no row is without.
    pub fn append(&mut self, row: &Row, features: &[f32]) -> Result<()> {
        if let (Some(file), Ok(_)) = (&mut self.features, &row.compared) {
            let bytes: Vec<u8> = features.iter().flat_map(|value| value.to_le_bytes()).collect();
            file.write_all(&bytes)
                .with_context(|| format!("{}: its features cannot be written", shown(&self.path)))?;
        }
        self.write(&row.json())
    }

    fn write(&mut self, line: &Value) -> Result<()> {
        let line = format!("{line}\n");
        self.rows
            .write_all(line.as_bytes())
            .with_context(|| format!("{}: cannot be written", shown(&self.path)))
    }
}

/// More than any line.
const MOST_BYTES: u64 = 1 << 24;

fn open(path: &Path) -> std::io::Result<File> {
    OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)
}

/// So many values; what is behind them belongs to a row that was not written any more.
fn read_features(path: &Path, values: usize) -> Result<(File, Vec<f32>)> {
    let unreadable = || format!("{}: cannot be opened", shown(path));
    let mut file = open(path).with_context(unreadable)?;
    let (bytes, there) = (values as u64 * 4, file.metadata().with_context(unreadable)?.len());
    if there < bytes {
        bail!(
            "{}: has {there} bytes of {bytes}; remove it and the state beside it to begin anew",
            shown(path)
        );
    }
    file.set_len(bytes).with_context(unreadable)?;
    let mut all = Vec::new();
    file.read_to_end(&mut all).with_context(unreadable)?;
    let (floats, _) = all.as_chunks::<4>();
    Ok((file, floats.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect()))
}

/// Whether a state is one of what is evaluated now.
fn same(found: &Value, wanted: &Value) -> Result<()> {
    let (Some(found), Some(wanted)) = (found.as_object(), wanted.as_object()) else {
        bail!("is not the state of an evaluation; give another file");
    };
    let kept = |key: &str| found.get(key).unwrap_or(&Value::Null);
    let plain = wanted.iter().filter(|(key, _)| *key != FINGERPRINT);
    if let Some((key, now)) = plain.into_iter().find(|(key, now)| kept(key) != *now) {
        let kept = kept(key);
        bail!(
            "is of another evaluation: {key} is {now} now and was {kept}. Give the same arguments or another file"
        );
    }
    // Last, as other pictures change it too.
    if !near(kept(FINGERPRINT), &wanted[FINGERPRINT]) {
        bail!("is of another network of that name: its weights give other results. Give another file");
    }
    Ok(())
}

fn near(kept: &Value, now: &Value) -> bool {
    let values =
        |value: &Value| -> Option<Vec<f64>> { value.as_array()?.iter().map(Value::as_f64).collect() };
    let (Some(kept), Some(now)) = (values(kept), values(now)) else { return kept == now };
    let largest = now.iter().fold(0f64, |most, value| most.max(value.abs()));
    kept.len() == now.len() && kept.iter().zip(&now).all(|(a, b)| (a - b).abs() <= ROUNDING * largest)
}

impl Row {
    fn json(&self) -> Value {
        match &self.compared {
            Ok(all) => {
                let all: Vec<Value> = all.iter().map(write).collect();
                json!({ "path": self.path, "label": self.label, "results": all })
            }
            Err(error) => json!({ "path": self.path, "label": self.label, "error": error }),
        }
    }

    fn parse(line: &str) -> Result<Row> {
        let row: Value = serde_json::from_str(line)?;
        let path = row["path"].as_str().context("no path")?.to_owned();
        let label = row["label"].as_u64().map(|label| label as usize);
        let compared = match row["error"].as_str() {
            Some(error) => Err(error.to_owned()),
            None => Ok(row["results"].as_array().context("no results")?.iter().map(read).collect()),
        };
        Ok(Row { path, label, compared })
    }
}

/// Results as JSON: what there is none of is left out, NaN is null.
fn write(one: &Compared) -> Value {
    let mut fields = Map::new();
    if one.divergence.is_some() {
        fields.insert("best".into(), json!(one.best));
    }
    if let Some(ahead) = one.ahead {
        fields.insert("ahead".into(), json!(ahead));
    }
    for (name, value) in DIFFERENCES.iter().zip(differences(&mut one.clone())) {
        if let Some(value) = value {
            fields.insert((*name).into(), json!(value));
        }
    }
    fields.into()
}

fn read(fields: &Value) -> Compared {
    let index = |name: &str| fields[name].as_u64().map(|index| index as usize);
    let mut one = Compared::default();
    (one.best, one.ahead) = (index("best"), index("ahead"));
    for (name, value) in DIFFERENCES.iter().zip(differences(&mut one)) {
        *value = fields.get(name).map(|value| value.as_f64().unwrap_or(f64::NAN));
    }
    one
}

const DIFFERENCES: [&str; 4] = ["divergence", "features", "dense", "dense_cosine"];

fn differences(one: &mut Compared) -> [&mut Option<f64>; 4] {
    [&mut one.divergence, &mut one.features, &mut one.dense, &mut one.dense_cosine]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_read_as_it_was_written() {
        let mut one = Compared::default();
        (one.best, one.ahead, one.divergence, one.dense) = (Some(3), Some(0), Some(0.25), Some(1e-9));
        let mut nan = Compared::default();
        (nan.divergence, nan.ahead) = (Some(f64::NAN), Some(10));
        for compared in [Ok(vec![one, nan]), Err("broken".to_owned())] {
            let row = Row { path: "a \"b\".png".into(), label: Some(7), compared };
            let again = Row::parse(&row.json().to_string()).unwrap();
            assert_eq!(format!("{:?}", again.compared), format!("{:?}", row.compared));
            assert_eq!((again.path, again.label), (row.path, row.label));
        }
    }
}
