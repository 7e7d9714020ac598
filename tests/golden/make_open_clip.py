"""Writes cases/oc_*: tiny image towers as open_clip saves them, and one as OpenAI's CLIP has it.

    python3 make_open_clip.py [NAME ...]

Run as make_layouts.py, whose steps these are, with open_clip_torch 3.3.0 besides. `library` is what open_clip's own class gives for
images.
"""
import json
import sys
from functools import partial

import open_clip
import torch
from torch import nn

import make_layouts
from make_layouts import CLIP_BODY, DEPTH, HEADS, HIDDEN, PATCH, PIXELS, WIDTH, class_head, save, weighted

PREPROCESS = {
    "mean": [0.48145466, 0.4578275, 0.40821073],
    "std": [0.26862954, 0.26130258, 0.27577711],
    "interpolation": "bicubic",
    "resize_mode": "shortest",
}
VISION = {"image_size": PIXELS, "patch_size": PATCH, "width": WIDTH, "layers": DEPTH, "head_width": WIDTH // HEADS}
VISION |= {"mlp_ratio": HIDDEN / WIDTH}
TEXT = {"context_length": 4, "vocab_size": 16, "width": 8, "heads": 1, "layers": 1}


def names(state):
    """open_clip's names to timm's."""
    state = {k.removeprefix("visual."): v for k, v in state.items() if k.startswith("visual.")}
    out = {
        "patch_embed.proj.weight": state["conv1.weight"],
        "cls_token": state["class_embedding"][None, None],
        "pos_embed": state["positional_embedding"][None],
    }
    if "ln_pre.weight" not in state:
        out["patch_embed.proj.bias"] = torch.zeros_like(state["class_embedding"])
    for kind in ("weight", "bias"):
        out[f"norm.{kind}"] = state[f"ln_post.{kind}"]
        if "ln_pre.weight" in state:
            out[f"norm_pre.{kind}"] = state[f"ln_pre.{kind}"]
        for i in range(DEPTH):
            old, new = f"transformer.resblocks.{i}.", f"blocks.{i}."
            out[f"{new}attn.qkv.{kind}"] = state[f"{old}attn.in_proj_{kind}"]
            for theirs, ours in (("ln_1", "norm1"), ("attn.out_proj", "attn.proj"), ("ln_2", "norm2"), ("mlp.c_fc", "mlp.fc1"), ("mlp.c_proj", "mlp.fc2")):
                out[f"{new}{ours}.{kind}"] = state[f"{old}{theirs}.{kind}"]
    for i in range(DEPTH):
        for n in (1, 2):
            if f"transformer.resblocks.{i}.ls_{n}.gamma" in state:
                out[f"blocks.{i}.ls{n}.gamma"] = state[f"transformer.resblocks.{i}.ls_{n}.gamma"]
    return out


def images(model, x):
    return model.encode_image(x)


def mean_first(visual):
    """CLIPA's: the mean of the patches, then the norm and the projection."""
    def run(body, x, size):
        row = body.norm(weighted(x, size, 1))
        return row, row @ visual.proj

    return run


def folder_of(config):
    def write(model, folder):
        (folder / "open_clip_config.json").write_text(json.dumps(config, indent=1) + "\n")
        save(model.state_dict(), folder, "open_clip_model.safetensors")

    return write


def table():
    def case(vision, body, head, quick_gelu=False):
        config = {"embed_dim": 12, "vision_cfg": VISION | vision, "text_cfg": TEXT, "quick_gelu": quick_gelu}
        model = open_clip.CLIP(**config).eval()
        # A matrix that is no linear layer's.
        project = lambda row: row @ model.visual.proj
        write = folder_of({"model_cfg": config, "preprocess_cfg": PREPROCESS})
        return model, images, names, CLIP_BODY | body, head(model.visual, project), write, PIXELS, {}

    def oc_clip():
        return case({}, {}, lambda _, project: class_head(project), quick_gelu=True)

    def oc_clipa():
        vision = {"no_ln_pre": True, "pool_type": "avg", "final_ln_after_pool": True, "ls_init_value": 0.1}
        body = {"pre_norm": False, "act_layer": nn.GELU, "init_values": 0.1}
        return case(vision, body, lambda visual, _: mean_first(visual))

    def oc_openai():
        # Heads of OpenAI's are 64 wide, which is all that is known of their number.
        vision = {"width": 64, "head_width": 64, "mlp_ratio": 0.5, "image_size": 16}
        body = {"embed_dim": 64, "num_heads": 1, "mlp_ratio": 0.5, "img_size": 16}
        model, *same, _, _, extra = case(vision, body, lambda _, project: class_head(project), quick_gelu=True)
        numbers = {"input_resolution": 16, "context_length": 4, "vocab_size": 16}
        numbers = {name: torch.tensor(value) for name, value in numbers.items()}
        return model, *same, lambda m, folder: save(m.state_dict() | numbers, folder), 16, extra

    return {f.__name__: f for f in (oc_clip, oc_clipa, oc_openai)}


if __name__ == "__main__":
    make_layouts.table = table
    print("| case | class | tokens | kB | gap | logits f32 - f64 | seed |")
    for name in sys.argv[1:] or table():
        make_layouts.make(name)
