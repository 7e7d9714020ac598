//! The names of the ways to merge, as the command's flags and fitted files write them.

use std::fmt;
use std::str::FromStr;

use super::options::{Metric, PoolBy, Protect};
use crate::error::{Error, Result};
use crate::kernels::{MergeMode, MergedPosition, Similarity};

/// Gives a type's values names, to be printed and read.
macro_rules! named {
    ($kind:ident, $what:literal: $($value:ident $name:literal,)*) => {
        impl $kind {
            /// Every value with its name.
            pub(crate) const NAMED: &[($kind, &str)] = &[$(($kind::$value, $name),)*];

            /// The names of all values.
            pub fn names() -> impl Iterator<Item = &'static str> {
                Self::NAMED.iter().map(|&(_, name)| name)
            }
        }

        impl fmt::Display for $kind {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let named = Self::NAMED.iter().find(|(value, _)| value == self);
                f.write_str(named.map_or("?", |&(_, name)| name))
            }
        }

        impl FromStr for $kind {
            type Err = Error;

            fn from_str(text: &str) -> Result<Self> {
                let named = Self::NAMED.iter().find(|&&(_, name)| name == text);
                named.map(|&(value, _)| value).ok_or_else(|| {
                    let names: Vec<_> = Self::names().collect();
                    Error::Input(format!("`{text}` is no {}; there are {}", $what, names.join(", ")))
                })
            }
        }
    };
}

named! { Metric, "metric":
    Keys "keys",
    Queries "queries",
    Values "values",
    Input "input",
    Attention "attention",
    Final "final",
}

named! { Similarity, "similarity":
    Cosine "cosine",
    Dot "dot",
    Euclidean "euclidean",
}

named! { MergeMode, "way to merge":
    WeightedMean "wmean",
    Mean "mean",
    Sum "sum",
    Max "max",
    Min "min",
    KeepOne "keep-one",
    Mlerp "mlerp",
    MaxMagnitude "max-magnitude",
}

named! { MergedPosition, "position of merged tokens":
    Mean "mean",
    Kept "kept",
}

named! { Protect, "choice of protected tokens":
    Prefix "prefix",
    Class "cls",
}

named! { PoolBy, "weight of merged tokens":
    Size "size",
    Plain "plain",
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_has_a_name_of_its_own() {
        assert_eq!(MergeMode::NAMED.len(), MergeMode::ALL.len());
        assert_eq!(Similarity::NAMED.len(), Similarity::ALL.len());
        for &(value, name) in MergeMode::NAMED {
            assert_eq!((value.to_string(), name.parse::<MergeMode>().unwrap()), (name.into(), value));
        }
        for &(value, name) in Metric::NAMED {
            assert_eq!((value.to_string(), name.parse::<Metric>().unwrap()), (name.into(), value));
        }
        let error = "key".parse::<Metric>().unwrap_err().to_string();
        assert!(error.contains("`key` is no metric; there are keys, queries"), "{error}");
    }
}
