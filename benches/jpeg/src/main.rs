//! Decodes every JPEG of a folder by each decoder, to files of RGB beside it: `compare.py` says how far from Pillow.

use std::fs;
use std::path::Path;

use zune_jpeg::zune_core::bytestream::ZCursor;
use zune_jpeg::zune_core::colorspace::ColorSpace;
use zune_jpeg::zune_core::options::DecoderOptions;

type Decoded = Result<Vec<u8>, String>;

fn main() {
    let folder = std::env::args().nth(1).expect("a folder");
    let files = fs::read_dir(&folder).expect("a folder").map(|entry| entry.expect("a file").path());
    for path in files.filter(|path| path.extension().is_some_and(|suffix| suffix == "jpg")) {
        let bytes = fs::read(&path).expect("a file");
        write(&path, "libjpeg-turbo-rs", turbo(&bytes));
        write(&path, "zune-jpeg", zune(&bytes));
        write(&path, "jpeg-decoder", decoder(&bytes));
    }
}

fn write(path: &Path, name: &str, decoded: Decoded) {
    match decoded {
        Ok(pixels) => fs::write(path.with_extension(name), pixels).expect("a file"),
        Err(error) => println!("{}: {name}: {error}", path.display()),
    }
}

fn turbo(bytes: &[u8]) -> Decoded {
    let image = libjpeg_turbo_rs::decompress_to(bytes, libjpeg_turbo_rs::PixelFormat::Rgb);
    image.map(|image| image.data).map_err(|error| error.to_string())
}

fn zune(bytes: &[u8]) -> Decoded {
    let options = DecoderOptions::default().jpeg_set_out_colorspace(ColorSpace::RGB);
    let mut decoder = zune_jpeg::JpegDecoder::new_with_options(ZCursor::new(bytes), options);
    decoder.decode().map_err(|error| format!("{error:?}"))
}

fn decoder(bytes: &[u8]) -> Decoded {
    let mut decoder = jpeg_decoder::Decoder::new(bytes);
    let pixels = decoder.decode().map_err(|error| error.to_string())?;
    Ok(match decoder.info().map(|info| info.pixel_format) {
        Some(jpeg_decoder::PixelFormat::L8) => pixels.iter().flat_map(|&value| [value; 3]).collect(),
        _ => pixels,
    })
}
