"""Token merging over timm's networks with rotary positions (its class `Eva`), in a few lines of PyTorch: as tome.py, and what
merges has positions.

A patch has a position, row and column in whatever unit its network measures them; tokens before the patches have none and
are not turned. A merged token lies at the mean of its members' positions, each counted as often as its size says (`mean`), or
where the one lies that the others merge into (`kept`).
"""
import math

import torch
from timm.layers import RotaryEmbeddingDinoV3
from timm.layers.pos_embed_sincos import RotaryEmbeddingMixed

import tome


def positions(model):
    """[patches, 2]: the row and the column of each patch."""
    sides = model.patch_embed.grid_size
    rope = model.rope
    if isinstance(rope, RotaryEmbeddingDinoV3):
        # Centres, where the grid reaches from -1 to 1; the unit is half a turn.
        along = [2 * math.pi * (2 * (torch.arange(n) + 0.5) / n - 1) for n in sides]
    elif isinstance(rope, RotaryEmbeddingMixed):
        along = [torch.arange(n).float() for n in sides]
    else:
        along = [torch.arange(n) + rope.grid_offset for n in sides]
        if rope.ref_feat_shape is not None:
            along = [x / n * whole for x, n, whole in zip(along, sides, rope.ref_feat_shape)]
    return torch.cartesian_prod(*along)


def turns(model, block):
    """[heads or 1, pairs, 2]: by how much each pair of a head's values is turned for each row and column."""
    rope = model.rope
    if isinstance(rope, RotaryEmbeddingMixed):
        by = rope.freqs[:, block].unbind(0)
    else:
        quarter = rope.dim // 4
        powers = float(rope.temperature) ** -(torch.arange(quarter) / quarter).to(model.norm.weight.dtype if hasattr(model.norm, "weight") else torch.float32)
        nothing = torch.zeros_like(powers)
        by = [torch.cat([powers, nothing])[None], torch.cat([nothing, powers])[None]]
    rows_first = rope.grid_indexing == "ij"
    return torch.stack(tuple(by) if rows_first else tuple(by)[::-1], dim=-1)


def pairs(x, half):
    """The two values of each pair."""
    return x.chunk(2, dim=-1) if half else (x[..., 0::2], x[..., 1::2])


def turned(x, angles, half):
    a, b = pairs(x, half)
    a, b = a * angles.cos() - b * angles.sin(), b * angles.cos() + a * angles.sin()
    return torch.cat([a, b], dim=-1) if half else torch.stack([a, b], dim=-1).flatten(-2)


def attention(attn, x, size, place, by):
    """timm's attention with q and k turned by where tokens lie."""
    batch, n, _ = x.shape
    if attn.qkv is None:
        q, k, v = attn.q_proj(x), attn.k_proj(x), attn.v_proj(x)
    else:
        q, k, v = attn.qkv(x).chunk(3, dim=-1)
        if getattr(attn, "q_bias", None) is not None:
            q, v = q + attn.q_bias, v + attn.v_bias
    q, k, v = (t.reshape(batch, n, -1, attn.head_dim).transpose(1, 2) for t in (q, k, v))
    q, k = attn.q_norm(q), attn.k_norm(k)
    half = bool(attn.rotate_half)
    if place is not None:
        angles = torch.einsum("bnk,hpk->bhnp", place, by)
        q, k = turned(q, angles, half), turned(k, angles, half)
    # Fewer heads of keys and values serve as many heads of queries, one behind the other.
    k, v = (t.repeat_interleave(attn.num_heads // t.shape[1], dim=1) for t in (k, v))
    logits = q @ k.transpose(2, 3) * attn.scale
    if size is not None:
        logits = logits + size.log()[:, None, None, :]
    y = (logits.softmax(dim=3) @ v).transpose(1, 2).reshape(batch, n, -1)
    # As the crate has them: the values of a pair are neighbours, which changes no similarity.
    neighbours = lambda t: torch.stack(pairs(t, True), dim=-1).flatten(-2) if half and place is not None else t
    metrics = {"keys": neighbours(k.mean(dim=1)), "queries": neighbours(q.mean(dim=1)), "values": v.mean(dim=1)}
    return attn.proj(attn.norm(y)), metrics


def branch(scale, y):
    return y if scale is None else scale * y


@torch.no_grad()
def forward(model, images, r, prop_attn=True, pool="plain", protect="prefix", merge_mode="wmean", metric="keys", positions_of="mean"):
    """As tome.forward, for timm's `Eva`."""
    x = model.norm_pre(model._pos_embed(model.patch_embed(images))[0])
    prefix = model.num_prefix_tokens
    place = None
    if model.rope is not None:
        place = torch.cat([torch.zeros(prefix, 2), positions(model)]).to(x.dtype).expand(x.shape[0], -1, -1)
    size = x.new_ones(x.shape[:2])
    source = torch.arange(x.shape[1]).expand(x.shape[0], -1)
    out, gap = {"embed": x}, math.inf
    for i, (block, r_i) in enumerate(zip(model.blocks, tome.schedule(r, len(model.blocks)))):
        layer = f"layer{i:02}."
        behind = type(block).__name__ == "EvaBlockPostNorm"
        by = None if place is None else turns(model, i).to(x.dtype)
        y, metrics = attention(block.attn, x if behind else block.norm1(x), size if prop_attn else None, place, by)
        metrics["input"] = x
        x = x + (block.norm1(y) if behind else branch(block.gamma_1, y))
        metrics["attention"] = x
        out |= {layer + "attn": x, layer + "metric": metrics[metric]}
        plan = tome.match(metrics[metric], r_i, prefix)
        if plan:
            if place is not None and (positions_of == "kept" or merge_mode == "keep-one"):
                place = tome.merged(plan, place, size, "keep-one")
            elif place is not None:
                place = tome.merged(plan, place, size, "wmean")
            x, size = tome.merged(plan, x, size, merge_mode), tome.merged_sum(plan, size[..., None]).squeeze(2)
            source = plan.target.gather(1, source)
            out |= {layer + name: tensor for name, tensor in vars(plan).items() if torch.is_tensor(tensor)}
            gap = min(gap, plan.gap)
        out |= {layer + "size": size, layer + "merged": x}
        x = x + (block.norm2(block.mlp(x)) if behind else branch(block.gamma_2, block.mlp(block.norm2(x))))
        out[layer + "tokens"] = x

    x = model.norm(x)
    if model.attn_pool is not None:
        pooled = model.attn_pool(x, attn_mask=size.log()[:, None, None, :] if pool == "size" else None)
    elif model.global_pool == "avg" and pool == "size":
        patches, weight = x[:, prefix:], size[:, prefix:, None]
        pooled = (patches * weight).sum(dim=1) / weight.sum(dim=1)
    else:
        pooled = model.pool(x)
    features = model.fc_norm(pooled)
    return out | {"source": source, "features": features, "logits": model.head(features)}, gap
