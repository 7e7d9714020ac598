"""Networks that take pictures of any shape: SigLIP 2's NaFlex, against transformers and the command."""

from __future__ import annotations

import io
import subprocess
import sys
from collections import UserDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import tome_wgpu
from conftest import CASES, png, tensors

NAMES = ("naflex", "naflex_classifier")
#: As in test_golden.py.
TOLERANCE = 1e-4
#: Rows and columns of patches of the cases' pictures, of 29 at most.
GRIDS = [[4, 7], [8, 3], [2, 14], [5, 5]]


@pytest.fixture(scope="module")
def model() -> tome_wgpu.Model:
    return tome_wgpu.load(CASES / "naflex_classifier", "cpu")


def given(name: str) -> tuple[dict[str, Any], dict[str, Any], list[Any]]:
    """What the processor makes of a case's pictures, the expected results, and the pictures."""
    expected = tensors(CASES / name / "expected.safetensors")
    return tensors(CASES / name / "input.safetensors"), expected, [expected[f"picture{i}"] for i in range(4)]


def near(got: np.ndarray, want: np.ndarray) -> bool:
    return bool(np.abs(got - want).max() <= TOLERANCE * max(1.0, np.abs(want).max()))


@pytest.mark.parametrize("name", NAMES)
def test_what_the_processor_gives_gives_what_transformers_gives(name: str, device: str) -> None:
    processed, expected, _ = given(name)
    model = tome_wgpu.load(CASES / name, device)
    assert model.config.max_patches == model.config.tokens == 29
    assert "29 tokens at most" in repr(model) and "up to 29 patches" in str(model.preprocess)
    for r, result in ((0, "library"), (3, "merged")):
        # transformers' own class is a `UserDict`.
        outputs = model(UserDict(processed), r, ("logits", "source", "size"))
        assert near(outputs.logits, expected[result]), r
        if r:
            # Of padding nothing is said.
            there = expected["source"] >= 0
            assert np.array_equal(outputs.source[there], expected["source"][there])
            assert np.array_equal(outputs.size.sum(1), [rows * columns for rows, columns in GRIDS])
    plan = model.plan(3, batch_size=4)
    assert plan.tokens == (29, 26, 23) and (plan.calls is None) == (device == "cpu") and model.measure(3) > 0
    # Less padding is the same pictures.
    shorter = {key: values[:, :28] if key != "spatial_shapes" else values for key, values in processed.items()}
    assert np.array_equal(model(shorter).logits, model(processed).logits)


@pytest.mark.parametrize("name", NAMES)
def test_pictures_become_what_the_processor_makes_of_them(name: str) -> None:
    processed, expected, pictures = given(name)
    model = tome_wgpu.load(CASES / name, "cpu")
    own = model.preprocess.patches(pictures)
    assert own["spatial_shapes"].tolist() == GRIDS == processed["spatial_shapes"].tolist()
    assert np.array_equal(own["pixel_attention_mask"], processed["pixel_attention_mask"])
    # A step of a byte is 2/255; a few are rounded the other way.
    apart = np.abs(own["pixel_values"] - processed["pixel_values"])
    assert apart.max() < 0.0079 and (apart > 1e-6).mean() < 0.01
    logits = model(pictures, r=3).logits
    assert np.array_equal(model(own, r=3).logits, logits)
    # A few bytes of a small network of random weights.
    assert np.abs(logits - expected["merged"]).max() < 0.02 * np.abs(expected["merged"]).max()


