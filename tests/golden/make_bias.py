"""Writes cases/beit*, cases/relpos*, cases/hf_beit* and cases/hf_data2vec*: tiny networks with a relative position bias, and what they
compute with merging.

    python3 make_bias.py [NAME ...]

README.md describes the files. Run with Python 3.11, torch 2.15.0 (CPU), timm 1.0.31, transformers 5.24.0, safetensors 0.8.0. At
r = 0 the library's own class gives the same; the merging is bias.py's.
"""
import json
import math
import sys

import timm
import torch
import transformers as hf
from safetensors.torch import save_file
from timm.models.beit import Beit
from timm.models.vision_transformer_relpos import ResPostRelPosBlock, VisionTransformerRelPos

import bias
from make_golden import SMALLEST_GAP
from written import begun, ended

NET = {"img_size": [20, 20], "patch_size": 4, "in_chans": 3, "embed_dim": 32, "depth": 3, "num_heads": 2, "num_classes": 10, "mlp_ratio": 2.0}
RUN = {"r": "4", "prop_attn": "on", "pool": "size", "protect": "prefix"}
BEIT = {"use_abs_pos_emb": False, "use_rel_pos_bias": True, "init_values": 0.1}
RELPOS = {"qkv_bias": False, "fc_norm": True, "rel_pos_dim": 24}

# name: (architecture, changes to NET, changes to RUN)
TABLE = {
    "beit": ("beit_base_patch16_224", BEIT, {}),
    "beit_kept": ("beit_base_patch16_224", BEIT, {"positions": "kept"}),
    "beit_keep_one": ("beit_base_patch16_224", BEIT | {"depth": 2}, {"merge_mode": "keep-one"}),
    "beit_r0": ("beit_base_patch16_224", BEIT | {"depth": 2}, {"r": "0"}),
    "beit_both_token_rect": (
        "beitv2_base_patch16_224",
        BEIT | {"use_abs_pos_emb": True, "use_shared_rel_pos_bias": True, "global_pool": "token", "img_size": [16, 28]},
        {"pool": "plain"},
    ),
    "beit_shared_swiglu": (
        "beitv2_base_patch16_224",
        BEIT | {"use_rel_pos_bias": False, "use_shared_rel_pos_bias": True, "swiglu_mlp": True, "scale_mlp": True, "use_fc_norm": False},
        {"prop_attn": "off", "pool": "plain"},
    ),
    "relpos": ("vit_relpos_small_patch16_224", RELPOS, {}),
    "relpos_kept_rect": ("vit_relpos_small_patch16_224", RELPOS | {"img_size": [28, 16]}, {"positions": "kept"}),
    "relpos_cls": ("vit_relpos_base_patch16_cls_224", RELPOS | {"class_token": True, "global_pool": "token", "fc_norm": False}, {"pool": "plain"}),
    "relpos_shared": ("vit_srelpos_small_patch16_224", RELPOS | {"shared_rel_pos": True, "fc_norm": False}, {}),
    "relpos_rpn": ("vit_relpos_small_patch16_rpn_224", RELPOS | {"fc_norm": False}, {}),
    "relpos_table_clsgap": ("vit_relpos_base_patch16_clsgap_224", RELPOS | {"rel_pos_type": "bias", "class_token": True}, {}),
}
PIXELS = 20
HF = {
    "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64, "image_size": PIXELS, "patch_size": 4,
}
BIASED = HF | {"use_relative_position_bias": True}
SHARED = HF | {"use_shared_relative_position_bias": True}
# name: (class, config, pixels, changes to RUN)
HF_TABLE = {
    "hf_beit_classifier": (hf.BeitForImageClassification, BIASED | {"use_mask_token": True, "num_labels": 10}, [PIXELS, PIXELS], {}),
    "hf_beit_token": (
        hf.BeitModel, SHARED | {"use_absolute_position_embeddings": True, "use_mean_pooling": False, "layer_scale_init_value": 0.0},
        [PIXELS, PIXELS], {"pool": "plain"},
    ),
    "hf_beit_rect_kept": (hf.BeitModel, BIASED | {"use_absolute_position_embeddings": True}, [16, 28], {"positions": "kept"}),
    # Its head left out: `library` is the mean of what enters that.
    "hf_beit_pretraining": (hf.BeitForMaskedImageModeling, SHARED | {"use_mask_token": True, "vocab_size": 4}, [PIXELS, PIXELS], {}),
    "hf_data2vec": (hf.Data2VecVisionForImageClassification, BIASED | SHARED | {"num_labels": 10}, [PIXELS, PIXELS], {}),
    # Without a pooler: `library` is the mean of what it gives.
    "hf_data2vec_smaller": (hf.Data2VecVisionModel, SHARED, [16, 16], {}),
}


def build(architecture, args):
    args = dict(args, img_size=tuple(args["img_size"]))
    if not architecture.startswith("beit"):
        block = {"block_fn": ResPostRelPosBlock} if "_rpn_" in architecture else {}
        return VisionTransformerRelPos(**args, **block).eval()
    return Beit(**args).eval()


