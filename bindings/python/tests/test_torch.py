"""Against timm and torch, where they are installed; elsewhere these tests are skipped, and say so."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import tome_wgpu

torch = pytest.importorskip("torch", reason="torch is not installed: nothing is compared with timm")
timm = pytest.importorskip("timm", reason="timm is not installed: nothing is compared with it")


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> tuple[object, tome_wgpu.Model]:
    """A network of timm's with random weights, and the same from its files."""
    from safetensors.torch import save_file

    torch.manual_seed(0)
    model = timm.create_model("vit_tiny_patch16_224", num_classes=10).eval()
    folder: Path = tmp_path_factory.mktemp("network")
    save_file({name: tensor.contiguous() for name, tensor in model.state_dict().items()}, folder / "model.safetensors")
    config = {
        "architecture": "vit_tiny_patch16_224",
        "num_classes": 10,
        "pretrained_cfg": model.pretrained_cfg | {"num_classes": 10},
    }
    (folder / "config.json").write_text(json.dumps(config))
    return model, tome_wgpu.load(folder, "cpu")


def test_logits_and_features_are_timms(network: tuple[object, tome_wgpu.Model]) -> None:
    theirs, ours = network
    images = torch.randn(3, 3, 224, 224)
    with torch.no_grad():
        want = theirs(images).numpy()  # type: ignore[operator]
    got = ours(images, want="logits,tokens")
    assert np.abs(got.logits - want).max() <= 1e-4 * np.abs(want).max()


def test_pictures_are_timms(network: tuple[object, tome_wgpu.Model]) -> None:
    from PIL import Image

    theirs, ours = network
    transform = timm.data.create_transform(**timm.data.resolve_model_data_config(theirs))
    pixels = np.random.default_rng(0).integers(0, 256, (300, 400, 3), dtype=np.uint8)
    image = Image.fromarray(pixels).resize((500, 333), Image.Resampling.BICUBIC)
    want = transform(image).numpy()
    got = ours.preprocess.normalise(ours.preprocess(image))[0]
    # A step of 8 bits, by the deviation.
    assert np.abs(got - want).max() <= 1.01 / 255 / min(ours.preprocess.std)


def test_tensors_are_taken_as_they_are(network: tuple[object, tome_wgpu.Model]) -> None:
    ours = network[1]
    images = torch.zeros(1, 3, 224, 224, requires_grad=True)
    with pytest.raises(tome_wgpu.InputError, match="detach"):
        ours(images)
    ours(images.detach())
    x = torch.randn(1, 20, 8)
    assert tome_wgpu.merge(x, x, r=4).x.shape == (1, 16, 8)


def test_a_folder_of_transformers_is_taken_as_it_is(tmp_path: Path) -> None:
    transformers = pytest.importorskip(
        "transformers", reason="transformers is not installed: nothing is compared with it"
    )
    torch.manual_seed(1)
    config = transformers.ViTConfig(
        hidden_size=48, num_hidden_layers=3, num_attention_heads=3, intermediate_size=96, image_size=64, num_labels=5
    )
    theirs = transformers.ViTForImageClassification(config).eval()
    theirs.save_pretrained(tmp_path)
    processor = transformers.ViTImageProcessor(size={"height": 64, "width": 64})
    processor.save_pretrained(tmp_path)
    ours = tome_wgpu.load(tmp_path, "cpu")
    pixels = np.random.default_rng(0).integers(0, 256, (90, 70, 3), dtype=np.uint8)
    inputs = processor(images=[pixels], return_tensors="pt")["pixel_values"]
    with torch.no_grad():
        want = theirs(inputs).logits.numpy()
    got = ours(inputs).logits
    assert np.abs(got - want).max() <= 1e-4 * np.abs(want).max()
    assert ours.config.labels[4] == "LABEL_4"
    # Torch and Pillow resize apart by a step of 8 bits here and there.
    assert np.abs(ours.preprocess.normalise(ours.preprocess([pixels])) - inputs.numpy()).max() <= 2.02 / 255 / 0.5
