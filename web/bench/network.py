"""A ViT-Ti/16 of random weights: as safetensors in timm's names, and as ONNX graphs of the same network, without merging and
with it. `python3 network.py FOLDER` wants numpy, onnx and safetensors.

plain.onnx takes any batch; rNbB.onnx merges N tokens in each block of a batch of B, by the standard operators that do so best.
"""

import json
import sys
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from safetensors.numpy import save_file

CHANNELS, BLOCKS, HEADS, HIDDEN, PATCH, SIDE, CLASSES = 192, 12, 3, 768, 16, 224, 1000
TOKENS = (SIDE // PATCH) ** 2 + 1


def weights():
    rng = np.random.default_rng(1)

    def uniform(*shape, spread, centre=0.0):
        return (centre + spread * rng.uniform(-1, 1, shape)).astype(np.float32)

    made = {
        "cls_token": uniform(1, 1, CHANNELS, spread=0.8),
        "pos_embed": uniform(1, TOKENS, CHANNELS, spread=0.8),
        "patch_embed.proj.weight": uniform(CHANNELS, 3, PATCH, PATCH, spread=3 / np.sqrt(3 * PATCH * PATCH)),
        "patch_embed.proj.bias": uniform(CHANNELS, spread=0.1),
    }

    def linear(name, columns, inner):
        made[f"{name}.weight"] = uniform(columns, inner, spread=3 / np.sqrt(inner))
        made[f"{name}.bias"] = uniform(columns, spread=0.1)

    def norm(name):
        made[f"{name}.weight"] = uniform(CHANNELS, spread=0.2, centre=1.0)
        made[f"{name}.bias"] = uniform(CHANNELS, spread=0.1)

    for block in (f"blocks.{i}" for i in range(BLOCKS)):
        norm(f"{block}.norm1")
        linear(f"{block}.attn.qkv", 3 * CHANNELS, CHANNELS)
        linear(f"{block}.attn.proj", CHANNELS, CHANNELS)
        norm(f"{block}.norm2")
        linear(f"{block}.mlp.fc1", HIDDEN, CHANNELS)
        linear(f"{block}.mlp.fc2", CHANNELS, HIDDEN)
    norm("norm")
    linear("head", CLASSES, CHANNELS)
    return made


class Graph:
    """The nodes and constants of a graph as it grows."""

    def __init__(self, weights):
        self.weights, self.nodes, self.constants = weights, [], {}

    def op(self, kind, *inputs, outputs=1, **attributes):
        names = [f"{kind}{len(self.nodes)}_{i}" for i in range(outputs)]
        self.nodes.append(helper.make_node(kind, list(inputs), names, **attributes))
        return names[0] if outputs == 1 else names

    def const(self, values, dtype=np.int64):
        array = np.array(values, dtype, order="C")
        name = f"{array.dtype}_{array.shape}_{hash(array.tobytes())}"
        self.constants.setdefault(name, numpy_helper.from_array(array, name))
        return name

    def floats(self, values):
        return self.const(values, np.float32)

    def linear(self, x, name):
        product = self.op("MatMul", x, self.floats(self.weights[f"{name}.weight"].T))
        return self.op("Add", product, self.floats(self.weights[f"{name}.bias"]))

    def norm(self, x, name):
        weight, bias = (self.floats(self.weights[f"{name}.{part}"]) for part in ("weight", "bias"))
        return self.op("LayerNormalization", x, weight, bias, axis=-1, epsilon=1e-6)

    def embed(self, images, batch):
        weight, bias = (self.floats(self.weights[f"patch_embed.proj.{part}"]) for part in ("weight", "bias"))
        x = self.op("Conv", images, weight, bias, kernel_shape=[PATCH, PATCH], strides=[PATCH, PATCH])
        x = self.op("Transpose", self.op("Reshape", x, self.const([0, CHANNELS, -1])), perm=[0, 2, 1])
        first = self.floats(self.weights["cls_token"])
        if batch is None:
            count = self.op("Shape", x, start=0, end=1)
            first = self.op("Expand", first, self.op("Concat", count, self.const([1, CHANNELS]), axis=0))
        else:
            first = self.op("Expand", first, self.const([batch, 1, CHANNELS]))
        return self.op("Add", self.op("Concat", first, x, axis=1), self.floats(self.weights["pos_embed"]))

    def attention(self, x, block, size, tokens, batch):
        """What it adds to x, and the keys."""
        qkv = self.linear(self.norm(x, f"{block}.norm1"), f"{block}.attn.qkv")
        split = self.op("Split", qkv, outputs=3, axis=2, num_outputs=3)
        width = CHANNELS // HEADS
        heads = [self.op("Reshape", part, self.const([0, 0, HEADS, width])) for part in split]
        q, k, v = (self.op("Transpose", part, perm=[0, 2, 1, 3]) for part in heads)
        scores = self.op("MatMul", q, self.op("Transpose", k, perm=[0, 1, 3, 2]))
        scores = self.op("Mul", scores, self.floats(width**-0.5))
        if size:
            scores = self.op("Add", scores, self.op("Reshape", self.op("Log", size), self.const([batch, 1, 1, tokens])))
        y = self.op("Transpose", self.op("MatMul", self.op("Softmax", scores, axis=-1), v), perm=[0, 2, 1, 3])
        return self.linear(self.op("Reshape", y, self.const([0, 0, CHANNELS])), f"{block}.attn.proj"), k

    def merge(self, x, size, keys, tokens, r, batch):
        """r tokens of even places into those of odd ones that they are most like; the class token stays."""
        even, odd = np.arange(2, tokens, 2), np.arange(1, tokens, 2)
        metric = self.op("ReduceMean", keys, self.const([1]), keepdims=0)
        metric = self.op("Div", metric, self.op("ReduceL2", metric, self.const([2]), keepdims=1))
        a, b = (self.op("Gather", metric, self.const(half), axis=1) for half in (even, odd))
        scores = self.op("MatMul", a, self.op("Transpose", b, perm=[0, 2, 1]))
        best = self.op("ReduceMax", scores, self.const([2]), keepdims=0)
        partner = self.op("ArgMax", scores, axis=2, keepdims=0)
        _, order = self.op("TopK", best, self.const([len(even)]), outputs=2, axis=1)
        gone = self.op("Slice", order, self.const([0]), self.const([r]), self.const([1]))
        kept = self.op("Slice", order, self.const([r]), self.const([len(even)]), self.const([1]))
        kept, _ = self.op("TopK", kept, self.const([len(even) - r]), outputs=2, axis=1, largest=0)
        place = lambda index: self.op("Add", self.op("Mul", index, self.const(2)), self.const(2))
        first, last = np.zeros((batch, 1)), np.repeat(odd[None], batch, 0)
        stay = self.op("Concat", self.const(first), place(kept), self.const(last), axis=1)
        into = self.op("Add", self.op("GatherElements", partner, gone, axis=1), self.const(1 + len(even) - r))
        if size:
            both = self.op("Concat", self.op("Mul", x, size), size, axis=2)
        else:
            both = self.op("Concat", x, self.floats(np.ones((batch, tokens, 1))), axis=2)

        def rows(index, count):
            return self.op("Expand", self.op("Unsqueeze", index, self.const([2])), self.const([batch, count, CHANNELS + 1]))

        stays = self.op("GatherElements", both, rows(stay, tokens - r), axis=1)
        goes = self.op("GatherElements", both, rows(place(gone), r), axis=1)
        sums = self.op("ScatterElements", stays, rows(into, r), goes, axis=1, reduction="add")
        part = lambda start, end: self.op("Slice", sums, *(self.const([at]) for at in (start, end, 2)))
        size = part(CHANNELS, CHANNELS + 1)
        return self.op("Div", part(0, CHANNELS), size), size


def write(path, weights, r=0, batch=None):
    graph = Graph(weights)
    x, size, tokens = graph.embed("pixel_values", batch), None, TOKENS
    for block in (f"blocks.{i}" for i in range(BLOCKS)):
        y, keys = graph.attention(x, block, size, tokens, batch)
        x = graph.op("Add", x, y)
        merged = min(r, (tokens - 1) // 2)
        if merged:
            x, size = graph.merge(x, size, keys, tokens, merged, batch)
            tokens -= merged
        hidden = graph.op("Gelu", graph.linear(graph.norm(x, f"{block}.norm2"), f"{block}.mlp.fc1"))
        x = graph.op("Add", x, graph.linear(hidden, f"{block}.mlp.fc2"))
    y = graph.linear(graph.op("Gather", graph.norm(x, "norm"), graph.const(0), axis=1), "head")
    graph.nodes.append(helper.make_node("Identity", [y], ["logits"]))
    many = batch or "batch"
    info = helper.make_tensor_value_info
    ends = [info("pixel_values", TensorProto.FLOAT, [many, 3, SIDE, SIDE])], [info("logits", TensorProto.FLOAT, [many, CLASSES])]
    made = helper.make_graph(graph.nodes, "vit", *ends, list(graph.constants.values()))
    onnx.save(helper.make_model(made, opset_imports=[helper.make_opsetid("", 20)], ir_version=9), path)


def main():
    folder = Path(sys.argv[1])
    (folder / "onnx").mkdir(parents=True, exist_ok=True)
    made = weights()
    save_file(made, folder / "model.safetensors")
    # timm's config, with what transformers.js wants to know.
    pretrained = {"mean": [0.5] * 3, "std": [0.5] * 3, "crop_pct": 1.0, "interpolation": "bicubic"}
    config = {"architecture": "vit_tiny_patch16_224", "num_classes": CLASSES, "pretrained_cfg": pretrained}
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "onnx" / "config.json").write_text(json.dumps({"model_type": "vit", "architectures": ["ViTForImageClassification"]}))
    write(folder / "onnx" / "plain.onnx", made)
    for r in (8, 16):
        for batch in (1, 8):
            write(folder / "onnx" / f"r{r}b{batch}.onnx", made, r, batch)


main()
