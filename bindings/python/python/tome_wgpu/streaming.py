"""Pictures on their way through a network."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

from . import _images
from ._native import Stream
from ._progress import bar
from .config import Config
from .errors import TomeError
from .outputs import Outputs

#: Batches on their way at most: decoded, waiting, and on the device.
_DEPTH = 5


def through(
    native: Stream,
    images: Iterable[_images.Picture],
    names: list[str],
    exif: bool,
    batch_size: int,
    config: Config,
    strict: bool,
    progress: bool,
) -> Iterator[Outputs]:
    """The results of a stream, batch by batch, in order."""
    # What Python could not make a picture of, of each batch on its way.
    refused: list[dict[int, Exception]] = []
    failed: BaseException | None = None
    pictures = iter(images)
    with bar(progress, getattr(images, "__len__", lambda: None)(), "images") as shown:
        while True:
            while failed is None and native.pending < _DEPTH:
                try:
                    batch = list(islice(pictures, batch_size))
                except Exception as error:
                    # What is on its way comes out first.
                    failed = error
                    break
                if not batch:
                    break
                items, own = _items(batch, exif)
                native.push(items)
                refused.append(own)
            popped = native.pop()
            if popped is None:
                break
            values, broken = popped
            outputs = Outputs({name: values[name] for name in names}, dict(broken) | refused.pop(0), config)
            if strict and outputs.errors:
                raise outputs.errors[min(outputs.errors)]
            shown.update(len(outputs))
            yield outputs
    if failed is not None:
        raise failed


def _items(batch: list[Any], exif: bool) -> tuple[list[_images.Item], dict[int, Exception]]:
    items: list[_images.Item] = []
    refused: dict[int, Exception] = {}
    for place, picture in enumerate(batch):
        try:
            items.append(_images.item(picture, exif))
        except (TomeError, OSError, ValueError, SyntaxError) as error:
            # Stands in for it; Pillow reads files late.
            items.append(b"")
            refused[place] = error
    return items, refused
