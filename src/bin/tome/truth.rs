//! Labels of ImageNet's validation pictures, in the files that are passed around.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::imagenet::is_synset;
use crate::text::shown;

/// More than any such file.
const MOST_BYTES: u64 = 1 << 26;

/// What a file says of pictures.
enum Truth {
    /// By the number in a picture's name, from 1 on.
    Numbered(Vec<String>),
    /// By the picture's name without ending.
    Named(HashMap<String, String>),
}

/// The label of each picture by a file: a synset a line in the order of the pictures' numbers; or a line each of name and
/// synset, or name and class; or Kaggle's `LOC_val_solution.csv`.
pub fn labels(file: &Path, pictures: &[PathBuf]) -> Result<Vec<String>> {
    let name = shown(file);
    let unreadable = || format!("{name}: the labels cannot be read");
    let size = file.metadata().with_context(unreadable)?.len();
    if size > MOST_BYTES {
        bail!("{name}: {size} bytes are no labels of ImageNet's validation pictures");
    }
    let text = std::fs::read_to_string(file).with_context(unreadable)?;
    let truth = read(&text).with_context(|| format!("{name}: cannot be used as labels"))?;
    let label = |path: &PathBuf| {
        let stem = path.file_stem().unwrap_or_default().to_string_lossy();
        let found = match &truth {
            Truth::Named(labels) => labels.get(stem.as_ref()),
            Truth::Numbered(labels) => {
                let number = stem.strip_prefix("ILSVRC2012_val_").and_then(|number| number.parse().ok());
                number.and_then(|number: usize| labels.get(number.checked_sub(1)?))
            }
        };
        found.cloned().with_context(|| format!("{name}: has no label for {}", shown(path)))
    };
    pictures.iter().map(label).collect()
}

fn read(text: &str) -> Result<Truth> {
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    let first = lines.first().copied().unwrap_or_default();
    if first.starts_with("ImageId,") {
        let named = lines[1..].iter().enumerate().map(|(at, line)| {
            // ILSVRC2012_val_00048981,n03995372 85 1 499 272
            let (picture, boxes) = line.split_once(',').unwrap_or_default();
            let synset = boxes.split(' ').next().filter(|synset| is_synset(synset));
            let synset = synset.with_context(|| format!("line {}: `{line}` has no synset", at + 2))?;
            Ok((picture.to_owned(), synset.to_owned()))
        });
        return Ok(Truth::Named(named.collect::<Result<_>>()?));
    }
    if is_synset(first) {
        if let Some(at) = lines.iter().position(|line| !is_synset(line)) {
            bail!("line {}: `{}` is no synset, and those before are", at + 1, lines[at]);
        }
        return Ok(Truth::Numbered(lines.into_iter().map(str::to_owned).collect()));
    }
    if !first.is_empty() && first.bytes().all(|byte| byte.is_ascii_digit()) {
        bail!(
            "it holds numbers alone. In ILSVRC2012_validation_ground_truth.txt they are ILSVRC2012 ids, which are not the \
             order of networks' classes; what they stand for is in the development kit's meta.mat, which is not read. Give a \
             synset a line instead, or sort the pictures into folders of synsets, as torchvision and timm have them"
        );
    }
    let named = lines.iter().enumerate().filter(|(_, line)| !line.is_empty()).map(|(at, line)| {
        // ILSVRC2012_val_00000001.JPEG 65
        let fields: Vec<&str> = line.split_whitespace().collect();
        let &[picture, label] = fields.as_slice() else {
            bail!("line {}: `{line}` is not the name of a picture and its synset or class", at + 1)
        };
        let stem = Path::new(picture).file_stem().unwrap_or_default().to_string_lossy();
        Ok((stem.into_owned(), label.to_owned()))
    });
    Ok(Truth::Named(named.collect::<Result<_>>()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str, pictures: &[&str]) -> Result<Vec<String>> {
        let file = tempfile::NamedTempFile::new()?;
        std::fs::write(file.path(), text)?;
        labels(file.path(), &pictures.iter().map(PathBuf::from).collect::<Vec<_>>())
    }

    #[test]
    fn three_kinds_of_files_are_read() {
        let pictures = ["val/ILSVRC2012_val_00000002.JPEG", "val/ILSVRC2012_val_00000001.JPEG"];
        for text in [
            "n01440764\nn02119789\n",
            "ILSVRC2012_val_00000001.JPEG n01440764\nval/ILSVRC2012_val_00000002.JPEG n02119789\n",
            "ImageId,PredictionString\nILSVRC2012_val_00000002,n02119789 85 1 499 272\n\
             ILSVRC2012_val_00000001,n01440764 1 1 2 2 n01440764 5 5 6 6\n",
        ] {
            assert_eq!(of(text, &pictures).unwrap(), ["n02119789", "n01440764"], "{text}");
        }
        assert_eq!(of("a.png 65\nb.png 7", &["b.png"]).unwrap(), ["7"]);
    }

    #[test]
    fn others_are_refused_by_what_they_are() {
        for (text, pictures, why) in [
            ("490\n361\n", &["ILSVRC2012_val_00000001.JPEG"][..], "ILSVRC2012 ids"),
            ("n01440764\nx\n", &["ILSVRC2012_val_00000001.JPEG"], "line 2: `x` is no synset"),
            (
                "n01440764\n",
                &["ILSVRC2012_val_00000002.JPEG"],
                "has no label for ILSVRC2012_val_00000002.JPEG",
            ),
            ("n01440764\n", &["a.png"], "has no label for a.png"),
            ("ImageId,PredictionString\na,\n", &["a.png"], "line 2"),
            ("a b c\n", &["a.png"], "line 1"),
        ] {
            let error = format!("{:#}", of(text, pictures).unwrap_err());
            assert!(error.contains(why), "`{why}` in {error}");
        }
    }
}
