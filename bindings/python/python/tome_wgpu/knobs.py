"""How much and how tokens merge, as it is written."""

from __future__ import annotations

import operator
import os
from collections.abc import Mapping, Sequence
from typing import Any, Literal, SupportsIndex, TypeAlias, TypedDict, Union

from ._native import Options
from .errors import InputError

#: Tokens merged in each block: `13` everywhere; `"16:-1"`, 16 on average and falling; `[32, 29, 26]`, block by block; what
#: was fitted: a file's path that ends in `.json`, `"fitted"` for the one beside the network; or `Options`.
R: TypeAlias = Union[SupportsIndex, str, "os.PathLike[str]", Sequence[int], Options]

Want: TypeAlias = Union[str, Sequence[str]]


class Knobs(TypedDict, total=False):
    """What may be said of merging beside how much; what is not said is the paper's, or what was fitted."""

    #: Whether attention counts a merged token as often as it has members.
    prop_attn: bool | None
    #: Average pooling counts a merged token by its size, or once.
    pool: Literal["size", "plain"] | None
    #: The tokens that never merge: all before the patches, or only the class token.
    protect: Literal["prefix", "cls"] | None
    #: The way tokens of a group become one.
    merge_mode: Literal["wmean", "mean", "sum", "max", "min", "keep-one", "mlerp", "max-magnitude"] | None
    #: Where a merged token lies, of a network with rotary positions or a relative position bias: at its members' mean, or where
    #: its destination lies.
    positions: Literal["mean", "kept"] | None
    #: Which tokens may merge: `alternating`, `sequential`, `every:K`, `random:SEED`, `lines`, `frames`, `frames:GROUPS`,
    #: `energy`, `energy:MARGIN`.
    partition: str | None
    #: How those that merge are found: `bipartite`; on the CPU also `greedy`, `kmeans:N`, `prune-random:SEED`, `prune-attention`.
    matching: str | None
    #: The rows that tokens are matched by.
    metric: Literal["keys", "queries", "values", "input", "attention", "final"] | None
    #: The measure by which two tokens are alike.
    similarity: Literal["cosine", "dot", "euclidean"] | None
    #: How much the sizes of two tokens count against their match, from 0 to 2.
    by_size: float | None
    #: Two tokens merge only where they are more alike than this.
    threshold: float | None
    #: With a threshold the tokens that merge in each block in any case, written as `r`.
    least: SupportsIndex | str | Sequence[int] | None


_NAMES = tuple(Knobs.__annotations__)


def schedule(r: Any, name: str = "r") -> str:
    """A schedule as the command writes it."""
    if isinstance(r, bool):
        raise InputError(f"{name} is {r}; give a number of tokens")
    if isinstance(r, str):
        return r
    if hasattr(r, "__index__") and not getattr(r, "shape", ()):
        return str(operator.index(r))
    if isinstance(r, Sequence) or hasattr(r, "tolist"):
        try:
            blocks = [operator.index(block) for block in r]
        except TypeError:
            raise InputError(f"{name} is {r!r}; a list holds whole numbers, one a block") from None
        # A comma makes a list of a single number; behind its end nothing merges.
        return ",".join(map(str, [*blocks, 0]))
    raise InputError(f"{name} is {r!r}; give 13, '16:-1', [32, 29, 26], a fitted file, or Options")


def filled(knobs: Mapping[str, Any]) -> dict[str, Any]:
    """All knobs, those that are not said as None."""
    unknown = [name for name in knobs if name not in _NAMES]
    if unknown:
        raise TypeError(f"unexpected argument {unknown[0]!r}; of merging there are {', '.join(_NAMES)}")
    all_of_them: dict[str, Any] = dict.fromkeys(_NAMES) | dict(knobs)
    if all_of_them["least"] is not None:
        all_of_them["least"] = schedule(all_of_them["least"], "least")
    return all_of_them


def wanted(want: Want) -> list[str]:
    """The names of results, each once; a string may name one, or several with commas between."""
    names = want.split(",") if isinstance(want, str) else list(want)
    names = list(dict.fromkeys(name.strip() for name in names))
    if not names or names == [""]:
        raise InputError("want names no result; give logits, features, tokens, size, source, dense or source_per_block")
    return names
