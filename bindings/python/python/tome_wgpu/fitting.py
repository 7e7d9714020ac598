"""Merging fitted to a network, a device and pictures."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import _native
from ._native import Network, Options
from ._progress import bar


@dataclass(frozen=True)
class Fit:
    """What a fit has found."""

    #: How the network is run, wherever `r` is asked for.
    options: Options
    #: What it comes to, in words.
    verdict: str
    #: Everything that it was compared with, as `tome fit --json` prints it.
    report: dict[str, Any] = field(repr=False)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes the file that `r="PATH.json"` and the command's `--r` take; beside the network as `fitted.json`."""
        target = Path(path)
        beside = target.with_name(f".{target.name}.{os.getpid()}.tome")
        try:
            beside.write_text(self.options.to_json() + "\n", encoding="utf-8")
            beside.replace(target)
        finally:
            beside.unlink(missing_ok=True)

    def __str__(self) -> str:
        return self.verdict


def run(
    network: Network,
    images: NDArray[np.uint8] | NDArray[np.float32],
    base: Options,
    target: str,
    want: list[str],
    measured: bool,
    batch_size: int,
    tries: int,
    seed: int,
    log: str | None,
    progress: bool,
) -> Fit:
    """Fits, and shows how far it is."""
    with bar(progress, None, "tries") as shown:

        def say(stage: str, tried: int, most: int, best: float | None) -> None:
            shown.total = most
            shown.set_description(stage if best is None else f"{stage}, best {best:.4f}")
            shown.update(tried - shown.n)

        options, report = _native.fit(
            network, images, base, target, want, measured, batch_size, tries, seed, log, say if progress else None
        )
    parsed = json.loads(report)
    return Fit(options, parsed["verdict"], parsed)
