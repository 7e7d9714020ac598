"""Writes cases/naflex*: tiny SigLIP 2 towers for pictures of any shape, as transformers saves them.

    python3 make_naflex.py [NAME ...]

Run as make_layouts.py. The library's processor makes the inputs of pictures of several shapes, and its own class computes `library`.
With merging each picture is run alone, without padding, by tome.py over timm's modules, whose positions are those that the library
interpolates; without merging that must give what the library gives.
"""
import json
import shutil
import sys

import numpy
import torch
import transformers as hf
from PIL import Image
from safetensors.torch import save_file

import tome
from make_golden import CASES, SMALLEST_GAP
from make_layouts import DEPTH, HEADS, HIDDEN, LABELS, PATCH, SIGLIP_BODY, WIDTH, body, mean_head, randomise, siglip_head, tower_names

SIDE, MOST = 5, 29
CONFIG = {"hidden_size": WIDTH, "num_hidden_layers": DEPTH, "num_attention_heads": HEADS, "intermediate_size": HIDDEN}
CONFIG |= {"patch_size": PATCH, "num_patches": SIDE**2}
# Heights and widths; none fills every place.
PICTURES = [(30, 50), (40, 17), (9, 90), (24, 24)]
R = 3


def networks():
    return {
        "naflex": lambda: hf.Siglip2VisionModel(hf.Siglip2VisionConfig(**CONFIG)),
        "naflex_classifier": lambda: hf.Siglip2ForImageClassification(
            hf.Siglip2Config(vision_config=CONFIG, text_config={"vocab_size": 16, "hidden_size": 8, "num_hidden_layers": 1,
            "num_attention_heads": 1, "intermediate_size": 8, "projection_size": 8}, **LABELS)
        ),
    }


def alone(model, tower, values, grid, dtype, r):
    """One picture without padding."""
    rows, columns = grid
    state = {k: v.clone() for k, v in tower.state_dict().items()}
    weight = state["embeddings.patch_embedding.weight"].view(WIDTH, PATCH, PATCH, 3)
    table = state.pop("embeddings.position_embedding.weight").view(SIDE, SIDE, WIDTH)
    place = tower.embeddings.resize_positional_embeddings(table, torch.tensor([grid]), rows * columns)[0]
    state |= {"embeddings.patch_embedding.weight": weight.permute(0, 3, 1, 2).contiguous()}
    state |= {"embeddings.position_embedding.weight": place}
    net = body(**SIGLIP_BODY, img_size=(rows * PATCH, columns * PATCH))
    net.load_state_dict(tower_names(state))
    net = net.eval().to(dtype)
    image = values[: rows * columns].view(rows, columns, PATCH, PATCH, 3).permute(4, 0, 2, 1, 3)
    image = image.reshape(1, 3, rows * PATCH, columns * PATCH).to(dtype)
    out, gap = tome.forward(net, image, str(r))
    head = mean_head(model.classifier, 0, norm=True) if hasattr(model, "classifier") else siglip_head(model.head)
    _, result = head(net, out[f"layer{DEPTH - 1:02}.tokens"], out[f"layer{DEPTH - 1:02}.size"])
    return result[0], out["source"][0], gap


@torch.no_grad()
def attempt(name, seed):
    torch.manual_seed(seed)
    rng = numpy.random.default_rng(seed)
    model = networks()[name]().eval()
    randomise(model)
    processor = hf.Siglip2ImageProcessor(patch_size=PATCH, max_num_patches=MOST)
    pictures = [rng.integers(0, 256, (height, width, 3), dtype=numpy.uint8) for height, width in PICTURES]
    inputs = processor(images=[Image.fromarray(p) for p in pictures], return_tensors="pt")
    outputs = model(**inputs)
    library = outputs.logits if "logits" in outputs else outputs.pooler_output
    tower = getattr(model, "vision_model", model)
    grids = inputs["spatial_shapes"].tolist()
    merged, sources, gap = [], [], 1.0
    for values, grid, whole in zip(inputs["pixel_values"], grids, library):
        plain, _, _ = alone(model, tower, values, grid, torch.float32, 0)
        torch.testing.assert_close(plain, whole, rtol=1e-5, atol=1e-5)
        _, source, gap32 = alone(model, tower, values, grid, torch.float32, R)
        model.double()
        result, source64, gap64 = alone(model, tower, values, grid, torch.float64, R)
        model.float()
        gap = min(gap, gap32, gap64)
        merged.append(result)
        sources.append(torch.nn.functional.pad(source, (0, MOST - len(source)), value=-1))
        if not torch.equal(source, source64):
            gap = 0
    return model, processor, pictures, inputs, library, torch.stack(merged), torch.stack(sources), gap


def make(name):
    seed = 0
    while True:
        model, processor, pictures, inputs, library, merged, sources, gap = attempt(name, seed)
        if gap > SMALLEST_GAP:
            break
        seed += 1
    folder = CASES / name
    shutil.rmtree(folder, ignore_errors=True)
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    given = {key: inputs[key].to(torch.float32 if key == "pixel_values" else torch.int64) for key in inputs}
    save_file({key: tensor.contiguous() for key, tensor in given.items()}, folder / "input.safetensors")
    expected = {"library": library, "merged": merged.float(), "source": sources.to(torch.int32)}
    expected |= {f"picture{i}": torch.from_numpy(picture) for i, picture in enumerate(pictures)}
    save_file({key: tensor.contiguous() for key, tensor in expected.items()}, folder / "expected.safetensors")
    run = {"r": R, "seed": seed, "smallest_decisive_gap": gap, "versions": {"torch": torch.__version__, "transformers": hf.__version__}}
    (folder / "run.json").write_text(json.dumps(run, indent=1) + "\n")
    size = sum(file.stat().st_size for file in folder.iterdir())
    assert size < 300_000, size
    print(f"| {name} | {type(model).__name__} | {inputs['spatial_shapes'].tolist()} | {R} | {size / 1000:.0f} | {gap:.4f} | {seed} |")


if __name__ == "__main__":
    print("| case | class | grids | r | kB | gap | seed |")
    for name in sys.argv[1:] or networks():
        make(name)