def test_paths_bytes_and_pil_images_are_the_same(model: tome_wgpu.Model, tmp_path: Path) -> None:
    _, _, pictures = given("naflex_classifier")
    want = model(pictures, r=3).logits
    images = [Image.fromarray(picture) for picture in pictures]
    paths = [tmp_path / f"{i}.png" for i in range(4)]
    for image, path in zip(images, paths):
        image.save(path)
    files = [path.read_bytes() for path in paths]
    for same in (images, paths, files, np.array(files, object), [paths[0], files[1], images[2], pictures[3]]):
        assert np.array_equal(model(same, r=3).logits, want)
    assert np.array_equal(model(paths[1], r=3).logits, want[1:2])
    assert [row[0].index for row in model.classify(paths, r=3)] == want.argmax(1).tolist()
    # Turned upright by EXIF, as the processor does it.
    exif = images[0].getexif()
    exif[0x0112] = 6
    file = io.BytesIO()
    images[0].save(file, "PNG", exif=exif)
    for turned in (file.getvalue(), Image.open(io.BytesIO(file.getvalue()))):
        assert model.preprocess.patches(turned)["spatial_shapes"].tolist() == [[7, 4]]


def test_it_is_what_the_command_gives(model: tome_wgpu.Model, device: str, tmp_path: Path) -> None:
    _, _, pictures = given("naflex_classifier")
    paths = [tmp_path / f"{i}.png" for i in range(4)]
    for picture, path in zip(pictures, paths):
        Image.fromarray(picture).save(path)
    if model.device.name != device:
        model = tome_wgpu.load(CASES / "naflex_classifier", device)

    def command(*arguments: object) -> None:
        line = [sys.executable, "-m", "tome_wgpu", *arguments, "--model", CASES / "naflex_classifier"]
        line += ["--device", device, "--r", "3"]
        done = subprocess.run(list(map(str, line)), capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stderr

    out = tmp_path / "out.safetensors"
    names = ("logits", "features", "tokens", "size", "source", "dense", "source_per_block")
    command("infer", "--input", *paths, "--output", out, "--want", ",".join(names))
    written, outputs = tensors(out), model(paths, 3, names)
    for name in names:
        assert np.array_equal(outputs[name], written[name]), name
    assert outputs.dense.shape == (4, 29, 32)
    for image, (rows, columns) in enumerate(GRIDS):
        own = outputs.source[image, : rows * columns]
        assert np.array_equal(outputs.dense[image, : rows * columns], outputs.tokens[image][own])
    painted = tmp_path / "painted.png"
    for strip in (False, True):
        command("visualize", paths[1], "--out", painted, *["--strip"] * strip)
        own = model.visualize(paths[1], 3, strip=strip, array=True)
        assert np.array_equal(own, np.asarray(Image.open(painted)))
    # 8 x 3 patches in patches of 16 pixels.
    assert model.visualize(pictures[1], 3, array=True).shape == (8 * 16, 3 * 16, 3)


def test_streams_encoders_and_evaluations(model: tome_wgpu.Model) -> None:
    _, _, pictures = given("naflex_classifier")
    want = model(pictures, r=3).logits
    items: list[Any] = [*pictures, b"nothing", pictures[0]]
    batches = list(model.stream(iter(items), r=3, batch_size=4))
    assert [list(batch.errors) for batch in batches] == [[], [0]]
    assert "picture 4" in str(batches[1].errors[0]) and np.isnan(batches[1].logits[0]).all()
    assert np.array_equal(batches[0].logits, want) and np.array_equal(batches[1].logits[1], want[0])
    outputs = model([b"nothing", pictures[1]], r=3, errors="nan")
    assert list(outputs.errors) == [0] and np.array_equal(outputs.logits[1], want[1])
    with pytest.raises(tome_wgpu.FileError, match="picture 0"):
        model([b"nothing"])

    column = np.empty(4, object)
    column[:] = [Image.fromarray(picture) for picture in pictures]
    encoded = tome_wgpu.Encoder(model, r=3, want="logits")({"image": column})
    assert np.array_equal(encoded["logits"], want)
    with pytest.raises(tome_wgpu.InputError, match="any shape"):
        tome_wgpu.Encoder(model, prepared=True)({"image": column})

    rows = model.evaluate(pictures, want.argmax(1).tolist(), r=[3], speed=False).rows
    agreement, top1 = rows[1].agreement, rows[1].top1
    assert agreement is not None and top1 is not None and top1.estimate == 1.0
    same = want.argmax(1) == model(pictures).logits.argmax(1)
    assert agreement.estimate == pytest.approx(same.mean())
    with pytest.raises(tome_wgpu.UnsupportedError, match="padding"):
        model.evaluate(pictures, r=[3], want="dense", speed=False)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"pixel_values": None}, "no 'pixel_values'"),
        ({"spatial_shapes": None}, "no 'spatial_shapes'"),
        ({"pixel_values": np.zeros((4, 3, 20, 20), np.float32)}, "takes .pictures, patches, 48."),
        ({"pixel_values": np.zeros((4, 29, 47), np.float32)}, "takes .pictures, patches, 48."),
        ({"pixel_attention_mask": np.ones((4, 28), np.int64)}, "pixel_attention_mask of shape"),
        ({"pixel_attention_mask": np.ones((4, 29), np.int64)}, "picture 0 is of .4, 7. patches"),
        ({"pixel_attention_mask": np.ones((4, 29), np.float32)}, "of type float32; give integers"),
        ({"spatial_shapes": np.array([[-1, 7]] * 4)}, "picture 0 is of .-1, 7. patches"),
        ({"spatial_shapes": np.array([[2**31, 2**31]] * 4)}, "picture 0 is of"),
    ],
)
def test_what_the_processor_does_not_give_is_refused(model: tome_wgpu.Model, change: dict[str, Any], why: str) -> None:
    processed = {key: values for key, values in (given("naflex_classifier")[0] | change).items() if values is not None}
    with pytest.raises(tome_wgpu.InputError, match=why):
        model(processed)


