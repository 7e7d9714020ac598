"""A class that engines for many pictures take as it is: Ray Data, Daft, Spark, `multiprocessing`."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from . import knobs
from .config import Adapter, adapters
from .errors import InputError, NoAdapterError
from .model import Model, load

if TYPE_CHECKING:
    from typing_extensions import Unpack

#: The variables by which engines give a worker its cards, and PCI's numbers of their makers.
_VARIABLES = (
    ("CUDA_VISIBLE_DEVICES", 0x10DE),
    ("ROCR_VISIBLE_DEVICES", 0x1002),
    ("HIP_VISIBLE_DEVICES", 0x1002),
)
_NVIDIA = "/proc/driver/nvidia/gpus"


def device_from_environment() -> str:
    """The device that an engine has given this process, as `load` takes it.

    `CUDA_VISIBLE_DEVICES` (NVIDIA), `ROCR_VISIBLE_DEVICES` and `HIP_VISIBLE_DEVICES` (AMD) name cards by numbers in the order
    of their places on the PCI bus, or NVIDIA's by UUID, `GPU-...`. The first that is named is taken, matched to an adapter by
    its place on the bus. Numbers are CUDA's own only with `CUDA_DEVICE_ORDER=PCI_BUS_ID` or where all cards are of one kind,
    as CUDA otherwise puts the fastest first. A variable that is set and empty, or -1, leaves a worker without a card: `cpu`.
    Without any of them it is `auto`.

    Raises:
        NoAdapterError: Where the card that is named has no adapter here.
    """
    for variable, vendor in _VARIABLES:
        named = os.environ.get(variable)
        if named is None:
            continue
        first = named.split(",")[0].strip()
        if first in ("", "-1", "NoDevFiles", "none"):
            return "cpu"
        return str(_named(first, variable, vendor).index)
    return "auto"


def _named(card: str, variable: str, vendor: int) -> Adapter:
    cards: dict[str, Adapter] = {}
    for adapter in adapters():
        # A card that two drivers offer is one card.
        if adapter.vendor == vendor and adapter.pci is not None:
            cards.setdefault(_place(adapter.pci), adapter)
    # All cards of the machine are counted, also those without an adapter here.
    places = sorted(set(_on_the_bus(vendor)) | set(cards))
    place = None
    if card.isdecimal():
        place = places[int(card)] if int(card) < len(places) else None
    elif card.startswith("GPU-"):
        place = next((place for place, uuid in _uuids().items() if uuid.startswith(card)), None)
    if place is None or place not in cards:
        there = ", ".join(f"{place} ({adapter.name})" for place, adapter in cards.items()) or "none"
        raise NoAdapterError(f"{variable} names {card}, and no adapter is that card; of its maker there are {there}")
    return cards[place]


def _place(pci: str) -> str:
    """A place on the bus as everybody else writes it: `0000:65:00.0`."""
    domain, bus, rest = pci.lower().rsplit(":", 2)
    return f"{int(domain or '0', 16):04x}:{bus}:{rest}"


def _on_the_bus(vendor: int) -> list[str]:
    """The display adapters and accelerators of a maker, as Linux lists them."""
    root = "/sys/bus/pci/devices"
    places = []
    for place in os.listdir(root) if os.path.isdir(root) else []:
        try:
            with open(f"{root}/{place}/vendor") as file, open(f"{root}/{place}/class") as kind:
                # Display controllers; processing accelerators.
                if int(file.read(), 16) == vendor and kind.read()[:4] in ("0x03", "0x12"):
                    places.append(_place(place))
        except OSError:
            continue
    return places


def _uuids() -> dict[str, str]:
    """NVIDIA's names of its cards, by their places."""
    uuids = {}
    for place in os.listdir(_NVIDIA) if os.path.isdir(_NVIDIA) else []:
        try:
            with open(f"{_NVIDIA}/{place}/information") as file:
                lines = [line.split(":", 1) for line in file if ":" in line]
        except OSError:
            continue
        uuids.update({_place(place): value.strip() for name, value in lines if name.strip() == "GPU UUID"})
    return uuids


