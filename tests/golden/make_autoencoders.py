"""Writes cases/audiomae*, cases/videomae* and cases/mae_st*: tiny masked autoencoders of sounds and videos under their own names.

    python3 make_autoencoders.py [NAME ...]

Run with Python 3.11, torch 2.15.0 (CPU), transformers 5.24.0, timm 1.0.31, safetensors 0.8.0, in the manner of make_clips.py.
`library` comes from timm's `VisionTransformer` for AudioMAE, from transformers' `VideoMAEModel` with a norm and a head of PyTorch's
behind it for VideoMAE and VideoMAE 2, and for "Masked Autoencoders As Spatiotemporal Learners", which no library has, from `SpaceTime`
below, written from what its paper and its published code say about it: positions in space and in time that are added, a class
token, q, k and v apart, and a classifier of the mean of all patches behind its one norm. What is saved has the names and shapes of
their own checkpoints, decoders too.
"""
import json
import sys

import timm
import torch
import transformers as hf
from safetensors.torch import save_file
from timm.models.vision_transformer import VisionTransformer
from torch import nn

import tome
from make_clips import DECODER, VIDEO, videomae_names, with_patches
from make_golden import SMALLEST_GAP
from make_layouts import CLASSES, DEPTH, HEADS, HIDDEN, WIDTH, body, randomise, weighted
from written import begun, ended