def test_more_patches_than_the_network_takes_are_refused(model: tome_wgpu.Model) -> None:
    more = {
        "pixel_values": np.zeros((1, 30, 48), np.float32),
        "pixel_attention_mask": np.ones((1, 30), np.int64),
        "spatial_shapes": np.array([[5, 6]]),
    }
    with pytest.raises(tome_wgpu.InputError, match="1 to 29"):
        model(more)


def test_what_is_for_pictures_of_one_size_is_refused(model: tome_wgpu.Model, clutter: tome_wgpu.Model) -> None:
    for array in (np.zeros((2, 3, 20, 20), np.float32), np.zeros((2, 20, 20, 3), np.uint8), np.zeros((9, 9, 3), np.uint8)):
        with pytest.raises(tome_wgpu.InputError, match="in a list, or .*spatial_shapes"):
            model(array)
    with pytest.raises(tome_wgpu.InputError, match="patches"):
        model.preprocess([png()])
    with pytest.raises(tome_wgpu.InputError, match="any shape"):
        model.preprocess.normalise(np.zeros((1, 20, 20, 3), np.uint8))
    with pytest.raises(tome_wgpu.UnsupportedError, match="max_num_patches"):
        tome_wgpu.load(CASES / "naflex", "cpu", image_size=40)
    for said in ({"crop": 0.9}, {"resize": "squash"}, {"jpeg": "reduced"}):
        with pytest.raises(tome_wgpu.InputError, match="proportions"):
            tome_wgpu.load(CASES / "naflex", "cpu", **said)  # type: ignore[arg-type]
    with pytest.raises(tome_wgpu.UnsupportedError, match="any shape"):
        model.fit([png()] * 4, "1.2x")
    with pytest.raises(tome_wgpu.InputError, match=r"images\['pixel_values'\]"):
        clutter({"pixel_values": np.zeros((1, 3, 64, 64), np.float32)})
    with pytest.raises(tome_wgpu.InputError, match="one size"):
        clutter.preprocess.patches([png()])


def test_a_mean_of_ones_own_is_taken() -> None:
    changed = tome_wgpu.load(CASES / "naflex", "cpu", mean=0.0, std=1.0)
    pixels = np.full((16, 28, 3), 51, np.uint8)
    patches = changed.preprocess.patches([pixels])["pixel_values"][0]
    assert np.allclose(patches[:28], 0.2) and not patches[28:].any()
    assert "changed by the caller" in str(changed.preprocess)
