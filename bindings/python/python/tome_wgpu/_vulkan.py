"""Drivers, kept quiet."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

_RUNTIME = "XDG_RUNTIME_DIR"


@contextmanager
def quiet() -> Iterator[None]:
    """While devices are looked for: Mesa's layers look for a window system, and where this variable is not set, as in
    containers, complain of it on stderr in words that read like an error of ours."""
    missing = sys.platform == "linux" and _RUNTIME not in os.environ
    if missing:
        os.environ[_RUNTIME] = tempfile.gettempdir()
    try:
        yield
    finally:
        if missing:
            os.environ.pop(_RUNTIME, None)
