//! One tensor: a shape, and values in the type that they have in the file.

use std::borrow::Cow;

use half::slice::HalfFloatSliceExt;
use half::{bf16, f16};

/// A tensor, row-major.
#[derive(Clone, Debug, PartialEq)]
pub struct Tensor {
    /// Its dimensions.
    pub shape: Vec<usize>,
    /// Its values; as many as the product of the dimensions.
    pub data: TensorData,
}

/// A tensor's values in the type that they are kept in.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum TensorData {
    /// 32-bit floats.
    F32(Vec<f32>),
    /// IEEE's 16-bit floats.
    F16(Vec<f16>),
    /// The upper halves of 32-bit floats.
    BF16(Vec<bf16>),
}

impl Tensor {
    /// A tensor of this shape; `data` is a vector of `f32`, `half::f16` or `half::bf16`, as long as the product of the
    /// dimensions.
    pub fn new(shape: impl Into<Vec<usize>>, data: impl Into<TensorData>) -> Self {
        Tensor { shape: shape.into(), data: data.into() }
    }
}

impl TensorData {
    /// The number of values.
    pub fn len(&self) -> usize {
        match self {
            TensorData::F32(values) => values.len(),
            TensorData::F16(values) => values.len(),
            TensorData::BF16(values) => values.len(),
        }
    }

    /// Whether there are no values.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The values as 32-bit floats, which hold those of every type exactly.
    pub fn to_f32(&self) -> Cow<'_, [f32]> {
        match self {
            TensorData::F32(values) => values.into(),
            TensorData::F16(values) => values.to_f32_vec().into(),
            TensorData::BF16(values) => values.to_f32_vec().into(),
        }
    }

    /// [`to_f32`](Self::to_f32) without a copy of what is 32 bits wide.
    pub fn into_f32(self) -> Vec<f32> {
        match self {
            TensorData::F32(values) => values,
            other => other.to_f32().into_owned(),
        }
    }

    /// These values and then others, in the type of both or as 32-bit floats.
    #[cfg(feature = "files")]
    pub(crate) fn followed_by(mut self, more: TensorData) -> TensorData {
        match (&mut self, more) {
            (TensorData::F32(values), more) => values.extend_from_slice(&more.to_f32()),
            (TensorData::F16(values), TensorData::F16(more)) => values.extend(more),
            (TensorData::BF16(values), TensorData::BF16(more)) => values.extend(more),
            (_, more) => return [self.to_f32(), more.to_f32()].concat().into(),
        }
        self
    }
}

impl From<Vec<f32>> for TensorData {
    fn from(values: Vec<f32>) -> Self {
        TensorData::F32(values)
    }
}

impl From<Vec<f16>> for TensorData {
    fn from(values: Vec<f16>) -> Self {
        TensorData::F16(values)
    }
}

impl From<Vec<bf16>> for TensorData {
    fn from(values: Vec<bf16>) -> Self {
        TensorData::BF16(values)
    }
}
