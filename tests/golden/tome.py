"""Token merging over an unchanged timm VisionTransformer, in a few lines of PyTorch.

Written from the paper (Bolya et al., "Token Merging: Your ViT But Faster", ICLR 2023) to make the expected values of the
tests. It favours being easy to check over being fast.
"""
import math
from dataclasses import dataclass

import torch


def schedule(r, depth):
    """Tokens to merge in each block, from `13` (constant), `16:-1` (constant:inflection) or `32,29,26` (a list)."""
    if "," in r:
        listed = [int(part) for part in r.split(",")]
        return (listed + [0] * depth)[:depth]
    base, _, inflection = r.partition(":")
    base, inflection = int(base), float(inflection or 0)
    low = int(base * (1 - inflection))
    step = (2 * base - 2 * low) / max(depth - 1, 1)
    return [int(low + step * i) for i in range(depth)]


@dataclass
class Merge:
    src: torch.Tensor  # [B,r] indices within the even tokens, most similar first
    dst: torch.Tensor  # [B,r] indices within the odd tokens
    unm: torch.Tensor  # [B,.] even tokens that stay, protected ones included
    target: torch.Tensor  # [B,N] the output token that each input token goes to
    count: int  # number of output tokens
    gap: float  # how far the nearest different decision was, in cosine similarity


def match(metric, r, protected):
    """Pairs the even with the odd tokens by cosine similarity of `metric` [B,N,d]; None if nothing is to be merged.

    The first `protected` tokens are neither merged nor merged into. Output order: protected tokens, unmerged even tokens
    (by position; by similarity if nothing is protected), odd tokens.
    """
    batch, n, _ = metric.shape
    r = min(r, (n - protected) // 2)
    if r <= 0:
        return None
    unit = metric / metric.norm(dim=-1, keepdim=True)
    scores = unit[:, 0::2] @ unit[:, 1::2].transpose(1, 2)
    even_protected, odd_protected = (protected + 1) // 2, protected // 2
    scores[:, :even_protected] = -math.inf
    scores[:, :, :odd_protected] = -math.inf

    best, partner = scores.max(dim=2)
    ranked, order = best.sort(dim=1, descending=True, stable=True)
    src, unm = order[:, :r], order[:, r:]
    dst = partner.gather(1, src)
    gap = decisive_gap(scores, ranked, src, protected)
    if protected:
        unm = unm.sort(dim=1).values

    # Positions of the output tokens in the input, hence where each input token goes.
    prefix, odd = torch.arange(protected), torch.arange(1, n, 2)[odd_protected:]
    kept = torch.cat(
        [prefix.expand(batch, -1), 2 * unm[:, even_protected:], odd.expand(batch, -1)], dim=1
    )
    target = torch.full((batch, n), -1)
    target.scatter_(1, kept, torch.arange(kept.shape[1]).expand(batch, -1))
    target.scatter_(1, 2 * src, target.gather(1, 2 * dst + 1))
    return Merge(src, dst, unm, target, kept.shape[1], gap)


def decisive_gap(scores, ranked, src, protected):
    """The smallest change of a similarity that could change the result (the order among merged tokens cannot)."""
    r = src.shape[1]
    gaps = [torch.tensor([math.inf], dtype=scores.dtype)]
    if scores.shape[2] - protected // 2 > 1:  # another partner
        rows = scores.gather(1, src.unsqueeze(2).expand(-1, -1, scores.shape[2]))
        first, second = rows.topk(2, dim=2).values.unbind(2)
        gaps.append((first - second).flatten())
    # Merged instead of not; with nothing protected the order of the unmerged is part of the result as well.
    last = r if protected else ranked.shape[1] - 1
    if r < ranked.shape[1]:
        gaps.append((ranked[:, r - 1 : last] - ranked[:, r : last + 1]).flatten())
    return torch.cat(gaps).min().item()


def attention(attn, x, size):
    """timm's attention; with `size`, a token that stands for `size` patches is attended to `size` times as much."""
    batch, n, _ = x.shape
    q, k, v = attn.qkv(x).reshape(batch, n, 3, attn.num_heads, attn.head_dim).permute(2, 0, 3, 1, 4)
    q, k = attn.q_norm(q), attn.k_norm(k)
    logits = q @ k.transpose(2, 3) * attn.scale
    if size is not None:
        logits = logits + size.log()[:, None, None, :]
    y = (logits.softmax(dim=3) @ v).transpose(1, 2).reshape(batch, n, -1)
    return attn.proj(y), k.mean(dim=1)


def merged_sum(plan, values):
    """Sums `values` [B,N,C] over the tokens that go to the same output token."""
    out = values.new_zeros(values.shape[0], plan.count, values.shape[2])
    return out.scatter_add_(1, plan.target.unsqueeze(2).expand_as(values), values)


@torch.no_grad()
def forward(model, images, r, prop_attn=True, pool="plain", protect="prefix"):
    """Runs `model` with merging; returns the intermediate values by name (README.md lists them) and the decisive gap.

    pool: for average pooling, `plain` weighs the remaining tokens alike, `size` weighs every original patch alike.
    pool, for attention pooling: `size` attends to a token of `size` patches `size` times as much.
    protect: `cls` keeps only class and distillation token out of the merging, `prefix` the registers too.
    """
    distilled = hasattr(model, "dist_token")
    protected = model.num_prefix_tokens if protect == "prefix" else int(model.has_class_token) + int(distilled)
    x = model.norm_pre(model._pos_embed(model.patch_embed(images)))
    size = x.new_ones(x.shape[:2])
    source = torch.arange(x.shape[1]).expand(x.shape[0], -1)
    out, gap = {"embed": x}, math.inf
    for i, (block, r_i) in enumerate(zip(model.blocks, schedule(r, len(model.blocks)))):
        layer = f"layer{i:02}."
        y, metric = attention(block.attn, block.norm1(x), size if prop_attn else None)
        x = x + block.ls1(y)
        out |= {layer + "attn": x, layer + "metric": metric}
        plan = match(metric, r_i, protected)
        if plan:
            weighted, size = merged_sum(plan, x * size[..., None]), merged_sum(plan, size[..., None]).squeeze(2)
            x = weighted / size[..., None]
            source = plan.target.gather(1, source)
            out |= {layer + "src": plan.src, layer + "dst": plan.dst, layer + "unm": plan.unm}
            gap = min(gap, plan.gap)
        out |= {layer + "size": size, layer + "merged": x}
        x = x + block.ls2(block.mlp(block.norm2(x)))
        out[layer + "tokens"] = x

    # timm's order: norm of every token (unless fc_norm replaces it), pooling, fc_norm, head.
    x = model.norm(x)
    if distilled:
        logits = (model.head(x[:, 0]) + model.head_dist(x[:, 1])) / 2
        return out | {"source": source, "features": x[:, 0], "logits": logits}, gap
    if model.attn_pool is not None:
        pooled = model.attn_pool(x, attn_mask=size.log()[:, None, None, :] if pool == "size" else None)
    elif model.global_pool == "avg" and pool == "size":
        patches, weight = x[:, model.num_prefix_tokens :], size[:, model.num_prefix_tokens :, None]
        pooled = (patches * weight).sum(dim=1) / weight.sum(dim=1)
    else:
        pooled = model.pool(x)
    features = model.fc_norm(pooled)
    return out | {"source": source, "features": features, "logits": model.head(features)}, gap
