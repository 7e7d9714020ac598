"""Writes formats.safetensors: small picture files of every kind, and what Pillow makes of each by
Image.open(file).convert("RGB"); those that Pillow refuses have none.

    pip install pillow numpy safetensors; python3 tests/files/make_formats.py
"""
import io
import struct
from pathlib import Path

import numpy
from PIL import Image
from safetensors.numpy import save_file

rng = numpy.random.default_rng(0)
random = lambda *shape: rng.integers(0, 256, shape, dtype=numpy.uint8)
rgb, rgba = Image.fromarray(random(13, 17, 3)), Image.fromarray(random(13, 17, 4))
smooth = Image.fromarray(random(5, 6, 3)).resize((70, 45), Image.BICUBIC)
small = smooth.crop((0, 0, 30, 19))
deep = Image.fromarray(rng.integers(0, 65536, (13, 17), dtype=numpy.uint16))
files = {}


def save(name, picture, **options):
    file = io.BytesIO()
    picture.save(file, format={"jpg": "JPEG", "tif": "TIFF"}.get(name.split(".")[1]) or name.split(".")[1].upper(), **options)
    files[name] = file.getvalue()


def with_exif(orientation):
    exif = Image.Exif()
    exif[274] = orientation
    return exif


for name, picture in [("rgb", rgb), ("grey", rgb.convert("L")), ("pal", rgb.convert("P")), ("one", rgb.convert("1"))]:
    for kind in ["png", "bmp", "gif", "tif"]:
        save(f"{name}.{kind}", picture)
save("rgba.png", rgba)
save("la.png", rgba.convert("LA"))
save("transparent.png", rgb, transparency=(1, 2, 3))
save("pal_transparent.png", rgb.convert("P"), transparency=3)
save("deep.png", deep)
save("deep.tif", deep)
save("rgba.tif", rgba)
save("cmyk.tif", rgb.convert("CMYK"))
for name in ["raw", "tiff_lzw", "tiff_adobe_deflate", "packbits"]:
    save(f"{name}.tif", rgb, compression=name)
for name, picture, options in [
    ("lossy", rgb, {}), ("lossless", rgb, {"lossless": True}), ("alpha", rgba, {"lossless": True}),
    ("animated", rgb, {"save_all": True, "append_images": [rgb.rotate(180)], "lossless": True}),
]:
    save(f"{name}.webp", picture, **options)
save("animated.gif", rgb, save_all=True, append_images=[rgb.rotate(180)])
save("transparent.gif", rgb.convert("P"), transparency=5)
files |= {"rgb.ppm": None, "grey.pgm": None, "one.pbm": None}
for name, picture in [("rgb.ppm", rgb), ("grey.pgm", rgb.convert("L")), ("one.pbm", rgb.convert("1"))]:
    file = io.BytesIO()
    picture.save(file, format="PPM")
    files[name] = file.getvalue()
for turned in range(1, 9):
    save(f"turned{turned}.tif", small, tiffinfo={274: turned})
    save(f"turned{turned}.jpg", small, exif=with_exif(turned), quality=95)
for sampling in ["4:4:4", "4:2:2", "4:2:0"]:
    for progressive in [False, True]:
        name = sampling.replace(":", "") + ("_progressive" if progressive else "")
        save(f"{name}.jpg", smooth, subsampling=sampling, progressive=progressive, quality=85)
save("restarts.jpg", smooth, restart_marker_blocks=3)
save("grey.jpg", smooth.convert("L"))
save("cmyk.jpg", smooth.convert("CMYK"))
save("rgb.jpg", smooth, keep_rgb=True)


def frame(source, name, canvas, at):
    """A GIF whose first frame lies somewhere on another canvas."""
    data = bytearray(files[source])
    data[6:10] = struct.pack("<HH", *canvas)
    i = 13 + (3 * (2 << (data[10] & 7)) if data[10] & 0x80 else 0)
    while data[i] == 0x21:
        i += 2
        while data[i]:
            i += data[i] + 1
        i += 1
    assert data[i] == 0x2C
    data[i + 1 : i + 5] = struct.pack("<HH", *at)
    files[name] = bytes(data)


frame("rgb.gif", "canvas.gif", (40, 30), (0, 0))
frame("grey.gif", "canvas_grey.gif", (40, 30), (3, 2))
frame("transparent.gif", "canvas_transparent.gif", (40, 30), (5, 4))
frame("rgb.gif", "outside.gif", (40, 30), (30, 25))

# Colours that have been multiplied by alpha: the tag is patched, as Pillow does not write it.
data = files["rgba.tif"]
entry = struct.pack("<HHIHH", 338, 3, 1, 2, 0)
assert data.count(entry) == 1
files["multiplied.tif"] = data.replace(entry, struct.pack("<HHIHH", 338, 3, 1, 1, 0))

# Cut short: refused by both.
for name in ["420.jpg", "420_progressive.jpg", "rgb.png", "rgb.gif", "lossless.webp", "raw.tif", "rgb.bmp"]:
    files[f"cut_{name}"] = files[name][: len(files[name]) * 3 // 5]
# Kinds that are refused here and not there.
save("floats.tif", Image.fromarray(rng.random((13, 17), dtype=numpy.float32)))
save("ycbcr.tif", rgb.convert("YCbCr"))

tensors = {}
for name, data in sorted(files.items()):
    tensors[f"file/{name}"] = numpy.frombuffer(data, numpy.uint8)
    try:
        tensors[f"rgb/{name}"] = numpy.asarray(Image.open(io.BytesIO(data)).convert("RGB"))
    except OSError as error:
        print(name, error)
path = Path(__file__).with_name("formats.safetensors")
save_file(tensors, path)
print(len(files), "files,", path.stat().st_size, "bytes")
