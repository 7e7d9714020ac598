//! Pictures decoded as Pillow decodes them, or refused.

mod decode;
mod gif;
mod jpeg;
mod kind;
mod pixels;
mod tiff;

pub use decode::{Picture, decode_image, open_image};
pub(super) use decode::{is_large, read};
pub use kind::is_picture;
pub(super) use pixels::Pixels;
