"""What can be shown to a network."""

from __future__ import annotations

import io
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import tome_wgpu
from conftest import CASES, png


class Tensor:
    """A tensor of somebody else's, in host memory."""

    def __init__(self, values: np.ndarray) -> None:
        self.values = values

    def __dlpack__(self, **more: object) -> object:
        return self.values.__dlpack__(**more)

    def __dlpack_device__(self) -> object:
        return self.values.__dlpack_device__()


def test_pictures_paths_bytes_and_pixels_are_the_same(clutter: tome_wgpu.Model, pictures: list[Path]) -> None:
    paths = pictures[:3]
    want = clutter(paths, r=4).logits
    files = [path.read_bytes() for path in paths]
    images = [Image.open(path) for path in paths]
    arrays = [np.asarray(image.convert("RGB")) for image in images]
    for given in (
        list(map(str, paths)),
        np.array(list(map(str, paths))),
        np.array(files, object),
        files,
        images,
        arrays,
        [paths[0], files[1], images[2]],
    ):
        assert np.array_equal(clutter(given, r=4).logits, want)
    assert np.array_equal(clutter(images[0], r=4).logits, want[:1])
    pixels = clutter.preprocess(paths)
    assert pixels.shape == (3, 64, 64, 3) and pixels.dtype == np.uint8
    assert np.array_equal(clutter(pixels, r=4).logits, want)
    # Normalised by the same numbers, in another order of operations on a GPU.
    normalised = clutter.preprocess.normalise(pixels)
    assert normalised.shape == (3, 3, 64, 64)
    mean, std = (np.asarray(values, np.float32) for values in (clutter.preprocess.mean, clutter.preprocess.std))
    by_hand = ((pixels / np.float32(255) - mean) / std).transpose(0, 3, 1, 2)
    assert np.allclose(normalised, by_hand, atol=1e-6)
    assert np.allclose(clutter(normalised, r=4).logits, want, atol=1e-4)


def test_arrays_of_all_kinds(clutter: tome_wgpu.Model) -> None:
    images = np.random.default_rng(0).normal(size=(2, 3, 64, 64)).astype(np.float32)
    want = clutter(images).logits
    assert np.array_equal(clutter(images.astype(np.float64)).logits, want)
    assert np.array_equal(clutter(Tensor(images)).logits, want)
    strided = np.asfortranarray(images)
    assert np.array_equal(clutter(strided).logits, want)
    images.flags.writeable = False
    assert np.array_equal(clutter(images).logits, want)
    halves = images.astype(np.float16)
    assert np.array_equal(clutter(halves).logits, clutter(halves.astype(np.float32)).logits)


def test_many_images_go_in_parts(clutter: tome_wgpu.Model) -> None:
    images = np.random.default_rng(1).integers(0, 256, (150, 64, 64, 3), dtype=np.uint8)
    all_at_once = clutter(images, r=6, want="features,size,source")
    assert all_at_once.features.shape == (150, clutter.config.channels)
    for start in (0, 70, 149):
        part = clutter(images[start : start + 1], r=6, want=["features", "size", "source"])
        for name in part:
            assert np.array_equal(part[name][0], all_at_once[name][start]), name


def test_pillow_s_pictures_of_all_modes(clutter: tome_wgpu.Model) -> None:
    colours = Image.open(io.BytesIO(png((70, 90))))
    for mode in ("L", "LA", "RGBA", "P", "CMYK", "1"):
        image = colours.convert(mode)
        given = clutter.preprocess(image)
        if mode in ("RGBA", "L"):
            file = io.BytesIO()
            image.save(file, "PNG")
            assert np.array_equal(given, clutter.preprocess(file.getvalue())), mode
        assert given.shape == (1, 64, 64, 3)


def test_exif_turns_only_where_the_network_says_so(clutter: tome_wgpu.Model) -> None:
    image = Image.open(io.BytesIO(png((40, 60))))
    exif = image.getexif()
    exif[0x0112] = 6
    file = io.BytesIO()
    image.save(file, "PNG", exif=exif)
    turned = tome_wgpu.load(clutter._recipe.source, "cpu", exif=True)
    assert turned.preprocess.exif and not clutter.preprocess.exif
    for model in (clutter, turned):
        own = model.preprocess(Image.open(io.BytesIO(file.getvalue())))
        assert np.array_equal(own, model.preprocess(file.getvalue()))
    upright = clutter.preprocess(image)
    assert not np.array_equal(turned.preprocess(file.getvalue()), upright)


