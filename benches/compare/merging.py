"""Token merging over an unchanged timm VisionTransformer: what a user of PyTorch would write to have it fast.

Written from the paper (Bolya et al., "Token Merging: Your ViT But Faster", ICLR 2023). Class token, pooled by it;
constant r; the sizes stay in the shape that attention and merging want, and nothing is computed that is not needed.
"""
import copy
import json
from pathlib import Path

import timm
import torch
from safetensors.torch import load_file, save_file
from torch.nn.functional import normalize, scaled_dot_product_attention

# Beside timm's own names: a network small enough that overheads show.
SMALL = {
    "vit_small_96": (
        "vit_tiny_patch16_224",
        {"img_size": 96, "embed_dim": 128, "depth": 6, "num_heads": 2},
    )
}


class Merging(torch.nn.Module):
    """`model` with `r` tokens merged in each block; `fused` attends by PyTorch's fused kernels, with a mask of log sizes."""

    def __init__(self, model, r, fused=True):
        super().__init__()
        self.model, self.r, self.fused = model, r, fused

    def forward(self, images):
        m = self.model
        x = m.norm_pre(m._pos_embed(m.patch_embed(images)))
        size = None
        for block in m.blocks:
            y, metric = attend(block.attn, block.norm1(x), size, self.fused)
            x = x + block.ls1(y)
            r = min(self.r, (x.shape[1] - 1) // 2)
            if r > 0:
                x, size = merge(x, size, metric, r)
            x = x + block.ls2(block.mlp(block.norm2(x)))
        return m.head(m.fc_norm(m.pool(m.norm(x))))


def attend(attn, x, size, fused):
    """timm's attention, with tokens counted by `size` [B,N,1]; also the metric, the mean of the heads' keys."""
    batch, n, channels = x.shape
    q, k, v = attn.qkv(x).reshape(batch, n, 3, attn.num_heads, attn.head_dim).permute(2, 0, 3, 1, 4).unbind(0)
    bias = None if size is None else size.log().transpose(1, 2).unsqueeze(1)
    if fused:
        y = scaled_dot_product_attention(q, k, v, attn_mask=bias)
    else:
        scores = (q * attn.scale) @ k.transpose(2, 3)
        y = (scores if bias is None else scores + bias).softmax(dim=3) @ v
    return attn.proj(y.transpose(1, 2).reshape(batch, n, channels)), k.mean(dim=1)


def merge(x, size, metric, r):
    """The `r` most similar pairs of an even and an odd token of `x` [B,N,C] become one each; token 0 stays as it is."""
    batch, n, channels = x.shape
    unit = normalize(metric, dim=2)
    best, partner = (unit[:, 2::2] @ unit[:, 1::2].transpose(1, 2)).max(dim=2)
    order = best.argsort(dim=1, descending=True)
    gone, kept = order[:, :r], order[:, r:].sort(dim=1).values
    odd = torch.arange(1, n, 2, device=x.device).expand(batch, -1)
    stay = torch.cat([torch.zeros_like(odd[:, :1]), 2 * kept + 2, odd], dim=1)
    into = partner.gather(1, gone) + (1 + kept.shape[1])

    # The size travels as one more channel, so that it is summed by the same calls.
    summed = torch.cat([x, torch.ones_like(x[:, :, :1])] if size is None else [x * size, size], dim=2)
    wide = lambda index: index.unsqueeze(2).expand(-1, -1, channels + 1)
    out = summed.gather(1, wide(stay)).scatter_add(1, wide(into), summed.gather(1, wide(2 * gone + 2)))
    size = out[:, :, channels:]
    return out[:, :, :channels] / size, size


def build(name):
    """timm's network without weights."""
    arch, args = SMALL.get(name, (name, {}))
    return timm.create_model(arch, **args).eval()


def write(name, folder, seed=0):
    """Writes a network with random weights as timm's hub does. The weights are drawn so that tokens differ and attention
    is not uniform: with timm's own initial ones all tokens are alike, and rounding would decide what merges."""
    torch.manual_seed(seed)
    model = build(name)
    with torch.no_grad():
        for key, value in model.named_parameters():
            if value.dim() == 2:
                value.normal_(std=value.shape[1] ** -0.5)
            elif "pos_embed" in key or "cls_token" in key:
                value.normal_(std=0.5)
            elif "norm" in key and key.endswith("weight"):
                value.uniform_(0.5, 1.5)
            elif value.dim() == 1:
                value.normal_(std=0.1)
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    save_file({key: value.contiguous() for key, value in model.state_dict().items()}, folder / "model.safetensors")
    arch, args = SMALL.get(name, (name, {}))
    side = model.patch_embed.img_size[0]
    config = {
        "architecture": arch,
        "num_classes": model.num_classes,
        "global_pool": "token",
        "model_args": args,
        "pretrained_cfg": {"input_size": [3, side, side]},
    }
    (folder / "config.json").write_text(json.dumps(config))
    return model


def read(name, folder):
    """The network that `write` wrote."""
    model = build(name)
    model.load_state_dict(load_file(Path(folder) / "model.safetensors"))
    return model


def images(count, side, seed=1):
    """Normalised images of noise: no two patches are alike."""
    return torch.randn(count, 3, side, side, generator=torch.Generator().manual_seed(seed))


def steady_images(model, count, side, rs):
    """As many `images` on which no decision of the merging hangs on rounding: f32 and f64 agree on them with every r."""
    exact = copy.deepcopy(model).double()
    found, seed = [], 1
    while len(found) < count:
        image = images(1, side, seed)
        seed += 1
        if all(agree(Merging(model, r)(image), Merging(exact, r, fused=False)(image.double())) for r in rs):
            found.append(image)
    return torch.cat(found)


def agree(logits, exact):
    return (logits - exact).abs().max() < 1e-4 * exact.abs().max()