@torch.no_grad()
def randomise(model):
    """Weights that keep tokens apart, as make_golden.py does it, and biases that change weights several times over."""
    for name, p in model.named_parameters():
        noise = torch.randn(p.shape)
        if name.endswith("_token") or name.endswith(("pos_embed", "position_embeddings")):
            p.copy_(noise * 0.5)
        elif name.endswith("relative_position_bias_table"):
            p.copy_(noise)
        elif p.ndim == 4:
            p.copy_(noise * 0.5 / math.sqrt(p[0].numel()))
        elif "gamma" in name or "lambda" in name:
            p.copy_(0.4 + 0.2 * noise)
        elif p.ndim == 2:
            gain = 1.5 if any(part in name for part in ("qkv", "query", "key", "value", "q_proj", "k_proj", "v_proj", "rel_pos")) else 1.0
            p.copy_(noise * gain / math.sqrt(p.shape[1]))
        elif name.endswith("bias"):
            p.copy_(noise * (0.5 if "rel_pos" in name else 0.1))
        else:
            p.copy_(1.0 + 0.2 * noise)


def run_all(model, x, run, library):
    """f32 and f64 values, and the smaller of the two decisive gaps."""
    options = {k: v for k, v in run.items() if k != "positions"}
    options |= {"prop_attn": run["prop_attn"] == "on", "positions_of": run.get("positions", "mean")}
    unmerged, _ = bias.forward(model, x, **(options | {"r": "0"}))
    torch.testing.assert_close(unmerged["logits"], library, rtol=1e-5, atol=1e-5)
    single, gap = bias.forward(model, x, **options)
    double, gap64 = bias.forward(model.double(), x.double(), **options)
    return single, double, min(gap, gap64)


@torch.no_grad()
def timm_attempt(name, seed):
    architecture, net, run = TABLE[name]
    args, run = NET | net, RUN | run
    torch.manual_seed(seed)
    model = build(architecture, args)
    randomise(model)
    x = torch.randn(2, 3, *args["img_size"])
    weights = {k: v.clone() for k, v in model.state_dict().items()}
    single, double, gap = run_all(model, x, run, model(x))

    def save(folder):
        config = {
            "architecture": architecture,
            "num_classes": args["num_classes"],
            "num_features": args["embed_dim"],
            "global_pool": args.get("global_pool", "avg"),
            "model_args": args,
            "pretrained_cfg": {
                "input_size": [3, *args["img_size"]], "mean": [0.5] * 3, "std": [0.5] * 3, "interpolation": "bicubic", "crop_pct": 1.0,
            },
        }
        (folder / "config.json").write_text(json.dumps(config, indent=1) + "\n")
        save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})

    return args["depth"], run, x, single, double, gap, save, {}