def test_jpegs_are_decoded_at_reduced_size_where_that_is_asked_for(clutter: tome_wgpu.Model) -> None:
    y, x = np.mgrid[0:1200, 0:1200]
    smooth = np.stack([x, y, x + y], -1) * 255 // 2400
    file = io.BytesIO()
    Image.fromarray(smooth.astype(np.uint8)).save(file, "JPEG", quality=95)
    reduced = tome_wgpu.load(clutter._recipe.source, "cpu", jpeg="reduced")
    assert (clutter.preprocess.jpeg, reduced.preprocess.jpeg) == ("whole", "reduced")
    whole, other = (model.preprocess(file.getvalue()).astype(int) for model in (clutter, reduced))
    # Another picture, within the bound of docs/many-pictures.md.
    assert 0 < np.abs(whole - other).max() <= 24
    with pytest.raises(tome_wgpu.InputError, match="whole or reduced"):
        tome_wgpu.load(clutter._recipe.source, "cpu", jpeg="half")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("images", "why"),
    [
        (np.zeros((2, 3, 32, 64), np.float32), r"shape \[2, 3, 32, 64\].*\[batch, 3, 64, 64\]"),
        (np.zeros((2, 32, 32, 3), np.uint8), r"\[batch, 64, 64, 3\] as uint8"),
        (np.zeros((0, 3, 64, 64), np.float32), r"shape \[0, 3, 64, 64\]"),
        (np.zeros((2, 3, 64, 64), np.int64), "int64"),
        (np.zeros((2, 3, 64, 64), np.complex64), "complex64"),
        (np.zeros((40, 60, 3), np.uint8), "goes in a list"),
        ([], "empty list"),
        ([np.zeros((3, 40, 60), np.float32)], "float32"),
        ([np.zeros((5, 5, 5), np.uint8)], r"shape \[5, 5, 5\]"),
        ([3], "a int is no picture"),
        (iter([]), "stream"),
        ([b"no picture"], "picture 0"),
        (np.array([b"x", b"yz"]), "lost zeros"),
    ],
)
def test_what_is_no_image_is_refused(clutter: tome_wgpu.Model, images: object, why: str) -> None:
    with pytest.raises(tome_wgpu.TomeError, match=why):
        clutter(images)  # type: ignore[arg-type]


def test_a_file_is_named(clutter: tome_wgpu.Model, tmp_path: Path) -> None:
    missing, broken = tmp_path / "missing.png", tmp_path / "broken.png"
    broken.write_bytes(png()[:100])
    for path in (missing, broken):
        with pytest.raises(tome_wgpu.FileError, match=path.name) as raised:
            clutter([path])
        assert isinstance(raised.value, OSError)
    outputs = clutter([missing, png(), broken], errors="nan", want="features,source")
    assert sorted(outputs.errors) == [0, 2]
    assert np.isnan(outputs.features[[0, 2]]).all() and np.isfinite(outputs.features[1]).all()
    assert (outputs.source[[0, 2]] == 0xFFFFFFFF).all()
    assert "errors in 2 of 3 rows" in repr(outputs)


def test_results(clutter: tome_wgpu.Model, pictures: list[Path]) -> None:
    config = clutter.config
    outputs = clutter(
        pictures[:2], r=5, want=["logits", "features", "tokens", "size", "source", "dense", "source_per_block"]
    )
    left = config.tokens - 5 * config.depth
    rows, columns = config.grid
    assert outputs.logits.shape == (2, config.classes)
    assert outputs.tokens.shape == (2, left, config.channels)
    assert outputs.dense.shape == (2, rows, columns, config.channels)
    assert outputs.source_per_block.shape == (2, config.depth, config.tokens)
    assert np.allclose(outputs.size.sum(1), config.tokens)
    for image in range(2):
        assert np.array_equal(np.bincount(outputs.source[image], minlength=left), outputs.size[image])
        dense = outputs.tokens[image][outputs.source[image, config.prefix_tokens :]]
        assert np.array_equal(dense.reshape(outputs.dense[image].shape), outputs.dense[image])
    some = clutter(pictures[:1], want="features")
    assert len(some) == 1 and list(some) == ["features"] and not hasattr(some, "logits")
    with pytest.raises(AttributeError, match="add it to `want`"):
        _ = some.logits
    with pytest.raises(tome_wgpu.InputError, match="want `nothing`"):
        clutter(pictures[:1], want="nothing")
    top = clutter.classify(pictures[:2], top=3, r=5)
    assert [len(row) for row in top] == [3, 3]
    best = outputs.logits[0].astype(float)
    assert top[0][0].index == best.argmax()
    assert top[0][0].probability == pytest.approx(float(np.exp(best.max()) / np.exp(best).sum()), rel=1e-6)
    assert top[0][0].label == config.labels[top[0][0].index]


def test_nothing_else_is_imported() -> None:
    import subprocess

    code = (
        "import sys, tome_wgpu; print([name for name in ('torch', 'PIL', 'tqdm', 'matplotlib') if name in sys.modules])"
    )
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "[]"


@pytest.mark.parametrize("said", [{"crop": 0.5}, {"mean": 9.0}, {"jpeg": "reduced"}])
def test_what_is_said_of_pictures_is_refused_where_a_network_hears(said: dict[str, Any]) -> None:
    with pytest.raises(tome_wgpu.InputError, match="hears sounds"):
        tome_wgpu.load(CASES / "hf_ast_classifier", "cpu", **said)
