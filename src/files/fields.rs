//! Fields of a JSON config, taken one by one, and the errors about them.

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::error::{Error, Result};

/// A JSON object whose fields are taken out one by one, so that what is left was not understood.
pub(super) struct Fields(pub Map<String, Value>);

impl Fields {
    /// A JSON text that must be an object.
    pub fn parse(json: &str) -> Result<Self> {
        serde_json::from_slice(json.as_bytes()).map(Fields).map_err(|error| wrong("JSON", error.to_string()))
    }

    /// Whether the field is there, and be it null.
    pub fn has(&self, key: &str) -> bool {
        self.0.contains_key(key)
    }

    /// The field's value; none where it is absent or null, which timm and transformers mostly treat alike.
    pub fn take<T: DeserializeOwned>(&mut self, key: &str) -> Result<Option<T>> {
        match self.0.remove(key) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => {
                serde_json::from_value(value).map(Some).map_err(|error| wrong(key, error.to_string()))
            }
        }
    }
}

/// `224` or `[224, 224]`.
#[derive(Deserialize)]
#[serde(untagged, expecting = "expected a whole number or a pair of them, [height, width]")]
pub(super) enum Sides {
    One(u32),
    Two([u32; 2]),
}

impl Sides {
    pub fn pair(self) -> [u32; 2] {
        match self {
            Sides::One(side) => [side; 2],
            Sides::Two(sides) => sides,
        }
    }
}

pub(super) fn set<T>(field: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *field = value;
    }
}

pub(super) fn quoted(text: &str) -> String {
    format!("`{text}`")
}

pub(super) fn wrong(field: &str, why: impl Into<String>) -> Error {
    Error::Config { field: field.into(), why: why.into() }
}

pub(super) fn unsupported(field: &str, value: String, why: &str) -> Error {
    Error::Unsupported { field: field.into(), value, why: why.into() }
}
