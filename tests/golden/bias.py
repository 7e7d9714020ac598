"""Token merging over timm's networks with a relative position bias (its classes `Beit` and `VisionTransformerRelPos`), in a few
lines of PyTorch: as tome.py, and what merges has positions.

A patch lies at its row and column; tokens before the patches lie nowhere. A merged token lies at the mean of its members'
positions, each counted as often as its size says (`mean`), or where the one lies that the others merge into (`kept`). What a
network adds to the score of a query and a key by how many rows and columns they are apart is taken for a function on whole
numbers, and is read linearly between these.
"""
import math

import torch
from timm.layers import RelPosMlp

import tome


def table(model, block):
    """[heads, rows, columns] for every displacement from the most negative on, and [heads, 3] for the pairs of which only the query,
    only the key, or both come before the patches."""
    rows, columns = (2 * n - 1 for n in model.patch_embed.grid_size)
    inside, outside = 0, 0
    attn = model.blocks[block].attn
    for bias in [getattr(attn, "rel_pos", None), getattr(model, "shared_rel_pos", None), getattr(model, "rel_pos_bias", None), attn]:
        if isinstance(bias, RelPosMlp):
            inside = inside + bias.mlp(bias.rel_coords_log.to(model.norm_dtype)).permute(2, 0, 1)
            outside = outside + torch.zeros(attn.num_heads, 3)
        elif getattr(bias, "relative_position_bias_table", None) is not None:
            values = bias.relative_position_bias_table.T
            inside = inside + values[:, : rows * columns].unflatten(1, (rows, columns))
            outside = outside + (values[:, rows * columns :] if model.num_prefix_tokens else torch.zeros(attn.num_heads, 3))
    return inside, outside


def biases(model, block, place):
    """[B, heads, queries, keys]"""
    inside, outside = table(model, block)
    prefix, (rows, columns) = model.num_prefix_tokens, inside.shape[1:]
    apart = place[:, :, None] - place[:, None] + torch.tensor([rows // 2, columns // 2])
    row, column = apart[..., 0].clamp(0, rows - 1), apart[..., 1].clamp(0, columns - 1)
    read = 0
    for y, down in ((row.floor(), 1 - row.frac()), (row.ceil(), row.frac())):
        for x, by in ((column.floor(), 1 - column.frac()), (column.ceil(), column.frac())):
            read = read + down * by * inside[:, y.long(), x.long()]
    read = read.transpose(0, 1).clone()
    if prefix:
        read[:, :, :prefix, prefix:], read[:, :, prefix:, :prefix], read[:, :, :prefix, :prefix] = (
            outside[:, i, None, None] for i in range(3)
        )
    return read


def attention(attn, x, size, bias):
    """timm's attention with a bias given."""
    batch, n, _ = x.shape
    q, k, v = attn.qkv(x).chunk(3, dim=-1)
    if getattr(attn, "q_bias", None) is not None:
        q, v = q + attn.q_bias, v + attn.v_bias
    q, k, v = (t.reshape(batch, n, attn.num_heads, -1).transpose(1, 2) for t in (q, k, v))
    if hasattr(attn, "q_norm"):
        q, k = attn.q_norm(q), attn.k_norm(k)
    logits = q @ k.transpose(2, 3) * attn.scale + bias
    if size is not None:
        logits = logits + size.log()[:, None, None, :]
    y = (logits.softmax(dim=3) @ v).transpose(1, 2).reshape(batch, n, -1)
    return attn.proj(y), {"keys": k.mean(dim=1), "queries": q.mean(dim=1), "values": v.mean(dim=1)}


def branch(block, name, y):
    if hasattr(block, f"ls{name}"):
        return getattr(block, f"ls{name}")(y)
    gamma = getattr(block, f"gamma_{name}")
    return y if gamma is None else gamma * y


@torch.no_grad()
def forward(model, images, r, prop_attn=True, pool="plain", protect="prefix", merge_mode="wmean", metric="keys", positions_of="mean"):
    """As tome.forward, for timm's `Beit` and `VisionTransformerRelPos`."""
    x = model.patch_embed(images)
    batch, prefix = x.shape[0], model.num_prefix_tokens
    model.norm_dtype = x.dtype
    if model.cls_token is not None:
        x = torch.cat([model.cls_token.expand(batch, -1, -1), x], dim=1)
    if getattr(model, "pos_embed", None) is not None:
        x = x + model.pos_embed
    patches = torch.cartesian_prod(*(torch.arange(n) for n in model.patch_embed.grid_size))
    place = torch.cat([torch.zeros(prefix, 2), patches]).to(x.dtype).expand(batch, -1, -1)
    size = x.new_ones(x.shape[:2])
    source = torch.arange(x.shape[1]).expand(batch, -1)
    out, gap = {"embed": x}, math.inf
    for i, (block, r_i) in enumerate(zip(model.blocks, tome.schedule(r, len(model.blocks)))):
        layer = f"layer{i:02}."
        behind = type(block).__name__ == "ResPostRelPosBlock"
        bias = biases(model, i, place)
        y, metrics = attention(block.attn, x if behind else block.norm1(x), size if prop_attn else None, bias)
        metrics["input"] = x
        x = x + (block.norm1(y) if behind else branch(block, 1, y))
        metrics["attention"] = x
        out |= {layer + "attn": x, layer + "metric": metrics[metric]}
        plan = tome.match(metrics[metric], r_i, prefix)
        if plan:
            stays = positions_of == "kept" or merge_mode == "keep-one"
            place = tome.merged(plan, place, size, "keep-one" if stays else "wmean")
            x, size = tome.merged(plan, x, size, merge_mode), tome.merged_sum(plan, size[..., None]).squeeze(2)
            source = plan.target.gather(1, source)
            out |= {layer + name: tensor for name, tensor in vars(plan).items() if torch.is_tensor(tensor)}
            gap = min(gap, plan.gap)
        out |= {layer + "size": size, layer + "merged": x}
        x = x + (block.norm2(block.mlp(x)) if behind else branch(block, 2, block.mlp(block.norm2(x))))
        out[layer + "tokens"] = x

    x = model.norm(x)
    if model.global_pool == "token":
        pooled = x[:, 0]
    else:
        weight = size[:, prefix:, None] if pool == "size" else torch.ones_like(size[:, prefix:, None])
        pooled = (x[:, prefix:] * weight).sum(dim=1) / weight.sum(dim=1)
    features = model.fc_norm(pooled)
    return out | {"source": source, "features": features, "logits": model.head(features)}, gap
