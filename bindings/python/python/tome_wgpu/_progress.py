"""Progress through tqdm, where it is installed and wanted."""

from __future__ import annotations

import os
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Protocol


class Bar(Protocol):
    """As much of tqdm's bars as is used."""

    total: Any
    n: Any

    def update(self, n: float | None = 1, /) -> Any: ...
    def set_description(self, desc: str | None = None, /) -> Any: ...
    def close(self) -> Any: ...


class _NoBar:
    total: Any = None
    n: Any = 0

    def update(self, n: float | None = 1, /) -> None: ...
    def set_description(self, desc: str | None = None, /) -> None: ...
    def close(self) -> None: ...


def bar(shown: bool, total: int | None, unit: str, **more: Any) -> AbstractContextManager[Bar]:
    """A bar; nothing where it is not wanted or tqdm is not there."""
    if shown:
        try:
            from tqdm.auto import tqdm
        except ImportError:
            return nullcontext(_NoBar())
        made: AbstractContextManager[Bar] = tqdm(total=total, unit=f" {unit}", **more)
        return made
    return nullcontext(_NoBar())


class Downloads:
    """A bar for each file that arrives, and none where the hub's own library would draw none."""

    def __init__(self, shown: bool) -> None:
        off = os.environ.get("HF_HUB_DISABLE_PROGRESS_BARS", "").upper() in ("1", "ON", "YES", "TRUE")
        self._shown = shown and not off
        self._name: str | None = None
        self._bar: Bar = _NoBar()

    def __call__(self, name: str | None, there: int, total: int | None) -> None:
        """So many bytes of a file are there; without a name another download has to end first."""
        if name != self._name:
            self.close()
            self._name = name
            with_unit = bar(self._shown and name is not None, total, "B", desc=name, unit_scale=True, initial=there, disable=None)
            self._bar = with_unit.__enter__()
        self._bar.update(there - self._bar.n)

    def close(self) -> None:
        """Ends the last file's bar."""
        self._bar.close()
