//! A share of the pictures, which one of several runs takes.

use std::path::{Path, PathBuf};
use std::str::FromStr;

/// `I/N`: one of N shares, from 1 on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Shard {
    number: u32,
    count: u32,
}

impl FromStr for Shard {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let numbers = text.split_once('/').and_then(|(i, n)| Some((i.parse().ok()?, n.parse().ok()?)));
        match numbers {
            Some((number, count)) if (1..=count).contains(&number) => Ok(Shard { number, count }),
            _ => Err(format!("`{text}` is not I/N with I from 1 to N, as in 3/16")),
        }
    }
}

impl Shard {
    /// Whether a picture of this name is in it: in one of all N, whatever other pictures there are.
    pub fn holds(self, name: &str) -> bool {
        // Spread evenly over 2^32, then cut into N.
        let place = ((mixed(name) >> 32) * u64::from(self.count)) >> 32;
        place == u64::from(self.number - 1)
    }

    /// An output's name for it: `out.parquet` becomes `out-00003-of-00016.parquet`.
    pub fn output(self, path: &Path) -> PathBuf {
        let mut name = path.file_stem().unwrap_or_default().to_owned();
        name.push(format!("-{:05}-of-{:05}", self.number, self.count));
        if let Some(suffix) = path.extension() {
            name.push(".");
            name.push(suffix);
        }
        path.with_file_name(name)
    }
}

impl std::fmt::Display for Shard {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.number, self.count)
    }
}

/// A number of a text that is the same everywhere and always: FNV-1a, its bits mixed as in MurmurHash3.
pub fn mixed(text: &str) -> u64 {
    let hash = text
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    let hash = (hash ^ hash >> 33).wrapping_mul(0xff51_afd7_ed55_8ccd);
    let hash = (hash ^ hash >> 33).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    hash ^ hash >> 33
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_picture_is_in_one_shard_and_they_are_alike() {
        for count in [1u32, 2, 3, 16, 100] {
            let shards: Vec<Shard> = (1..=count).map(|i| format!("{i}/{count}").parse().unwrap()).collect();
            let mut sizes = vec![0f64; shards.len()];
            for picture in 0..20_000 {
                let name = format!("photos/IMG_{picture:05}.jpg");
                let holders: Vec<usize> =
                    (0..shards.len()).filter(|&shard| shards[shard].holds(&name)).collect();
                assert_eq!(holders.len(), 1, "{name} of {count}");
                sizes[holders[0]] += 1.0;
            }
            // Binomial: five deviations.
            let mean = 20_000.0 / f64::from(count);
            for size in sizes {
                assert!((size - mean).abs() <= 5.0 * mean.sqrt(), "{size} of {mean}");
            }
        }
    }

    #[test]
    fn the_split_is_the_same_for_ever() {
        let numbers = ["", "a.png", "photos/b.jpg"].map(mixed);
        assert_eq!(numbers, FIXED, "{numbers:#x?}");
    }

    /// As another implementation gives them.
    const FIXED: [u64; 3] = [0xefd0_1f60_ba99_2926, 0x770c_0647_53fc_ca9e, 0xd913_c7c8_e18c_40a2];

    #[test]
    fn names_say_which_shard_it_is() {
        let shard: Shard = "3/16".parse().unwrap();
        assert_eq!(shard.output(Path::new("a/out.parquet")), Path::new("a/out-00003-of-00016.parquet"));
        assert_eq!(shard.output(Path::new("out")), Path::new("out-00003-of-00016"));
        for wrong in ["0/4", "5/4", "1/0", "1", "1/", "-1/4", "1/4/4", "a/b", ""] {
            assert!(wrong.parse::<Shard>().is_err(), "{wrong}");
        }
    }
}