class Encoder:
    """Encodes batches of pictures, `dict[str, ndarray] -> dict[str, ndarray]`.

    It is plain data until it is first called: that loads the network, in the process that calls. So it can be pickled, also to
    workers that are spawned, and each worker has its own device, see `device_from_environment`.

        dataset.map_batches(Encoder, fn_constructor_args=("hf-hub:facebook/dinov2-small",), batch_size=32, ...)

    Args:
        model: What `load` takes, or a model, whose recipe is taken, its device included.
        r: Tokens merged in each block.
        want: Results to add as columns.
        column: The column of pictures: files' bytes, paths, or pixels `[H, W, 3]` in uint8; or an array of all of them.
        device: `environment`, the card that the engine has given this process, or what `load` takes.
        keep_column: Whether the pictures go on to the results.
        error_column: The column that says why a row is NaN, None where it is not; without a name an error is raised.
        prepared: Whether the column's pixels are the network's own already, as `Model.preprocess` makes them, and are not
            resized and cropped once more. Not for a network that takes pictures of any shape.
        load_options: Further arguments of `load`.
        more: How tokens merge.
    """

    def __init__(
        self,
        model: str | os.PathLike[str] | Model | None,
        r: knobs.R = 0,
        want: knobs.Want = ("features",),
        *,
        column: str = "image",
        device: str | int = "environment",
        precision: Literal["f32", "f16"] = "f32",
        keep_column: bool = False,
        error_column: str | None = "error",
        prepared: bool = False,
        load_options: Mapping[str, Any] | None = None,
        **more: Unpack[knobs.Knobs],
    ) -> None:
        # Wrong arguments are found where the encoder is made, not in a worker.
        self.want = knobs.wanted(want)
        knobs.filled(more)
        self.model = model if model is None or isinstance(model, Model) else os.fsdecode(model)
        self.r, self.more = r, more
        self.column, self.keep_column, self.error_column = column, keep_column, error_column
        self.prepared = prepared
        self.device = device
        self.precision: Literal["f32", "f16"] = precision
        self.load_options = dict(load_options or {})
        self._loaded: Model | None = None

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_loaded": None}

    def loaded(self) -> Model:
        """The network on this process's device."""
        if self._loaded is None:
            if isinstance(self.model, Model):
                self._loaded = self.model
            else:
                device = device_from_environment() if self.device == "environment" else self.device
                options: dict[str, Any] = {"progress": False} | self.load_options
                self._loaded = load(self.model, device, self.precision, **options)
        return self._loaded

    def __call__(self, batch: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """The batch's other columns, and a column for each result, `[B, ...]`."""
        if self.column not in batch:
            raise InputError(f"the batch has no column {self.column!r}; it has {', '.join(batch)}")
        pictures = batch[self.column]
        errors: Literal["raise", "nan"] = "raise" if self.error_column is None else "nan"
        rows = {name: values for name, values in batch.items() if self.keep_column or name != self.column}
        if len(pictures) == 0:
            return rows
        if self.prepared and self.loaded().config.max_patches is not None:
            raise InputError("prepared=True is for pixels of one size, and the network takes pictures of any shape: give those")
        images = _stacked(pictures) if self.prepared else [_plain(picture) for picture in pictures]
        outputs = self.loaded()(images, self.r, self.want, errors=errors, **self.more)
        rows |= outputs.as_dict()
        if self.error_column is not None:
            why = np.empty(len(pictures), object)
            for row, error in outputs.errors.items():
                why[row] = str(error)
            rows[self.error_column] = why
        return rows

    def __repr__(self) -> str:
        state = "loaded" if self._loaded is not None else "not loaded yet"
        return f"<Encoder {self.model}, r={self.r!r}: {self.column} -> {', '.join(self.want)}; {state}>"


def _stacked(pictures: NDArray[Any]) -> NDArray[Any]:
    """Pixels of one size as one array."""
    if pictures.dtype != object:
        return pictures
    try:
        return np.stack([np.asarray(picture) for picture in pictures])
    except ValueError as error:
        raise InputError(f"prepared pixels are of one size: {error}") from error


def _plain(picture: Any) -> Any:
    """A picture as a row has it; none is one that cannot be read."""
    return b"" if picture is None else picture
