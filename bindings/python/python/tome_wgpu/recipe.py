"""What a network is loaded from."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from typing import Any

from ._native import Network
from ._progress import Downloads
from ._vulkan import quiet
from .preprocess import Changes

#: What a caller may say of how pictures are prepared.
CHANGES = tuple(Changes.__annotations__)


@dataclass(frozen=True)
class Recipe:
    """Everything that `load` was told: what a pickled model is."""

    source: str | None
    device: str
    precision: str
    config: str | None
    arch: str | None
    image_size: tuple[int, int] | None
    changes: Mapping[str, Any]

    def open(self, progress: bool) -> Network:
        changes = dict.fromkeys(CHANGES) | dict(self.changes)
        with quiet(), closing(Downloads(progress)) as say:
            return Network(self.source, self.device, self.precision, self.config, self.arch, self.image_size, changes, say)


def absolute(path: str | os.PathLike[str]) -> str:
    """A path that means the same in a process with another working directory."""
    text = os.fsdecode(path)
    return text if text.startswith("hf-hub:") else os.path.abspath(text)
