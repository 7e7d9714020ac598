//! What a file is that is no picture that can be read.

/// Beginnings of files, what they are, and what to do.
const KINDS: [(usize, &[u8], &str); 12] = [
    (4, b"ftypavif", "is an AVIF picture"),
    (4, b"ftypavis", "is an AVIF picture"),
    (4, b"ftypheic", "is a HEIC picture"),
    (4, b"ftypheix", "is a HEIC picture"),
    (4, b"ftypmif1", "is a HEIF picture"),
    (0, b"\0\0\0\x0cjP  ", "is a JPEG 2000 picture"),
    (0, b"\xff\x4f\xff\x51", "is a JPEG 2000 picture"),
    (0, b"\0\0\0\x0cJXL ", "is a JPEG XL picture"),
    (0, b"\xff\x0a", "is a JPEG XL picture"),
    (0, b"<svg", "is an SVG picture"),
    (0, b"%PDF", "is a PDF file"),
    (0, b"8BPS", "is a Photoshop file"),
];

/// Whether a file that begins with these bytes (16 are enough) is a picture of a kind that is read or known by name.
pub fn is_picture(begin: &[u8]) -> bool {
    use image::ImageFormat::{Bmp, Gif, Jpeg, Png, Pnm, Tiff, WebP};
    let read = [Bmp, Gif, Jpeg, Png, Pnm, Tiff, WebP];
    is_other(begin) || format(begin).is_some_and(|format| read.contains(&format))
}

/// A picture's format; `image` does not know the beginning of a BigTIFF, and reads it.
pub(super) fn format(begin: &[u8]) -> Option<image::ImageFormat> {
    let big = begin.starts_with(b"II+\0") || begin.starts_with(b"MM\0+");
    if big { Some(image::ImageFormat::Tiff) } else { image::guess_format(begin).ok() }
}

/// Whether it is a picture of a kind that is known by name and not read.
pub(super) fn is_other(begin: &[u8]) -> bool {
    KINDS.iter().any(|(at, kind, _)| begin.get(*at..).is_some_and(|b| b.starts_with(kind) && kind.len() > 4))
}

/// In words.
pub(super) fn of_bytes(bytes: &[u8]) -> String {
    if bytes.is_empty() {
        return "is empty".into();
    }
    let known = KINDS.iter().find(|(at, begin, _)| bytes.get(*at..).is_some_and(|b| b.starts_with(begin)));
    match known {
        Some((.., what)) => format!("{what}, which is not supported; save it as PNG or JPEG"),
        None => "is no picture (PNG, JPEG, WebP, BMP, GIF, TIFF and PNM are read)".into(),
    }
}
