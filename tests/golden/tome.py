"""Token merging over an unchanged timm VisionTransformer, in a few lines of PyTorch.

Written from the paper (Bolya et al., "Token Merging: Your ViT But Faster", ICLR 2023), and from those of later rules, to
make the expected values of the tests. It favours being easy to check over being fast.
"""
import math
from dataclasses import dataclass

import torch

import rules


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
    src: torch.Tensor  # [B,r] indices within the sources, most similar first
    dst: torch.Tensor  # [B,r] indices within the destinations
    unm: torch.Tensor  # [B,.] sources that stay, protected ones included
    kept: torch.Tensor  # [B,M] the input token that stays in place of each output token
    target: torch.Tensor  # [B,N] the output token that each input token goes to
    count: int  # number of output tokens
    gap: float  # how far the nearest different decision was, in similarity
    energy: torch.Tensor = None  # [B,N-protected], where it decides
    split: torch.Tensor = None  # [B,N] sources, then destinations, where they depend on the image


def split(n, protected, partition):
    """Sources and destinations among `n` tokens, and how many of the unprotected ones can merge at once.

    partition: `alternating`, `sequential`, or `every:K` with one destination in each whole group of K unprotected tokens.
    Where tokens do not alternate, protected ones count as sources.
    """
    tokens, free = torch.arange(n), n - protected
    if partition == "alternating":
        return tokens[0::2], tokens[1::2], free // 2
    if partition == "sequential":
        to = tokens >= protected + (free + 1) // 2
    else:
        k = int(partition.removeprefix("every:"))
        to = (tokens >= protected) & ((tokens - protected) % k == k - 1)
    return tokens[~to], tokens[to], int((~to).sum()) - protected if to.any() else 0


def similarities(a, b, similarity):
    """[B,A,d] against [B,D,d]: `cosine`, `dot`, or `euclidean` (minus the distance squared, which ranks alike)."""
    if similarity == "cosine":
        a, b = a / a.norm(dim=-1, keepdim=True), b / b.norm(dim=-1, keepdim=True)
    if similarity == "euclidean":
        return -(a[:, :, None] - b[:, None]).square().sum(dim=-1)
    return a @ b.transpose(1, 2)


def match(metric, r, protected, partition="alternating", similarity="cosine", size=None, by_size=0.0):
    """Pairs sources with destinations by similarity of `metric` [B,N,d]; None if nothing is to be merged.

    With `by_size` larger tokens [B,N] must be more alike: how far a similarity is from the one of a token with itself counts as
    often as the harmonic mean of the two sizes to that power.

    The first `protected` tokens are neither merged nor merged into. Output order: protected tokens, unmerged sources
    (by position; by similarity if nothing is protected), destinations.
    """
    batch, n, _ = metric.shape
    sources, destinations, most = split(n, protected, partition)
    r = min(r, most)
    if r <= 0:
        return None
    scores = similarities(metric[:, sources], metric[:, destinations], similarity)
    if by_size:
        a, b = size[:, sources, None], size[:, None, destinations]
        top = 1.0 if similarity == "cosine" else 0.0
        scores = (scores - top) * (2 * a * b / (a + b)) ** by_size + top
    kept_sources, kept_destinations = int((sources < protected).sum()), int((destinations < protected).sum())
    scores[:, :kept_sources] = -math.inf
    scores[:, :, :kept_destinations] = -math.inf

    best, partner = scores.max(dim=2)
    ranked, order = best.sort(dim=1, descending=True, stable=True)
    src, unm = order[:, :r], order[:, r:]
    dst = partner.gather(1, src)
    gap = decisive_gap(scores, ranked, src, protected, kept_destinations)
    if protected:
        unm = unm.sort(dim=1).values

    # Positions of the output tokens in the input, hence where each input token goes.
    prefix, last = torch.arange(protected), destinations[kept_destinations:]
    kept = torch.cat(
        [prefix.expand(batch, -1), sources[unm[:, kept_sources:]], last.expand(batch, -1)], dim=1
    )
    target = torch.full((batch, n), -1)
    target.scatter_(1, kept, torch.arange(kept.shape[1]).expand(batch, -1))
    target.scatter_(1, sources[src], target.gather(1, destinations[dst]))
    return Merge(src, dst, unm, kept, target, kept.shape[1], gap)


