"""The runner of PyTorch and ONNX Runtime on the CPU; README.md says what a runner is.

    runner.py torch|torch+dnn|onnx NETWORK FOLDER IMAGES.f32 LOGITS.f32 BATCH R THREADS
"""
import functools
import json
import sys
import time
from pathlib import Path

import numpy
import torch

import merging


class Prepacked(torch.nn.Module):
    """A linear layer by oneDNN, its weight packed once for about so many rows."""

    def __init__(self, linear, rows):
        super().__init__()
        self.weight = torch.ops.mkldnn._reorder_linear_weight(linear.weight.detach(), rows)
        self.bias = linear.bias

    def forward(self, x):
        return torch.ops.mkldnn._linear_pointwise(x, self.weight, self.bias, "none", [], "")


def prepack(model, batch):
    """Every linear layer of a network becomes a prepacked one."""
    linears = [name for name, module in model.named_modules() if isinstance(module, torch.nn.Linear)]
    for name in linears:
        rows = batch if name == "head" else batch * model.pos_embed.shape[1]
        model.set_submodule(name, Prepacked(model.get_submodule(name), rows))


def torch_runner(network, folder, shape, r, threads, packs=False):
    torch.set_num_threads(threads)
    model = merging.read(network, folder)
    if packs:
        prepack(model, shape[0])
    model = merging.Merging(model, r) if r else model

    def forward(images):
        with torch.inference_mode():
            return model(torch.from_numpy(images)).numpy()

    dnn = ", oneDNN" if packs else ""
    return f"CPU, {threads} threads, torch {torch.__version__}{dnn}", forward


def onnx_runner(network, folder, shape, r, threads):
    import onnxruntime

    path = Path(folder) / f"batch{shape[0]}-r{r}.onnx"
    if not path.exists():
        model = merging.read(network, folder)
        # The exporter cannot take the fused attention with a mask apart; ONNX Runtime fuses what it can on its own.
        model = merging.Merging(model, r, fused=False) if r else model
        torch.onnx.export(model, (torch.zeros(shape),), path, dynamo=True, external_data=False, verbose=False)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return f"CPU, {threads} threads, onnxruntime {onnxruntime.__version__}", lambda images: session.run(None, {name: images})[0]


def main():
    kind, network, folder, images, logits, batch, r, threads = sys.argv[1:]
    # What libraries print goes where messages go: standard output is the driver's.
    say, sys.stdout = sys.stdout, sys.stderr
    values = numpy.fromfile(images, numpy.float32).reshape(int(batch), 3, -1)
    side = int(values.shape[2] ** 0.5)
    values = values.reshape(int(batch), 3, side, side)
    start = time.perf_counter()
    dnn = functools.partial(torch_runner, packs=True)
    make = {"torch": torch_runner, "torch+dnn": dnn, "onnx": onnx_runner}[kind]
    device, forward = make(network, folder, values.shape, int(r), int(threads))
    print(json.dumps({"device": device, "load": time.perf_counter() - start}), file=say, flush=True)
    for _ in sys.stdin:
        start = time.perf_counter()
        out = forward(values)
        seconds = time.perf_counter() - start
        out.astype(numpy.float32).tofile(logits)
        print(json.dumps({"seconds": seconds}), file=say, flush=True)


main()