def beit_state(model, pixels):
    """The numbers of one of transformers' networks by the names of timm's `Beit`, its tables resampled by its own code."""
    inner = getattr(model, "beit", None) or getattr(model, "data2vec_vision", None) or model
    config = model.config
    old = inner.embeddings
    embedded = old(torch.zeros(1, 3, *pixels))
    patches = (embedded[0] if isinstance(embedded, tuple) else embedded).shape[1] - 1
    out = {"cls_token": old.cls_token, "patch_embed.proj.weight": old.patch_embeddings.projection.weight, "patch_embed.proj.bias": old.patch_embeddings.projection.bias}
    if config.use_absolute_position_embeddings:
        out["pos_embed"] = old.interpolate_pos_encoding(torch.zeros(1, patches + 1, config.hidden_size), *pixels)
    names = {k.replace("encoder.layer.", "layers."): v for k, v in inner.state_dict().items()}
    for i in range(config.num_hidden_layers):
        part = {k.removeprefix(f"layers.{i}."): v for k, v in names.items() if k.startswith(f"layers.{i}.")}
        found = lambda *any_of: next(part[k] for k in any_of if k in part)
        new = f"blocks.{i}."
        projections = [("q_proj", "query"), ("k_proj", "key"), ("v_proj", "value")]
        weights = [found(f"attention.{a}.weight", f"attention.attention.{b}.weight") for a, b in projections]
        out[new + "attn.qkv.weight"] = torch.cat(weights)
        for bias_of, (a, b) in (("q_bias", projections[0]), ("v_bias", projections[2])):
            out[new + f"attn.{bias_of}"] = found(f"attention.{a}.bias", f"attention.attention.{b}.bias")
        for kind in ("weight", "bias"):
            out[new + f"attn.proj.{kind}"] = found(f"attention.o_proj.{kind}", f"attention.output.dense.{kind}")
            out[new + f"norm1.{kind}"] = found(f"layernorm_before.{kind}")
            out[new + f"norm2.{kind}"] = found(f"layernorm_after.{kind}")
            out[new + f"mlp.fc1.{kind}"] = found(f"mlp.fc1.{kind}", f"intermediate.dense.{kind}")
            out[new + f"mlp.fc2.{kind}"] = found(f"mlp.fc2.{kind}", f"output.dense.{kind}")
        if config.layer_scale_init_value > 0:
            out |= {new + "gamma_1": found("lambda_1"), new + "gamma_2": found("lambda_2")}
    window = [side // config.patch_size for side in pixels]
    for name, module in inner.named_modules():
        if not type(module).__name__.endswith("RelativePositionBias"):
            continue
        # [heads, tokens, tokens] back to a table: every displacement stands somewhere.
        scores = module(tuple(window)).squeeze(0)
        index = module.generate_relative_position_index(tuple(window)).reshape(-1)
        table = torch.zeros(int(index.max()) + 1, scores.shape[0])
        table[index] = scores.reshape(scores.shape[0], -1).T
        parts = name.split(".")
        number = next((part for part in parts if part.isdigit()), None)
        out[f"blocks.{number}.attn.relative_position_bias_table" if number else "rel_pos_bias.relative_position_bias_table"] = table
    if not config.use_mean_pooling:
        out |= {"norm.weight": inner.layernorm.weight, "norm.bias": inner.layernorm.bias}
    elif hasattr(model, "lm_head"):
        out |= {"norm.weight": model.layernorm.weight, "norm.bias": model.layernorm.bias}
    elif inner.pooler is not None:
        out |= {"fc_norm.weight": inner.pooler.layernorm.weight, "fc_norm.bias": inner.pooler.layernorm.bias}
    if hasattr(model, "classifier"):
        out |= {"head.weight": model.classifier.weight, "head.bias": model.classifier.bias}
    return out


@torch.no_grad()
def hf_attempt(name, seed):
    kind, config, pixels, run = HF_TABLE[name]
    run = RUN | run
    torch.manual_seed(seed)
    model = kind(kind.config_class(**config)).eval()
    randomise(model)
    x = torch.randn(2, 3, *pixels)
    given = model(pixel_values=x)
    masked = hasattr(model, "lm_head")
    library = None if masked else given.logits if hasattr(given, "logits") else given.pooler_output
    pooled = masked or library is not None
    if masked:
        library = model.layernorm(model.beit(pixel_values=x).last_hidden_state)[:, 1:].mean(dim=1)
    elif not pooled:
        library = given.last_hidden_state[:, 1:].mean(dim=1)
    state = beit_state(model, pixels)
    body = build("beit", NET | {
        "img_size": pixels, "depth": 2, "num_classes": config.get("num_labels", 0),
        "use_abs_pos_emb": config.get("use_absolute_position_embeddings", False),
        "use_rel_pos_bias": config.get("use_relative_position_bias", False),
        "use_shared_rel_pos_bias": config.get("use_shared_relative_position_bias", False),
        "init_values": config.get("layer_scale_init_value", 0.1),
        "use_fc_norm": False if masked else None,
        "global_pool": "avg" if config.get("use_mean_pooling", True) else "token",
        "norm_layer": lambda width, **dd: torch.nn.LayerNorm(width, eps=1e-12),
    })
    if not pooled:
        body.fc_norm = torch.nn.Identity()
    body.load_state_dict(state)
    single, double, gap = run_all(body, x, run, library)

    def save(folder):
        model.save_pretrained(folder)
        processor = hf.BeitImageProcessor(size={"height": pixels[0], "width": pixels[1]}, do_center_crop=False)
        processor.save_pretrained(folder)

    return 2, run, x, single | {"library": library}, double, gap, save, {"transformers": hf.__version__}


def make(name):
    seed = 0
    while True:
        depth, run, x, single, double, gap, save, versions = (timm_attempt if name in TABLE else hf_attempt)(name, seed)
        if gap > SMALLEST_GAP:
            break
        seed += 1
    folder, expected, error = begun(name, single, double)
    save(folder)
    case = run | {
        "tokens_per_layer": [single["embed"].shape[1]] + [single[f"layer{i:02}.tokens"].shape[1] for i in range(depth)],
        "smallest_decisive_gap": gap if math.isfinite(gap) else None,
        "logits_f32_minus_f64": error,
        "seed": seed,
        "reference": "bias.py over timm's modules" if name in TABLE else "the library's class, and bias.py over timm's modules",
        "versions": {"torch": torch.__version__, "timm": timm.__version__} | versions,
    }
    size = ended(folder, case, {"images": x}, expected)
    tokens = " ".join(map(str, case["tokens_per_layer"]))
    print(f"| {name} | {tokens} | {run['r']} | {size / 1000:.0f} | {gap:.4f} | {error:.1e} | {seed} |", flush=True)


if __name__ == "__main__":
    print("| case | tokens | r | kB | gap | logits f32 - f64 | seed |")
    for name in sys.argv[1:] or [*TABLE, *HF_TABLE]:
        make(name)
