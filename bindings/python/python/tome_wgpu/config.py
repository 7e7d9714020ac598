"""What a network is, and what it runs on."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from . import _native
from ._vulkan import quiet


@dataclass(frozen=True)
class Config:
    """A network's dimensions."""

    #: The architecture's name.
    name: str
    #: Height and width of the input in pixels; of a network that takes pictures of any shape those that its table of positions
    #: is for.
    image_size: tuple[int, int]
    #: Height and width of a patch in pixels.
    patch_size: tuple[int, int]
    #: Rows and columns of patches, with pictures of any shape of that table.
    grid: tuple[int, int]
    #: The most patches of a picture of any shape (NaFlex); None where pictures have one size.
    max_patches: int | None
    #: Frames of the input: 1 for pictures.
    frames: int
    #: Channels of an image.
    image_channels: int
    #: Blocks.
    depth: int
    #: Attention heads.
    heads: int
    #: Values of a token.
    channels: int
    #: Tokens that enter the first block, padding among them.
    tokens: int
    #: Of these, those before the patches: class token, registers.
    prefix_tokens: int
    #: Classes; 0 for a network without a head, whose logits are its features.
    classes: int
    #: Values of a row of logits.
    outputs: int
    #: Whether attention counts merged tokens by their sizes where nothing else is said.
    prop_attn: bool
    #: What logits become: probabilities of which one applies, of which each may apply, or none.
    scores: Literal["softmax", "sigmoid"] | None
    #: The classes' names, where they are known.
    labels: tuple[str, ...] = field(repr=False)

    def label(self, index: int) -> str:
        """A class's name."""
        return self.labels[index] if index < len(self.labels) else f"class {index}"


@dataclass(frozen=True)
class Device:
    """What a network runs on, and why that."""

    #: The adapter's name, or `CPU`.
    name: str
    #: `Vulkan`, `Metal`, `Dx12`, or `CPU`.
    backend: str
    #: How activations and weights are stored: `f32` or `f16`.
    precision: str
    #: The reason why this one.
    why: str
    #: The tuning that `tome tune` has saved for it, which is in use.
    tuning: str | None = None

    def __str__(self) -> str:
        name = self.name if self.backend == self.name else f"{self.name} ({self.backend})"
        return f"{name}, {self.precision}: {self.why}" + (f"; tuned: {self.tuning}" if self.tuning else "")


@dataclass(frozen=True)
class Adapter:
    """An adapter that can be asked for: `load(..., device=str(adapter.index))`."""

    #: Its number.
    index: int
    #: Its name.
    name: str
    #: `Vulkan`, `Metal` or `Dx12`.
    backend: str
    #: Driver and version.
    driver: str
    #: `discrete GPU`, `integrated GPU`, `virtual GPU`, `software` or `other`.
    kind: str
    #: PCI's number of its maker.
    vendor: int
    #: Its place on the PCI bus, where the driver says it.
    pci: str | None
    #: The optional features that it has and this package uses.
    features: tuple[str, ...]


def adapters() -> list[Adapter]:
    """Every adapter, in the order of their numbers."""
    with quiet():
        return [Adapter(**fields) for fields in _native.adapters()]
