use std::io::Cursor;
use std::path::Path;

use image::{DynamicImage, GrayImage, RgbImage, RgbaImage};
use safetensors::SafeTensors;
use tome_wgpu::Error;
use tome_wgpu::files::{decode_image, fit, normalise, open_image};
use tome_wgpu::vit::{Config, Resize};

use crate::place::place;

fn pictures(channels: u32, size: [u32; 2], crop: f32) -> Config {
    let mut config = Config::preset("vit_tiny_patch16_224").unwrap();
    (config.in_chans, config.image_size) = (channels, size);
    config.preprocess.mean = vec![0.5; channels as usize];
    config.preprocess.std = vec![0.25; channels as usize];
    config.preprocess.crop = crop;
    config
}

#[test]
fn a_picture_of_the_right_size_is_only_normalised() {
    let picture = RgbImage::from_fn(4, 2, |x, y| image::Rgb([x as u8, y as u8, 255]));
    let config = pictures(3, [2, 4], 1.0);
    let values = normalise(&fit(DynamicImage::from(picture), &config).unwrap(), &config).unwrap();
    assert_eq!(values.len(), 24);
    assert_eq!(values[..4], [0.0f32, 1.0, 2.0, 3.0].map(|v| (v / 255.0 - 0.5) / 0.25));
    assert_eq!(values[12], (1.0 / 255.0 - 0.5) / 0.25);
    assert_eq!(values[16..], [2.0; 8]);
}

#[test]
fn colours_become_what_the_network_reads() {
    let red = RgbaImage::from_pixel(3, 3, image::Rgba([255, 0, 0, 0]));
    let grey = fit(DynamicImage::from(red.clone()), &pictures(1, [3, 3], 1.0)).unwrap();
    assert_eq!(grey.as_bytes(), [76; 9], "ITU-R 601, alpha dropped");
    let colour = fit(DynamicImage::from(red), &pictures(3, [3, 3], 1.0)).unwrap();
    assert_eq!(colour.as_bytes()[..3], [255, 0, 0]);
    let grey = GrayImage::from_pixel(3, 3, image::Luma([9]));
    assert_eq!(fit(DynamicImage::from(grey), &pictures(3, [3, 3], 1.0)).unwrap().as_bytes(), [9; 27]);
    let four = pictures(4, [3, 3], 1.0);
    assert!(matches!(fit(DynamicImage::new_rgb8(3, 3), &four), Err(Error::Unsupported { .. })));
}

#[test]
fn any_shape_covers_the_input() {
    for size in [[224, 224], [48, 80], [80, 48]] {
        for (width, height) in
            [(1, 1), (20_000, 1), (1, 20_000), (3, 500), (224, 224), (640, 480), (20_000, 300)]
        {
            for crop in [0.9, 1.0] {
                let config = pictures(1, size, crop);
                let picture = GrayImage::from_pixel(width, height, image::Luma([100]));
                let fitted = fit(DynamicImage::from(picture), &config).unwrap();
                assert_eq!((fitted.height(), fitted.width()), (size[0], size[1]));
                assert!(fitted.as_bytes().iter().all(|&v| v == 100), "{width}x{height} into {size:?}");
            }
        }
    }
    assert!(matches!(fit(DynamicImage::new_luma8(0, 5), &pictures(1, [4, 4], 1.0)), Err(Error::Input(_))));
}

#[test]
fn the_centre_is_cut_out() {
    // Three vertical stripes; only the middle one is left.
    let picture =
        GrayImage::from_fn(90, 30, |x, _| image::Luma([if (30..60).contains(&x) { 200 } else { 0 }]));
    let fitted = fit(DynamicImage::from(picture), &pictures(1, [30, 30], 1.0)).unwrap();
    assert!(fitted.as_bytes().iter().all(|&v| v == 200));
}

/// transformers' `shortest_edge` with a crop that is no square: 61 rows of 48 become 35 of 28, and of those 20 are left.
#[test]
fn a_crop_may_be_oblong() {
    let picture = GrayImage::from_fn(48, 61, |x, y| image::Luma([(x * 5 + y * 3 + x * y % 7) as u8]));
    let picture = DynamicImage::from(picture);
    let mut config = pictures(1, [20, 28], 20.0 / 28.0);
    config.preprocess.floor_crop = true;
    let fitted = fit(picture.clone(), &config).unwrap();
    config.preprocess.resize = Resize::Squash;
    (config.image_size, config.preprocess.crop) = ([35, 28], 1.0);
    let whole = fit(picture, &config).unwrap();
    assert_eq!(fitted.as_bytes(), &whole.as_bytes()[7 * 28..27 * 28]);
}