def match_by_energy(metric, r, protected, margin):
    """As `match`, with sources and destinations by the energy of PiToMe (Tran et al., NeurIPS 2024): the 2 r unprotected
    tokens of the highest energy are sources and destinations in turn, and every such source merges.

    Output order: protected tokens, those of lower energy, destinations. The former two are sources that stay.
    """
    batch, n, _ = metric.shape
    r = min(r, (n - protected) // 2)
    if r <= 0:
        return None
    free = metric[:, protected:]
    cosines = similarities(free, free, "cosine")
    energy = torch.where(cosines >= margin, cosines, (cosines - margin).exp() - 1).mean(dim=2)
    ranked, order = energy.sort(dim=1, descending=True, stable=True)
    order = order + protected
    prefix = torch.arange(protected).expand(batch, -1)
    stay = torch.cat([prefix, order[:, 2 * r :].sort(dim=1).values], dim=1)
    sources, destinations = order[:, 0 : 2 * r : 2].sort(dim=1).values, order[:, 1 : 2 * r : 2].sort(dim=1).values

    def rows(tokens):
        return metric.gather(1, tokens.unsqueeze(2).expand(-1, -1, metric.shape[2]))

    scores = similarities(rows(sources), rows(destinations), "cosine")
    best, partner = scores.max(dim=2)
    first = best.argsort(dim=1, descending=True)
    # A cosine on the other side of the margin counts otherwise; that of a token with itself is 1.
    itself = torch.eye(n - protected, dtype=torch.bool)
    gaps = [(cosines - margin).abs()[:, ~itself].flatten(), (ranked[:, :-1] - ranked[:, 1:])[:, : 2 * r].flatten()]
    if r > 1:
        best_two = scores.topk(2, dim=2).values
        gaps.append((best_two[..., 0] - best_two[..., 1]).flatten())

    kept = torch.cat([stay, destinations], dim=1)
    target = torch.full((batch, n), -1)
    target.scatter_(1, kept, torch.arange(kept.shape[1]).expand(batch, -1))
    target.scatter_(1, sources, target.gather(1, destinations.gather(1, partner)))
    return Merge(
        src=stay.shape[1] + first,
        dst=partner.gather(1, first),
        unm=torch.arange(stay.shape[1]).expand(batch, -1),
        kept=kept,
        target=target,
        count=kept.shape[1],
        gap=torch.cat(gaps).min().item(),
        energy=energy,
        split=torch.cat([stay, sources, destinations], dim=1),
    )


def decisive_gap(scores, ranked, src, protected, kept_destinations):
    """The smallest change of a similarity that could change the result (the order among merged tokens cannot)."""
    r = src.shape[1]
    gaps = [torch.tensor([math.inf], dtype=scores.dtype)]
    if scores.shape[2] - kept_destinations > 1:  # another partner
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
    shares = logits.softmax(dim=3)
    y = (shares @ v).transpose(1, 2).reshape(batch, n, -1)
    metrics = {"keys": k.mean(dim=1), "queries": q.mean(dim=1), "values": v.mean(dim=1)}
    return attn.proj(attn.norm(y)), metrics, shares[:, :, 0].mean(dim=1)


def parallel(block, x, size):
    """timm's `ParallelScalingBlock` without its residual."""
    batch, n, c = x.shape
    inside, *qkv = block.in_proj(block.in_norm(x)).split(block.in_split, dim=2)
    if block.mlp_bias is not None:
        inside = inside + block.mlp_bias
    q, k, v = (y.reshape(batch, n, block.num_heads, -1).transpose(1, 2) for y in qkv)
    q, k = block.q_norm(q), block.k_norm(k)
    logits = q @ k.transpose(2, 3) * block.scale
    if size is not None:
        logits = logits + size.log()[:, None, None, :]
    shares = logits.softmax(dim=3)
    attended = block.attn_out_proj((shares @ v).transpose(1, 2).reshape(batch, n, c))
    metrics = {"keys": k.mean(dim=1), "queries": q.mean(dim=1), "values": v.mean(dim=1)}
    return block.ls(attended + block.mlp_out_proj(block.mlp_act(inside))), metrics, shares[:, :, 0].mean(dim=1)


def merged_sum(plan, values):
    """Sums `values` [B,N,C] over the tokens that go to the same output token."""
    out = values.new_zeros(values.shape[0], plan.count, values.shape[2])
    return out.scatter_add_(1, plan.target.unsqueeze(2).expand_as(values), values)


def merged(plan, x, size, mode):
    """The tokens of each group as one: `wmean` (by size), `mean`, `sum`, `max`, `min`, `keep-one` (the destination), `mlerp`
    (the direction of `wmean`, as long as the longest token) or `max-magnitude` (in each channel what is furthest from 0)."""
    if mode == "wmean":
        return merged_sum(plan, x * size[..., None]) / merged_sum(plan, size[..., None])
    if mode == "keep-one":
        return x.gather(1, plan.kept.unsqueeze(2).expand(-1, -1, x.shape[2]))
    if mode == "mlerp":
        norms = x.new_zeros(x.shape[0], plan.count)
        norms = norms.scatter_reduce(1, plan.target, x.norm(dim=2), "amax", include_self=False)
        return torch.nn.functional.normalize(merged(plan, x, size, "wmean"), dim=2) * norms[..., None]
    if mode == "max-magnitude":
        high, low = merged(plan, x, size, "max"), merged(plan, x, size, "min")
        return torch.where(high >= -low, high, low)
    reduce = {"mean": "mean", "sum": "sum", "max": "amax", "min": "amin"}[mode]
    out = x.new_zeros(x.shape[0], plan.count, x.shape[2])
    return out.scatter_reduce(1, plan.target.unsqueeze(2).expand_as(x), x, reduce, include_self=False)


@torch.no_grad()
def forward(
    model,
    images,
    r,
    prop_attn=True,
    pool="plain",
    protect="prefix",
    merge_mode="wmean",
    partition="alternating",
    metric="keys",
    similarity="cosine",
    matching="bipartite",
    rule=None,
    by_size="0",
):
    """Runs `model` with merging; returns the intermediate values by name (README.md lists them) and the decisive gap.

    pool: for average pooling, `plain` weighs the remaining tokens alike, `size` weighs every original patch alike.
    pool, for attention pooling: `size` attends to a token of `size` patches `size` times as much.
    protect: `cls` keeps only class and distillation token out of the merging, `prefix` the registers too.
    metric: `keys`, `queries` or `values` (their mean over the heads), the block's `input`, its tokens after `attention`, or those
    through the model's `final` norm.
    partition `lines` and matchings other than `bipartite` are those of rules.py, as is a `rule` of one's own.
    """
    distilled = hasattr(model, "dist_token")
    protected = model.num_prefix_tokens if protect == "prefix" else int(model.has_class_token) + int(distilled)
    rule = rule or rules.rule(partition, matching, model.patch_embed.grid_size, protected, similarity)
    x = model.norm_pre(model._pos_embed(model.patch_embed(images)))
    size = x.new_ones(x.shape[:2])
    source = torch.arange(x.shape[1]).expand(x.shape[0], -1)
    out, gap = {"embed": x}, math.inf
    for i, (block, r_i) in enumerate(zip(model.blocks, schedule(r, len(model.blocks)))):
        layer = f"layer{i:02}."
        counts = size if prop_attn else None
        kind = type(block).__name__
        if kind == "ParallelScalingBlock":  # tokens merge behind both branches
            y, metrics, class_attention = parallel(block, x, counts)
        elif kind == "ResPostBlock":
            y, metrics, class_attention = attention(block.attn, x, counts)
            y = block.norm1(y)
        else:
            y, metrics, class_attention = attention(block.attn, block.norm1(x), counts)
            y = block.ls1(y)
        metrics |= {"input": x, "attention": x + y}
        norm = model.fc_norm if isinstance(model.norm, torch.nn.Identity) else model.norm
        metrics["final"] = norm(metrics["attention"])
        x = metrics["attention"]
        out |= {layer + "attn": x, layer + "metric": metrics[metric]}
        if rule:
            plan = rule(metrics[metric], r_i, i, class_attention)
        elif partition.startswith("energy"):
            margin = float(partition.partition(":")[2] or 0.9 - 0.9 * i / len(model.blocks))
            plan = match_by_energy(metrics[metric], r_i, protected, margin)
        else:
            plan = match(metrics[metric], r_i, protected, partition, similarity, size, float(by_size))
        if plan:
            if matching.startswith("prune"):
                x, size = merged(plan, x, size, "keep-one"), size.gather(1, plan.kept)
            else:
                x, size = merged(plan, x, size, merge_mode), merged_sum(plan, size[..., None]).squeeze(2)
            source = plan.target.gather(1, source)
            out |= {layer + name: tensor for name, tensor in vars(plan).items() if torch.is_tensor(tensor)}
            gap = min(gap, plan.gap)
        out |= {layer + "size": size, layer + "merged": x}
        if kind == "ResPostBlock":
            x = x + block.norm2(block.mlp(x))
        elif kind != "ParallelScalingBlock":
            x = x + block.ls2(block.mlp(block.norm2(x)))
        out[layer + "tokens"] = x

    # timm's order: norm of every token (unless fc_norm replaces it), pooling, fc_norm, head.
    x = model.norm(x)
    if distilled:
        logits = (model.head(x[:, 0]) + model.head_dist(x[:, 1])) / 2
        return out | {"source": source, "features": x[:, 0], "logits": logits}, gap
    first = 0 if model.pool_include_prefix else model.num_prefix_tokens
    if model.attn_pool is not None:
        asked, weight = x[:, first:], size[:, first:]
        pooled = model.attn_pool(asked, attn_mask=weight.log()[:, None, None, :] if pool == "size" else None)
    elif model.global_pool == "avg" and pool == "size":
        patches, weight = x[:, first:], size[:, first:, None]
        pooled = (patches * weight).sum(dim=1) / weight.sum(dim=1)
    else:
        pooled = model.pool(x)
    features = model.fc_norm(pooled)
    return out | {"source": source, "features": features, "logits": model.head(features)}, gap
