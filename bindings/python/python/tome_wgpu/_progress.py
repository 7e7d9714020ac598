"""Progress through tqdm, where it is installed and wanted."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any, Protocol


class Bar(Protocol):
    """As much of tqdm's bars as is used."""

    total: Any
    n: Any

    def update(self, n: float | None = 1, /) -> Any: ...
    def set_description(self, desc: str | None = None, /) -> Any: ...


class _NoBar:
    total: Any = None
    n: Any = 0

    def update(self, n: float | None = 1, /) -> None: ...
    def set_description(self, desc: str | None = None, /) -> None: ...


def bar(shown: bool, total: int | None, unit: str) -> AbstractContextManager[Bar]:
    """A bar; nothing where it is not wanted or tqdm is not there."""
    if shown:
        try:
            from tqdm.auto import tqdm
        except ImportError:
            return nullcontext(_NoBar())
        made: AbstractContextManager[Bar] = tqdm(total=total, unit=f" {unit}")
        return made
    return nullcontext(_NoBar())
