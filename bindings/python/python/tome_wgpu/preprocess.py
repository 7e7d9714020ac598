"""How a picture becomes a network's input."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypedDict

import numpy as np
from numpy.typing import NDArray

from . import _images
from ._native import Network
from .errors import InputError


class Changes(TypedDict, total=False):
    """What may overrule a network's files."""

    #: Subtracted from each channel in [0, 1]: one value, or one a channel.
    mean: float | Sequence[float]
    #: Each channel is divided by it afterwards.
    std: float | Sequence[float]
    #: The filter by which a picture is resized.
    interpolation: Literal["bicubic", "bilinear", "lanczos", "box", "hamming"]
    #: The edges that are resized to the input's size over `crop`.
    resize: Literal["shortest", "squash"]
    #: The share of the resized picture that is cut out.
    crop: float
    #: Which channel comes first.
    channel_order: Literal["rgb", "bgr"]
    #: Whether a picture is turned upright as its EXIF data says.
    exif: bool
    #: Whether JPEGs are decoded whole, or faster at a reduced size where they shrink much: another picture, within a bound.
    jpeg: Literal["whole", "reduced"]


@dataclass(frozen=True)
class Preprocess:
    """How a picture becomes a network's input; called, it does that."""

    #: Subtracted from each channel in [0, 1].
    mean: tuple[float, ...]
    #: Each channel is divided by it afterwards.
    std: tuple[float, ...]
    #: The filter by which a picture is resized.
    interpolation: str
    #: The edges that are resized to the input's size over `crop`.
    resize: str
    #: The share of the resized picture that is cut out of its centre.
    crop: float
    #: Which channel comes first.
    channel_order: str
    #: Whether a picture is turned upright as its EXIF data says.
    exif: bool
    #: Whether JPEGs are decoded `whole`, or `reduced` where they shrink much.
    jpeg: str
    #: What says all this: a file, an architecture, or the rule by which it was assumed.
    source: str
    #: All of it in one line.
    words: str = field(repr=False)
    _network: Network = field(repr=False, compare=False)

    def __call__(self, pictures: Sequence[_images.Picture] | _images.Picture) -> NDArray[np.uint8]:
        """Decodes, resizes and crops pictures, on all threads: `[B, H, W, C]`, uint8.

        Raises the first picture's error that cannot be read.
        """
        if self._network.config()["max_patches"] is not None:
            raise InputError("pictures of any shape are no pixels of one size; `preprocess.patches` makes patches of them")
        pixels: NDArray[np.uint8]
        pixels, _ = self._load(pictures)
        return pixels

    def patches(self, pictures: Sequence[_images.Picture] | _images.Picture) -> dict[str, NDArray[Any]]:
        """Decodes and resizes pictures for a network that takes any shape, and gives what transformers' processor gives.

        `pixel_values`, `[B, N, patch height * patch width * C]`, float32; `pixel_attention_mask`, `[B, N]`, 1 where there is a patch
        and 0 for the padding behind them; and `spatial_shapes`, `[B, 2]`, rows and columns of each picture's patches. A model
        takes it as it is. Raises the first picture's error that cannot be read.
        """
        config = self._network.config()
        if config["max_patches"] is None:
            raise InputError("the network takes pictures of one size; called, `preprocess` makes pixels of them")
        rows, grids = self._load(pictures)
        shapes = np.array(grids, np.int64).reshape(-1, 2)
        mask = np.arange(config["max_patches"]) < shapes.prod(axis=1, keepdims=True)
        values = config["patch_size"][0] * config["patch_size"][1] * config["image_channels"]
        # Behind a patch's values stand the weights of its position.
        patches = np.ascontiguousarray(rows[:, :, :values])
        return dict(zip(_images.PROCESSED, (patches, mask.astype(np.int64), shapes)))

    def _load(self, pictures: Sequence[_images.Picture] | _images.Picture) -> tuple[Any, list[list[int]] | None]:
        one = isinstance(pictures, (str, bytes, bytearray, memoryview)) or not isinstance(pictures, Sequence)
        several: Sequence[_images.Picture] = [pictures] if one else pictures  # type: ignore[list-item,assignment]
        loaded, errors, grids = self._network.load([_images.item(picture, self.exif) for picture in several])
        for _, error in errors:
            raise error
        return loaded, grids

    def normalise(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """What calling it gives, as `[B, C, H, W]` floats: over 255, less the mean, over the deviation."""
        return self._network.normalise(np.ascontiguousarray(pixels))

    def __str__(self) -> str:
        return self.words
