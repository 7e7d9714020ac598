//! Pictures decoded as Pillow decodes them, or refused.

mod decode;
mod extent;
mod gif;
mod jpeg;
mod kind;
mod pixels;
mod tiff;

pub use decode::{Picture, decode_image, open_image};
pub(super) use decode::{Stored, decode_at, is_large, is_many, read};
pub(super) use extent::Extent;
pub(super) use jpeg::scale;
pub use kind::is_picture;
pub(super) use pixels::Pixels;
