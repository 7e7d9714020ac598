//! A safetensors header looked over before anything is made of it.

use std::collections::HashSet;
use std::fmt;

use serde::de::{Deserializer as _, Error as _, IgnoredAny, MapAccess, Visitor};

/// The most tensors: a hundred times what the largest network has.
const MOST_TENSORS: usize = 100_000;

/// Whether each name is there once, and not too many.
pub(super) fn check(header: &[u8]) -> serde_json::Result<()> {
    serde_json::Deserializer::from_slice(header).deserialize_map(Names)
}

struct Names;

impl<'de> Visitor<'de> for Names {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of tensors")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut seen = HashSet::new();
        while let Some(name) = map.next_key::<String>()? {
            map.next_value::<IgnoredAny>()?;
            if seen.len() == MOST_TENSORS {
                return Err(A::Error::custom(format_args!("more than {MOST_TENSORS} tensors")));
            }
            if let Some(twice) = seen.replace(name) {
                return Err(A::Error::custom(format_args!("`{twice}` is there twice")));
            }
        }
        Ok(())
    }
}
