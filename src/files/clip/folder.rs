//! The frames in a folder.

use std::path::{Path, PathBuf};

use super::super::{broken, picture};
use crate::error::Result;
use crate::regular;

/// The most files of a folder.
const MOST_FILES: usize = 1 << 20;

/// The pictures directly in a folder in the order of their names, where numbers count as such: 2 before 10.
///
/// # Errors
/// [`Error::File`](crate::Error::File) where the folder cannot be read or holds too many files.
pub(super) fn frames(folder: &Path) -> Result<Vec<PathBuf>> {
    let failed = |error: std::io::Error| broken(folder, format!("cannot be read: {error}"));
    let mut frames = Vec::new();
    for (count, entry) in std::fs::read_dir(folder).map_err(failed)?.enumerate() {
        if count >= MOST_FILES {
            return Err(broken(folder, format!("has more than {MOST_FILES} files in it")));
        }
        let path = entry.map_err(failed)?.path();
        if begins_as_picture(&path) {
            frames.push(path);
        }
    }
    frames.sort_by_cached_key(|path| order(&path.file_name().unwrap_or_default().to_string_lossy()));
    Ok(frames)
}

fn begins_as_picture(path: &Path) -> bool {
    let mut begin = Vec::new();
    let read = |file| std::io::Read::read_to_end(&mut std::io::Read::take(file, 16), &mut begin);
    regular::open(path).and_then(read).is_ok() && picture::is_picture(&begin)
}

/// A name as text and numbers in turn, the numbers by their length and then their digits, and at last as it is.
fn order(name: &str) -> (Vec<(String, usize, String)>, String) {
    let mut parts = Vec::new();
    let mut rest = name;
    while !rest.is_empty() {
        let (text, after) = rest.split_at(rest.find(|c: char| c.is_ascii_digit()).unwrap_or(rest.len()));
        let (number, after) =
            after.split_at(after.find(|c: char| !c.is_ascii_digit()).unwrap_or(after.len()));
        let digits = number.trim_start_matches('0');
        parts.push((text.to_owned(), digits.len(), digits.to_owned()));
        rest = after;
    }
    (parts, name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::order;

    #[test]
    fn numbers_count_as_such() {
        let mut names = ["f10.png", "f2.png", "f002b.png", "e99.png", "f02.png", "10", "9", "f.png"];
        names.sort_by_cached_key(|name| order(name));
        assert_eq!(names, ["9", "10", "e99.png", "f02.png", "f2.png", "f002b.png", "f10.png", "f.png"]);
    }
}
