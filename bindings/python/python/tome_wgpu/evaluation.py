"""What merging costs on pictures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from . import _images
from ._native import Judge, Network, Options
from ._progress import bar
from .config import Config
from .errors import InputError


class Interval(NamedTuple):
    """An estimate with its 95 % interval."""

    estimate: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.estimate:.4g} [{self.low:.4g}, {self.high:.4g}]"


@dataclass(frozen=True)
class Row:
    """One way of merging. What labels or results do not allow to say is None."""

    options: Options
    #: The share of labelled pictures whose own class is the first.
    top1: Interval | None
    #: The share whose own class is among the first five.
    top5: Interval | None
    #: How much larger these are than without merging, picture by picture.
    top1_change: Interval | None
    top5_change: Interval | None
    #: The share of pictures whose first class is that without merging.
    agreement: Interval | None
    #: The mean KL divergence of probabilities from those without merging, in nats.
    divergence: Interval | None
    #: The mean of 1 - cosine of pooled features.
    features: Interval | None
    #: The mean relative squared distance of maps.
    dense: Interval | None
    #: The mean of 1 - cosine over the patches of maps.
    dense_cosine: Interval | None
    #: By how much less there is to compute.
    promised_speedup: float
    #: Images a second, where that was measured.
    images_per_second: float | None


@dataclass(frozen=True)
class Evaluation:
    """What merging costs; the first of the rows is none."""

    rows: list[Row]
    #: Pictures that could not be read and are left out, by their places.
    errors: dict[int, Exception]
    #: Pictures that count.
    count: int
    #: What was compared.
    network: str = field(default="")

    def __str__(self) -> str:
        shown = ["top1", "top1_change", "agreement", "divergence", "features", "dense"]
        shown = [name for name in shown if any(getattr(row, name) is not None for row in self.rows)]
        lines = [f"{self.network}, {self.count} pictures"]
        for row in self.rows:
            speed = "" if row.images_per_second is None else f", {row.images_per_second:.1f} images/s"
            figures = ", ".join(f"{name} {getattr(row, name)}" for name in shown)
            lines.append(f"r {row.options.r}: {figures}; {row.promised_speedup:.2f} times less{speed}")
        return "\n".join(lines)


def run(
    network: Network,
    config: Config,
    exif: bool,
    images: Sequence[_images.Picture],
    labels: Sequence[int | str | None] | None,
    ways: list[Options],
    want: list[str],
    batch_size: int,
    speed: bool,
    progress: bool,
) -> Evaluation:
    """Compares ways of merging; the first is the reference."""
    if batch_size < 1 or len(images) == 0:
        raise InputError(f"{len(images)} images in batches of {batch_size}")
    if labels is not None and len(labels) != len(images):
        raise InputError(f"{len(images)} images and {len(labels)} labels")
    classes = _classes(labels, config) if labels is not None else [None] * len(images)
    judge = Judge(network, ways, want)
    errors: dict[int, Exception] = {}
    with bar(progress, len(images), "images") as shown:
        for start in range(0, len(images), batch_size):
            batch = images[start : start + batch_size]
            pixels, broken, _ = network.load([_images.item(image, exif) for image in batch])
            errors |= {start + place: error for place, error in broken}
            keep = [start + place not in errors for place in range(len(batch))]
            judge.push(pixels, classes[start : start + len(batch)], keep)
            shown.update(len(batch))
    rows = []
    for options, figures in zip(ways, judge.rows()):
        seconds = network.measure(options, batch_size) if speed else None
        rows.append(
            Row(
                options,
                **{name: None if value is None else Interval(*value) for name, value in figures.items()},
                promised_speedup=network.cost(options)[2],
                images_per_second=None if seconds is None else batch_size / seconds,
            )
        )
    return Evaluation(rows, errors, len(images) - len(errors), config.name)


def _classes(labels: Sequence[Any], config: Config) -> list[int | None]:
    """The classes that labels are: numbers, or the classes' names."""
    if config.scores is None:
        raise InputError(
            f"{config.name} has no classes that labels could name; leave them out, and judge features by `neighbours` and `Probe`"
        )
    # A name may be a list of synonyms, "tench, Tinca tinca".
    names: dict[str, int] = {}
    for index, label in enumerate(config.labels):
        for name in (label, *label.split(",")):
            if names.setdefault(name.strip().lower(), index) != index:
                names[name.strip().lower()] = -1
    classes: list[int | None] = []
    for label in labels:
        if label is None:
            classes.append(None)
        elif isinstance(label, str):
            found = names.get(label.strip().lower())
            if found is None or found < 0:
                why = "is the name of two of them" if found is not None else "is none of them"
                raise InputError(f"label {label!r} {why}: the {config.outputs} classes of {config.name}; give numbers")
            classes.append(found)
        else:
            number = int(np.asarray(label).item())
            if not 0 <= number < config.outputs:
                raise InputError(f"label {number}: {config.name} has {config.outputs} classes, counted from 0")
            classes.append(number)
    return classes