#[test]
fn unreadable_pictures_are_errors_with_a_path() {
    let folder = tempfile::tempdir().unwrap();
    let mut png = Cursor::new(Vec::new());
    DynamicImage::new_rgb8(40, 40).write_to(&mut png, image::ImageFormat::Png).unwrap();
    let png = png.into_inner();
    for (name, content) in [
        ("empty.png", &[][..]),
        ("text.png", b"no picture at all"),
        ("cut.png", &png[..png.len() / 2]),
        ("header.jpg", &[0xff, 0xd8, 0xff]),
    ] {
        let path = folder.path().join(name);
        std::fs::write(&path, content).unwrap();
        let error = open_image(&path).unwrap_err();
        assert!(matches!(&error, Error::File { path, .. } if path.contains(name)), "{error}");
    }
    assert!(matches!(open_image(&folder.path().join("absent.png")), Err(Error::File { .. })));
    assert!(matches!(open_image(folder.path()), Err(Error::File { .. })));
    // Named as one format, written in another: the content decides.
    let path = folder.path().join("really_a_png.jpg");
    std::fs::write(&path, &png).unwrap();
    assert_eq!(open_image(&path).unwrap().pixels.width(), 40);
}

#[test]
fn a_picture_too_large_for_memory_is_refused() {
    // A header that promises 100,000 x 100,000 pixels.
    let mut bmp = Cursor::new(Vec::new());
    DynamicImage::new_rgb8(1, 1).write_to(&mut bmp, image::ImageFormat::Bmp).unwrap();
    let mut bytes = bmp.into_inner();
    bytes[18..22].copy_from_slice(&100_000u32.to_le_bytes());
    bytes[22..26].copy_from_slice(&100_000u32.to_le_bytes());
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bomb.bmp");
    std::fs::write(&path, bytes).unwrap();
    assert!(matches!(open_image(&path), Err(Error::File { .. })));
}

/// Picture files of every kind with what Pillow makes of them (`make_formats.py`).
#[test]
fn files_are_decoded_as_by_pillow() {
    let file = std::fs::read(place!("CARGO_MANIFEST_DIR").join("tests/files/formats.safetensors")).unwrap();
    let tensors = SafeTensors::deserialize(&file).unwrap();
    let mut compared = 0;
    for (name, bytes) in tensors.iter() {
        let Some(name) = name.strip_prefix("file/") else { continue };
        let want = tensors.tensor(&format!("rgb/{name}"));
        let refused = want.is_err() || ["floats.tif", "ycbcr.tif", "pal.tif"].contains(&name);
        let picture = decode_image(bytes.data(), Path::new(name));
        if refused {
            let error = picture.unwrap_err().to_string();
            assert!(error.starts_with(name), "{error}");
            continue;
        }
        let (want, picture) = (want.unwrap(), picture.unwrap());
        let shape = [picture.pixels.height() as usize, picture.pixels.width() as usize, 3];
        assert_eq!(want.shape(), shape, "{name}");
        // A network that sees every pixel as it is.
        let config = pictures(3, [shape[0] as u32, shape[1] as u32], 1.0);
        let got = fit(picture, &config).unwrap();
        let apart = got.as_bytes().iter().zip(want.data()).map(|(a, b)| a.abs_diff(*b)).max().unwrap();
        // WebP's lossy colours and CMYK are rounded otherwise.
        let most = if ["lossy.webp", "cmyk.tif"].contains(&name) { 1 } else { 0 };
        assert!(apart <= most, "{name}: {apart}");
        compared += 1;
    }
    assert!(compared >= 50, "{compared}");
}

#[test]
fn pictures_are_turned_where_the_network_wants_it() {
    let file = std::fs::read(place!("CARGO_MANIFEST_DIR").join("tests/files/formats.safetensors")).unwrap();
    let tensors = SafeTensors::deserialize(&file).unwrap();
    let tensor = |name: &str| tensors.tensor(name).unwrap();
    for turned in 1..=8 {
        let bytes = tensor(&format!("file/turned{turned}.jpg"));
        let picture = decode_image(bytes.data(), Path::new("turned.jpg")).unwrap();
        // The same orientation in a TIFF, which Pillow turns by itself.
        let upright = tensor(&format!("rgb/turned{turned}.tif"));
        let [height, width, 3] = *upright.shape() else { panic!("a picture") };
        let mut config = pictures(3, [height as u32, width as u32], 1.0);
        config.preprocess.exif = true;
        let got = fit(picture, &config).unwrap();
        let apart: u64 =
            got.as_bytes().iter().zip(upright.data()).map(|(a, b)| u64::from(a.abs_diff(*b))).sum();
        // JPEG loses a little; pixels in other places differ by 80 of 255.
        assert!(apart < 20 * got.as_bytes().len() as u64, "{turned}: {apart}");
    }
}
