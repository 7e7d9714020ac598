"""Rules of merging beside bipartite matching, each image by itself and in plain loops.

`lines` is written from "CubistMerge" (arXiv 2509.21764), with the average of a group in place of its largest values; `frames`
is the paper's matching for each group of frames alone; the others are what the paper's Table 2 compares with, as docs/merging.md says them.
"""
import math
from dataclasses import dataclass

import torch

import tome


@dataclass
class Plan:
    kept: torch.Tensor  # [B,M] the input token that stays in place of each output token
    target: torch.Tensor  # [B,N] the output token that each input token goes to
    count: int  # number of output tokens
    gap: float  # how far the nearest different decision was


def plan_of(images, gap):
    """Of each image the output tokens in order: what stays first, then what joins it. And the tokens that are lost, by
    the one that stands for them."""
    kept, target = [], []
    for groups, lost in images:
        place = {token: at for at, group in enumerate(groups) for token in group}
        place |= {token: place[other] for token, other in lost.items()}
        kept.append([group[0] for group in groups])
        target.append([place[token] for token in range(len(place))])
    return Plan(torch.tensor(kept), torch.tensor(target), len(kept[0]), gap)


def rule(partition, matching, grid, protected, similarity):
    """What makes a plan of metric [B,N,d], r, block and the class token's attention [B,N]; None for bipartite matching."""
    if partition == "lines":
        return Lines(grid, protected, similarity)
    name, _, number = matching.partition(":")
    make = {"greedy": greedy, "kmeans": kmeans, "prune-random": prune, "prune-attention": prune}.get(name)
    if make is None:
        return None

    def clamped(metric, r, block, attention):
        r = min(r, (metric.shape[1] - protected) // 2)
        if r <= 0:
            return None
        if make is prune:
            weight = drawn(int(number), block, metric.shape[:2]) if number else attention * attention.shape[1]
            return prune(metric, weight, r, protected, similarity)
        return make(metric, r, protected, similarity, *([int(number)] if number else []))

    return clamped


class Lines:
    """Lines of the grid, whose shape and what is left over of r go from block to block."""

    def __init__(self, grid, protected, similarity):
        self.grid, self.protected, self.similarity, self.over = list(grid), protected, similarity, 0

    def __call__(self, metric, r, block, attention):
        if r == 0:
            return None
        side = 1 if self.grid[1] >= self.grid[0] else 0
        lines = (metric.shape[1] - self.protected) // self.grid[side]
        lost, self.over = divmod(r + self.over, lines)
        lost = min(lost, self.grid[side] // 2)
        if lost == 0:
            return None
        plan = match_lines(metric, lost, self.protected, self.grid, self.similarity)
        self.grid[side] -= lost
        return plan


class Frames:
    """Frame groups one behind the other; what is left over of r goes from block to block."""

    def __init__(self, groups, protected, similarity="cosine"):
        self.groups, self.protected, self.similarity, self.over = groups, protected, similarity, 0

    def __call__(self, metric, r, block, attention):
        if r == 0:
            return None
        lost, self.over = divmod(r + self.over, self.groups)
        lost = min(lost, (metric.shape[1] - self.protected) // self.groups // 2)
        return match_frames(metric, lost, self.protected, self.groups, self.similarity) if lost else None


class Threshold:
    """Of one image the pairs above a threshold, at most r; what does not fit into the places that are left merges too."""

    def __init__(self, threshold, least, places, protected, similarity):
        self.threshold, self.least, self.places = threshold, least, places
        self.protected, self.similarity = protected, similarity

    def __call__(self, metric, r, block, attention):
        n = metric.shape[1]
        self.places -= min(self.least[block], r, (self.places - self.protected) // 2)
        most = (n - self.protected) // 2
        if most <= 0 or r <= 0:
            return None
        # All pairs, most similar first.
        sources, destinations, _ = tome.split(n, self.protected, "alternating")
        free_sources, free_destinations = sources[sources >= self.protected], destinations[destinations >= self.protected]
        scores = tome.similarities(metric[:, free_sources], metric[:, free_destinations], self.similarity)
        best = scores.max(dim=2).values[0]
        count = min(max(min(int((best > self.threshold).sum()), r), n - self.places), most)
        near = (best - self.threshold).abs().min().item()
        if count <= 0:
            return Plan(torch.arange(n)[None], torch.arange(n)[None], n, near)
        assert n - self.places <= most
        plan = tome.match(metric, count, self.protected, "alternating", self.similarity)
        return Plan(plan.kept, plan.target, plan.count, min(plan.gap, near))


def forward_padded(model, images, r, threshold, least, **options):
    """tome.forward of each image alone, then all in the places of a batch: nothing is padded on the way.

    Behind an image's tokens sizes and merged tokens are 0, `kept` is -1, as is `target` for what was padding already; the others
    are NaN, as they are nobody's to compare.
    """
    protected = model.num_prefix_tokens if options["protect"] == "prefix" else int(model.has_class_token)
    least = tome.schedule(least, len(model.blocks))
    places = [n := model.num_prefix_tokens + model.patch_embed.num_patches]
    for r_i, least_i in zip(tome.schedule(r, len(model.blocks)), least):
        places.append(n := n - min(least_i, r_i, (n - protected) // 2))
    similarity = options.get("similarity", "cosine")
    results = []
    for image in images:
        rule = Threshold(threshold, least, places[0], protected, similarity)
        results.append(tome.forward(model, image[None], r, rule=rule, **options))
    out = {}
    for key in results[0][0]:
        tensors = [result[key][0] for result, _ in results]
        if key.startswith("layer"):
            layer, name = int(key[5:7]), key[8:]
            rows = places[layer] if name in ("attn", "metric", "target") else places[layer + 1]
            fill = {"size": 0, "merged": 0, "kept": -1, "target": -1}.get(name, math.nan)
            tensors = [
                torch.cat([t, t.new_full((rows - t.shape[0], *t.shape[1:]), fill)]) for t in tensors
            ]
        out[key] = torch.stack(tensors)
    tokens = [[image["layer%02d.size" % i].shape[1] for i in range(len(least))] for image, _ in results]
    return out, min(gap for _, gap in results), tokens


def match_lines(metric, lost, protected, grid, similarity):
    """Each line along the longer side of the grid (a row of a square) loses `lost` tokens: even places join a neighbour."""
    rows, columns = grid
    n = metric.shape[1]
    frames = (n - protected) // (rows * columns)
    places = torch.arange(protected, n).view(frames, rows, columns)
    lines = places if columns >= rows else places.transpose(1, 2)
    images, gap = [], math.inf
    for image in metric:
        alike = tome.similarities(image[None], image[None], similarity)[0]
        goes_to, stay = {}, []
        for line in lines.reshape(-1, lines.shape[2]).tolist():
            edges = []
            for at in range(0, len(line), 2):
                partners = [line[to] for to in (at - 1, at + 1) if 0 <= to < len(line)]
                scores = alike[line[at], partners]
                best = int(scores.argmax())
                edges.append((scores[best].item(), line[at], partners[best], scores))
            edges.sort(key=lambda edge: -edge[0])
            goes_to |= {source: destination for _, source, destination, _ in edges[:lost]}
            if lost < len(edges):
                gap = min(gap, edges[lost - 1][0] - edges[lost][0])
            gap = min([gap] + [abs(scores[0] - scores[1]).item() for *_, scores in edges[:lost] if len(scores) > 1])
            stay.append([token for token in line if token not in goes_to])
        stay = torch.tensor(stay).view(frames, lines.shape[1], -1)
        stay = stay if columns >= rows else stay.transpose(1, 2)
        stay = list(range(protected)) + stay.flatten().tolist()
        images.append(([[token] for token in stay], goes_to))
    return plan_of(images, gap)


def match_frames(metric, lost, protected, groups, similarity):
    """Each frame group loses `lost` tokens as a picture of its own does behind the same protected tokens, and in its order."""
    goes_to, gap = [{} for _ in metric], math.inf
    front, rest = metric[:, :protected], metric[:, protected:]
    for frame in range(groups):
        own = rest.chunk(groups, dim=1)[frame]
        plan = tome.match(torch.cat([front, own], dim=1), lost, protected, similarity=similarity)
        gap = min(gap, plan.gap)
        for image, kept, target in zip(goes_to, plan.kept, plan.target):
            to = kept[target] + frame * own.shape[1]
            image |= {t + frame * own.shape[1]: int(to[t]) for t in range(protected, len(to)) if kept[target[t]] != t}
    images = [([[t] for t in range(metric.shape[1]) if t not in image], image) for image in goes_to]
    return plan_of(images, gap)


def greedy(metric, r, protected, similarity):
    """r times the most similar two of all unprotected become one, whose metric is the average of its tokens'."""
    images, gap = [], math.inf
    for image in metric:
        groups = [[token] for token in range(image.shape[0])]
        for _ in range(r):
            means = torch.stack([unit(image, similarity)[group].mean(dim=0) for group in groups])
            alike = tome.similarities(means[None], means[None], similarity)[0]
            alike = alike.masked_fill(torch.ones_like(alike).triu(1) == 0, -math.inf)
            alike[:protected] = -math.inf
            best, second = alike.flatten().topk(2).values.tolist()
            gap = min(gap, best - second)
            a, b = divmod(int(alike.argmax()), len(groups))
            groups[a] = sorted(groups[a] + groups.pop(b))
        images.append((groups, {}))
    return plan_of(images, gap)


def unit(rows, similarity):
    return rows / rows.norm(dim=-1, keepdim=True) if similarity == "cosine" else rows


def kmeans(metric, r, protected, similarity, iterations):
    """As many clusters as are to be left, first around tokens evenly spaced, then around the averages of their tokens."""
    images, gap = [], math.inf
    for image in metric:
        points = unit(image[protected:], similarity)
        free, k = points.shape[0], points.shape[0] - r
        centres = points[[i * free // k for i in range(k)]]
        for iteration in range(iterations):
            if iteration:
                centres = torch.stack([points[[t for t in range(free) if of[t] == i]].mean(dim=0) for i in range(k)])
            alike = tome.similarities(points[None], centres[None], similarity)[0]
            first, second = alike.topk(2, dim=1).values.unbind(1)
            gap = min(gap, (first - second).min().item())
            of = alike.argmax(dim=1).tolist()
            # An empty cluster takes the token that is least at home of those that are not alone.
            for empty in range(k):
                if empty in of:
                    continue
                others = [t for t in range(free) if of.count(of[t]) > 1]
                at_home = sorted((alike[t, of[t]].item(), t) for t in others)
                if len(at_home) > 1:
                    gap = min(gap, at_home[1][0] - at_home[0][0])
                of[at_home[0][1]] = empty
        clusters = sorted([protected + t for t in range(free) if of[t] == i] for i in range(k))
        images.append(([[token] for token in range(protected)] + clusters, {}))
    return plan_of(images, gap)


def prune(metric, weight, r, protected, similarity):
    """The r unprotected tokens with the lowest weight are dropped; the most similar one that stays stands for each."""
    images, gap = [], math.inf
    for image, weights in zip(metric, weight):
        alike = tome.similarities(image[None], image[None], similarity)[0]
        order = sorted(range(protected, image.shape[0]), key=lambda token: weights[token].item())
        gap = min(gap, (weights[order[r]] - weights[order[r - 1]]).item())
        dropped, stay = order[:r], sorted(order[r:])
        lost = {}
        for token in dropped:
            scores = alike[token, stay]
            lost[token] = stay[int(scores.argmax())]
            if len(stay) > 1:
                first, second = scores.topk(2).values.tolist()
                gap = min(gap, first - second)
        images.append(([[token] for token in range(protected)] + [[token] for token in stay], lost))
    return plan_of(images, gap)


def pcg(value):
    """`pcg_hash` of Jarzynski and Olano, "Hash Functions for GPU Rendering" (2020)."""
    state = (value * 747796405 + 2891336453) % 2**32
    word = ((state >> ((state >> 28) + 4)) ^ state) * 277803737 % 2**32
    return (word >> 22) ^ word


def drawn(seed, block, shape):
    """A number for each token of each image."""
    seed = pcg(block ^ pcg(seed))
    salts = [pcg(image ^ pcg(seed)) for image in range(shape[0])]
    return torch.tensor([[pcg(token ^ salt) for token in range(shape[1])] for salt in salts], dtype=torch.float64)