EPS = 1e-6
SIZES = {"embed_dim": WIDTH, "depth": DEPTH, "num_heads": HEADS, "mlp_ratio": HIDDEN // WIDTH}
HEAR = {"img_size": [24, 20], "patch_size": 4, "in_chans": 1} | SIZES


def own(architecture, classes, args):
    """A config in timm's layout, of an architecture under its own name."""
    return {"architecture": architecture, "num_classes": classes, "model_args": args}


def decoder(prefix):
    """Some of what an autoencoder has besides."""
    return {f"{prefix}blocks.0.norm1.weight": torch.ones(8), f"{prefix}pred.weight": torch.ones(4, 8), "mask_token": torch.zeros(1, 1, 8)}


def audiomae(pool, norm_first, classes, config, extra):
    model = VisionTransformer(**HEAR, num_classes=classes, global_pool=pool, fc_norm=False if norm_first else None)

    return dict(
        model=model,
        library=model,
        run=lambda x, r: tome.forward(model, x, r, prop_attn=False, pool="size"),
        saved=lambda: model.state_dict() | extra,
        config=config,
        x=torch.randn(2, 1, 24, 20),
        key="images",
        reference="timm's VisionTransformer, and tome.py over its modules",
    )


def audiomae_timm(classes):
    """As the hub has it: only the tag says that it hears."""
    pretrained = {"tag": "audiomae", "input_size": [1, 24, 20], "num_classes": classes}
    args = {key: value for key, value in HEAR.items() if key not in ("img_size", "in_chans")}
    config = {"architecture": "vit_base_patch16_224", "num_classes": classes, "pretrained_cfg": pretrained, "model_args": args}
    config["global_pool"] = "avg" if classes else "token"
    return audiomae(config["global_pool"], False, classes, config, {})


def audiomae_pretraining():
    args = {key: value for key, value in HEAR.items() if key != "in_chans"}
    return audiomae("avg", True, 0, own("audiomae_vit_base_patch16", 0, args), decoder("decoder_"))


class Video(nn.Module):
    """transformers' VideoMAE and what comes behind it."""

    def __init__(self, tuned, classes):
        super().__init__()
        self.tuned = tuned
        self.body = hf.VideoMAEModel(hf.VideoMAEConfig(**VIDEO, **DECODER, layer_norm_eps=EPS, use_mean_pooling=tuned))
        self.fc_norm = nn.LayerNorm(WIDTH, eps=EPS) if tuned else nn.Identity()
        self.head = nn.Linear(WIDTH, classes) if classes else nn.Identity()

    def forward(self, x):
        return self.head(self.fc_norm(self.body(x).last_hidden_state.mean(1)))

    def timms(self):
        return videomae_names(self.body, "")

    def saved(self, prefix, scaled):
        """By their own names, `scaled` with LayerScale whose gains the layers before lack."""
        out = {}
        for name, tensor in self.timms().items():
            if name == "pos_embed":
                continue
            if name.endswith("attn.qkv.bias"):
                q, _, v = tensor.chunk(3)
                out |= {name.replace("qkv.bias", "q_bias"): q, name.replace("qkv.bias", "v_bias"): v}
            else:
                out[name] = tensor
        if scaled:
            for block in range(DEPTH):
                for layer, gain in (("attn.proj", "gamma_1"), ("mlp.fc2", "gamma_2")):
                    gamma = 0.5 + torch.rand(WIDTH)
                    out[f"blocks.{block}.{gain}"] = gamma
                    for kind in ("weight", "bias"):
                        name = f"blocks.{block}.{layer}.{kind}"
                        out[name] = out[name] / (gamma[:, None] if kind == "weight" else gamma)
        for name in ("fc_norm", "head"):
            out |= {f"{name}.{key}": value for key, value in self.get_submodule(name).state_dict().items()}
        return {prefix + name: tensor.clone() for name, tensor in out.items()}


def video(tuned, classes, config, prefix, extra={}, scaled=False):
    model = Video(tuned, classes)

    def run(x, r):
        state = {key: value.clone() for key, value in model.timms().items()}
        inner = with_patches(body(eps=EPS, class_token=False, global_pool=""), state, (2, 4, 4), (9, 3)).to(x.dtype)
        out, gap = tome.forward(inner, x, r, prop_attn=False)
        last = f"layer{DEPTH - 1:02}."
        tokens = out[last + "tokens"]
        row = model.fc_norm(weighted(tokens if tuned else inner.norm(tokens), out[last + "size"], 0))
        return out | {"features": row, "logits": model.head(row)}, gap

    return dict(
        model=model,
        library=model,
        run=run,
        saved=lambda: model.saved(prefix, scaled) | extra,
        config=config,
        x=torch.randn(2, 6, 3, 12, 12),
        key="pixel_values",
        reference="transformers' VideoMAEModel with PyTorch's layers behind it, and tome.py over timm's modules",
    )


SEEN = {"img_size": 12, "patch_size": 4, "num_frames": 6, "tubelet_size": 2} | SIZES


def videomae2():
    """As the hub has it, with LayerScale, which its published ones have not."""
    rest = {"in_chans": 3, "num_classes": 0, "qkv_bias": True, "qk_scale": None, "drop_rate": 0.0, "attn_drop_rate": 0.0}
    rest |= {"drop_path_rate": 0.0, "norm_layer": "nn.LayerNorm", "layer_norm_eps": EPS, "init_values": 0.1}
    rest |= {"use_learnable_pos_emb": False, "use_mean_pooling": True, "with_cp": False, "cos_attn": False}
    config = {"model_type": "VideoMAEv2_Base", "architectures": ["VideoMAEv2_Base"], "model_config": SEEN | rest}
    return video(True, 0, config, "model.", scaled=True)


class Attention(nn.Module):
    def __init__(self):
        super().__init__()
        self.q, self.k, self.v, self.proj = (nn.Linear(WIDTH, WIDTH) for _ in range(4))

    def forward(self, x):
        q, k, v = (layer(x).unflatten(2, (HEADS, -1)).transpose(1, 2) for layer in (self.q, self.k, self.v))
        weights = (q @ k.mT / (WIDTH // HEADS) ** 0.5).softmax(-1)
        return self.proj((weights @ v).transpose(1, 2).flatten(2))


class Layer(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm1, self.attn, self.norm2 = nn.LayerNorm(WIDTH, eps=EPS), Attention(), nn.LayerNorm(WIDTH, eps=EPS)
        self.mlp = nn.ModuleDict({"fc1": nn.Linear(WIDTH, HIDDEN), "fc2": nn.Linear(HIDDEN, WIDTH)})

    def forward(self, x):
        x = x + self.attn(self.norm1(x))
        return x + self.mlp["fc2"](nn.functional.gelu(self.mlp["fc1"](self.norm2(x))))


class SpaceTime(nn.Module):
    """A spatiotemporal masked autoencoder's encoder, of 3 times and 3 x 4 places, with a classifier or without."""

    def __init__(self, classes):
        super().__init__()
        self.patch_embed = nn.ModuleDict({"proj": nn.Conv3d(3, WIDTH, (2, 4, 4), (2, 4, 4))})
        self.cls_token = nn.Parameter(torch.zeros(1, 1, WIDTH))
        self.pos_embed_spatial = nn.Parameter(torch.zeros(1, 12, WIDTH))
        self.pos_embed_temporal = nn.Parameter(torch.zeros(1, 3, WIDTH))
        self.pos_embed_class = nn.Parameter(torch.zeros(1, 1, WIDTH))
        self.blocks = nn.ModuleList(Layer() for _ in range(DEPTH))
        self.norm = nn.LayerNorm(WIDTH, eps=EPS)
        self.head = nn.ModuleDict({"projection": nn.Linear(WIDTH, classes)}) if classes else None

    def forward(self, x):
        patches = self.patch_embed["proj"](x.transpose(1, 2)).flatten(3)
        patches = patches + self.pos_embed_temporal.mT[..., None] + self.pos_embed_spatial.mT[:, :, None]
        token = (self.cls_token + self.pos_embed_class).expand(len(x), -1, -1)
        x = torch.cat([token, patches.flatten(2).mT], 1)
        for block in self.blocks:
            x = block(x)
        if self.head is None:
            return self.norm(x)[:, 1:].mean(1)
        return self.head["projection"](self.norm(x[:, 1:].mean(1)))

    def timms(self):
        state = {name: tensor for name, tensor in self.state_dict().items() if "attn" not in name and not name.startswith(("head", "pos_embed"))}
        for i in range(DEPTH):
            attention = self.blocks[i].attn
            for kind in ("weight", "bias"):
                parts = [getattr(layer, kind) for layer in (attention.q, attention.k, attention.v)]
                state[f"blocks.{i}.attn.qkv.{kind}"] = torch.cat(parts)
                state[f"blocks.{i}.attn.proj.{kind}"] = getattr(attention.proj, kind)
        rows = [self.pos_embed_class] + [self.pos_embed_spatial + self.pos_embed_temporal[:, time : time + 1] for time in range(3)]
        return state | {"pos_embed": torch.cat(rows, 1)}


def mae_st(classes, extra):
    model = SpaceTime(classes)

    def run(x, r):
        state = {key: value.detach().clone() for key, value in model.timms().items()}
        inner = with_patches(body(eps=EPS), state, (2, 4, 4), (9, 4)).to(x.dtype)
        out, gap = tome.forward(inner, x, r, prop_attn=False)
        last = f"layer{DEPTH - 1:02}."
        tokens, size = out[last + "tokens"], out[last + "size"]
        row = inner.norm(weighted(tokens, size, 1)) if classes else weighted(inner.norm(tokens), size, 1)
        return out | {"features": row, "logits": model.head["projection"](row) if classes else row}, gap

    args = SEEN | {"img_size": [12, 16]}
    return dict(
        model=model,
        library=model,
        run=run,
        saved=lambda: model.state_dict() | extra,
        config=own("mae_st_vit_large_patch16_224", classes, args),
        x=torch.randn(2, 6, 3, 12, 16),
        key="pixel_values",
        reference="SpaceTime of make_autoencoders.py, and tome.py over timm's modules",
    )


VIDEO_DECODER = decoder("decoder.") | {"encoder_to_decoder.weight": torch.ones(8, WIDTH)}
TABLE = {
    "audiomae": lambda: audiomae_timm(0),
    "audiomae_classifier": lambda: audiomae_timm(CLASSES),
    "audiomae_pretraining": audiomae_pretraining,
    "videomae2": videomae2,
    "videomae_classifier": lambda: video(True, CLASSES, own("videomae_vit_base_patch16_224", CLASSES, SEEN), ""),
    "videomae_pretraining": lambda: video(False, 0, own("videomae_vit_small_patch16_224", 0, SEEN), "encoder.", VIDEO_DECODER),
    "mae_st_classifier": lambda: mae_st(CLASSES, {}),
    "mae_st_pretraining": lambda: mae_st(0, decoder("decoder_")),
}
R = "4"


@torch.no_grad()
def attempt(table, name, seed):
    torch.manual_seed(seed)
    case = table[name]()
    model, x = case["model"].eval(), case["x"]
    randomise(model)
    for _, p in model.named_parameters():
        if p.ndim == 5:
            p.copy_(torch.randn(p.shape) * 0.5 / p[0].numel() ** 0.5)
    library = case["library"](x).clone()
    saved = {key: tensor.clone().contiguous() for key, tensor in case["saved"]().items()}
    plain, _ = case["run"](x, "0")
    torch.testing.assert_close(plain["logits"], library, rtol=1e-5, atol=1e-5)
    single, gap = case["run"](x, R)
    model.double()
    double, gap64 = case["run"](x.double(), R)
    return case, saved, library, single, double, min(gap, gap64)


def make(table, name):
    seed = 0
    while True:
        case, saved, library, single, double, gap = attempt(table, name, seed)
        if gap > SMALLEST_GAP:
            break
        seed += 1
    folder, expected, error = begun(name, single, double, library=library)
    (folder / "config.json").write_text(json.dumps(case["config"], indent=1) + "\n")
    save_file(saved, folder / "model.safetensors", metadata={"format": "pt"})
    tokens = [single["embed"].shape[1]] + [single[f"layer{i:02}.tokens"].shape[1] for i in range(DEPTH)]
    about = {
        "r": R,
        "prop_attn": case.get("prop_attn", "off"),
        "pool": "size",
        "protect": "prefix",
        "tokens_per_layer": tokens,
        "smallest_decisive_gap": gap,
        "logits_f32_minus_f64": error,
        "seed": seed,
        "reference": case["reference"],
        "versions": {"torch": torch.__version__, "timm": timm.__version__, "transformers": hf.__version__},
    }
    size = ended(folder, about, {case["key"]: case["x"]}, expected)
    shown = " ".join(map(str, tokens))
    print(f"| {name} | {shown} | {size / 1000:.0f} | {gap:.4f} | {error:.1e} | {seed} |", flush=True)


if __name__ == "__main__":
    print("| case | tokens | kB | gap | logits f32 - f64 | seed |")
    for name in sys.argv[1:] or TABLE:
        make(TABLE, name)
