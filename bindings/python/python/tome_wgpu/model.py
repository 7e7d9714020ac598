"""Networks, ready to run."""

from __future__ import annotations

import os
import threading
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, overload

import numpy as np
from numpy.typing import NDArray

from . import _images, evaluation, fitting, knobs
from ._native import Network, Options
from .config import Config, Device
from .errors import InputError, TomeError, TomeWarning
from .outputs import Class, Outputs
from .plan import Plan
from .preprocess import Changes, Preprocess
from .recipe import CHANGES, Recipe, absolute
from .streaming import through

if TYPE_CHECKING:
    from PIL.Image import Image as PILImage
    from typing_extensions import Unpack


def load(
    source: str | os.PathLike[str] | None = None,
    device: str | int = "auto",
    precision: Literal["f32", "f16"] = "f32",
    *,
    config: str | os.PathLike[str] | None = None,
    arch: str | None = None,
    image_size: int | tuple[int, int] | None = None,
    progress: bool = True,
    **preprocess: Unpack[Changes],
) -> Model:
    """Loads a network and puts it on a device.

    Args:
        source: `hf-hub:OWNER/NAME[@REVISION]`, or a folder or safetensors file as it is downloaded from timm,
            transformers or torchvision; without it a small network for digits, which comes with the package.
        device: `auto`, a real GPU where there is one and the CPU otherwise; `cpu`; the number of one of `adapters()`, or
            a part of its `NAME (Backend)`.
        precision: How weights and activations are stored; the CPU has `f32` only. Results are float32 all the same.
        config: The `config.json`, where it is not beside the weights.
        arch: timm's name of the architecture, for weights without a `config.json`.
        image_size: Height and width of the input in pixels; positions are resampled as the network's own code does. Not for a
            network that takes pictures of any shape.
        progress: Whether downloads draw bars, by tqdm where it is installed, in a terminal or a notebook.
        preprocess: What overrules the network's files about pictures: `mean`, `std`, `interpolation`, `resize`, `crop`,
            `channel_order`, `exif`, `jpeg`.

    Warns:
        TomeWarning: Where something about the network had to be guessed.
    """
    unknown = [name for name in preprocess if name not in CHANGES]
    if unknown:
        raise TypeError(
            f"load() got an unexpected argument {unknown[0]!r}; of pictures there are {', '.join(CHANGES)}"
        )
    changes: dict[str, Any] = dict(preprocess)
    for name in {"mean", "std"} & set(changes):
        changes[name] = [float(value) for value in np.atleast_1d(changes[name])]
    recipe = Recipe(
        source=None if source is None else absolute(source),
        device=str(device),
        precision=precision,
        config=None if config is None else absolute(config),
        arch=arch,
        image_size=(image_size, image_size) if isinstance(image_size, int) else image_size,
        changes=changes,
    )
    return Model(recipe, recipe.open(progress))


class Model:
    """A network, ready to run on its device; `load` makes it.

    Any number of threads may use it at once. Pickled it is its recipe: where it is unpickled it is loaded anew, when it is
    first used. In the child of a fork its parent's model raises `ForkError`.
    """

    def __init__(self, recipe: Recipe, network: Network | None = None) -> None:
        self._recipe = recipe
        self._opened = network
        self._lock = threading.Lock()
        if network is not None:
            _warn(network.warnings)

    @property
    def _network(self) -> Network:
        with self._lock:
            if self._opened is None:
                self._opened = self._recipe.open(progress=False)
                _warn(self._opened.warnings)
            return self._opened

    def __reduce__(self) -> tuple[type[Model], tuple[Recipe]]:
        return Model, (self._recipe,)

    @cached_property
    def config(self) -> Config:
        """What the network is."""
        return Config(**self._network.config())

    @cached_property
    def device(self) -> Device:
        """What it runs on, and why that."""
        return Device(**self._network.device())

    @cached_property
    def preprocess(self) -> Preprocess:
        """How a picture becomes the input: printed in words, called it makes `[B, H, W, C]` pixels of pictures; those of any
        shape are made by its `patches`."""
        return Preprocess(**self._network.preprocess(), _network=self._network)

    def options(self, r: knobs.R = 0, **more: Unpack[knobs.Knobs]) -> Options:
        """How much and how tokens merge, checked for this network; stands wherever `r` is asked for."""
        if isinstance(r, str) and r == "fitted":
            r = self._beside()
        if isinstance(r, os.PathLike) or (isinstance(r, str) and r.endswith(".json")):
            r = Options.load(os.fsdecode(r))
        if isinstance(r, Options):
            options, guess = self._network.adopt(r, knobs.filled(more))
            if guess is not None:
                warnings.warn(guess, TomeWarning, stacklevel=3)
            return options
        return self._network.options(knobs.schedule(r), knobs.filled(more))

    def _beside(self) -> Path:
        source = self._recipe.source
        if source is None or source.startswith("hf-hub:"):
            raise InputError("r='fitted' is the file beside a network's, and this one has no folder; give its path")
        path = Path(source)
        return (path if path.is_dir() else path.parent) / "fitted.json"

    def __call__(
        self,
        images: _images.Images,
        r: knobs.R = 0,
        want: knobs.Want = ("logits",),
        *,
        errors: Literal["raise", "nan"] = "raise",
        **more: Unpack[knobs.Knobs],
    ) -> Outputs:
        """Runs images through the network.

        Args:
            images: An array of the network's size, `[B, C, H, W]` normalised floats or `[B, H, W, C]` pixels in uint8 (any
                array or tensor in host memory); or pictures of any size, which are resized and cropped as `preprocess` says:
                paths, files' bytes, PIL images, or `[H, W, 3]` arrays in uint8, in a list or one alone. A network that takes
                pictures of any shape (NaFlex) takes no such array of a batch, but what transformers' processor makes of
                pictures, a mapping of `pixel_values`, `pixel_attention_mask` and `spatial_shapes`.
            r: Tokens merged in each block: `13`; `"16:-1"`, falling around 16; `[32, 29, 26]`; a fitted file; `Options`.
            want: Which results: `logits`, `features`, `tokens`, `size`, `source`, `dense`, `source_per_block`.
            errors: Of a picture that cannot be read: `raise`, or `nan` and a word in the results' `errors`.
            more: How tokens merge: `prop_attn`, `pool`, `protect`, `merge_mode`, `positions`, `partition`, `matching`, `metric`,
                `similarity`, `by_size`, `threshold`, `least`.
        """
        options, names = self.options(r, **more), knobs.wanted(want)
        pixels, broken = self._load(images, errors)
        values = self._network.run(pixels, options, names)
        return Outputs({name: values[name] for name in names}, broken, self.config)

    def _load(
        self, images: _images.Images, errors: str
    ) -> tuple[NDArray[np.float32] | NDArray[np.uint8], dict[int, Exception]]:
        if errors not in ("raise", "nan"):
            raise InputError(f"errors is {errors!r}; give 'raise' or 'nan'")
        if isinstance(images, (str, bytes, bytearray, memoryview, os.PathLike)) or _images.is_pil(images):
            images = [images]  # type: ignore[list-item]
        if _images.is_array(images) and _images.array(images).dtype.kind in "OUS":
            # A column of paths or bytes.
            images = list(_images.array(images).ravel())
        if isinstance(images, Mapping):
            if self.config.max_patches is None:
                raise InputError(f"images are a mapping; {self.config.name} takes an array: images['pixel_values']")
            return self._network.pack(*_images.processed(images)), {}
        if _images.is_array(images):
            if self.config.max_patches is not None:
                raise InputError(
                    f"images of shape {_images.array(images).shape}; {self.config.name} takes pictures of any shape: give them "
                    f"in a list, or what transformers' processor makes of them, a mapping of {', '.join(_images.PROCESSED)}"
                )
            given = _images.network_input(images)
            if given.ndim in (2, 3) and given.dtype == np.uint8:
                raise InputError(f"images of shape {given.shape}; a picture of any size goes in a list: [picture]")
            return given, {}
        if not isinstance(images, Sequence):
            raise InputError(
                f"images are a {type(images).__name__}; give an array, or pictures in a list (`stream` takes any iterable)"
            )
        if len(images) == 0:
            raise InputError("images are an empty list")
        exif = self.preprocess.exif
        pixels, broken, _ = self._network.load([_images.item(image, exif) for image in images])
        if broken and errors == "raise":
            raise broken[0][1]
        return pixels, dict(broken)

    def stream(
        self,
        images: Iterable[_images.Picture],
        r: knobs.R = 0,
        want: knobs.Want = ("logits",),
        *,
        batch_size: int = 16,
        errors: Literal["raise", "nan"] = "nan",
        progress: bool = False,
        **more: Unpack[knobs.Knobs],
    ) -> Iterator[Outputs]:
        """Runs any number of pictures, a batch at a time, in order: while the device computes, the next are decoded.

        Memory does not grow with their number. A picture that cannot be read costs its row, which is NaN, and its batch's
        `errors` says why; with `errors="raise"` it ends the stream. Where the iterable itself fails, what was on its way
        comes out first. `progress` shows a bar where tqdm is installed.
        """
        if batch_size < 1:
            raise InputError(f"batch_size is {batch_size}")
        if errors not in ("raise", "nan"):
            raise InputError(f"errors is {errors!r}; give 'raise' or 'nan'")
        options, names = self.options(r, **more), knobs.wanted(want)
        native = self._network.stream(options, names)
        return through(
            native, images, names, self.preprocess.exif, batch_size, self.config, errors == "raise", progress
        )

    def classify(
        self, images: _images.Images, top: int = 5, r: knobs.R = 0, **more: Unpack[knobs.Knobs]
    ) -> list[list[Class]]:
        """The most probable classes of each image, best first."""
        if self.config.scores is None:
            raise InputError(f"{self.config.name} has no classes; its features can be had: want='features'")
        return self(images, r, "logits", **more).top(top)

    def plan(self, r: knobs.R = 0, batch_size: int = 8, **more: Unpack[knobs.Knobs]) -> Plan:
        """What a batch comes to: tokens from block to block, multiply-adds, and on a GPU the calls of kernels. Print it."""
        options = self.options(r, **more)
        tokens, macs, speedup = self._network.cost(options)
        return Plan(options, batch_size, tuple(tokens), macs, speedup, self._network.calls(options, batch_size))

    def measure(self, r: knobs.R = 0, batch_size: int = 8, **more: Unpack[knobs.Knobs]) -> float:
        """Images a second, of batches whose images are on the device already."""
        return batch_size / self._network.measure(self.options(r, **more), batch_size)

    @overload
    def visualize(
        self,
        image: _images.Picture,
        r: knobs.R = ...,
        *,
        strip: bool = ...,
        array: Literal[True],
        **more: Unpack[knobs.Knobs],
    ) -> NDArray[np.uint8]: ...
    @overload
    def visualize(
        self,
        image: _images.Picture,
        r: knobs.R = ...,
        *,
        strip: bool = ...,
        array: Literal[False] = ...,
        **more: Unpack[knobs.Knobs],
    ) -> PILImage: ...
    def visualize(
        self,
        image: _images.Picture,
        r: knobs.R = 13,
        *,
        strip: bool = False,
        array: bool = False,
        **more: Unpack[knobs.Knobs],
    ) -> PILImage | NDArray[np.uint8]:
        """Paints which patches of a picture merge: each group in its mean colour, with an outline.

        Args:
            image: A picture of any size; of a network that takes any shape it keeps its own.
            strip: The picture and what has merged after each block, side by side.
            array: `[height, width, 3]` in uint8, for which Pillow need not be installed.
        """
        picture = _images.item(image, self.preprocess.exif)
        painted, _ = self._network.paint(picture, self.options(r, **more), strip)
        if array:
            return painted
        try:
            from PIL import Image
        except ImportError as error:
            raise TomeError("Pillow is not installed: `pip install pillow`, or visualize(..., array=True)") from error
        return Image.fromarray(painted)

    def evaluate(
        self,
        images: Sequence[_images.Picture],
        labels: Sequence[int | str | None] | None = None,
        r: Sequence[knobs.R] = (8, 13, 16),
        *,
        want: knobs.Want | None = None,
        batch_size: int = 16,
        speed: bool = True,
        progress: bool = False,
        **more: Unpack[knobs.Knobs],
    ) -> evaluation.Evaluation:
        """What merging costs on pictures of yours: every schedule sees the same ones and is held against none.

        Args:
            images: Pictures of any size. One that cannot be read is left out, and `errors` says why.
            labels: Their classes by number or name, None where one is not known; without them it is what changes.
            r: Schedules to compare.
            want: Which results are compared, `logits`, `features`, `dense`; without it logits where there are classes, and
                features.
            speed: Whether images a second are measured too.
        """
        ways = [self.options(0, **more), *(self.options(one, **more) for one in r)]
        names = knobs.wanted(want) if want is not None else ["features"] + ["logits"] * (self.config.scores is not None)
        exif = self.preprocess.exif
        return evaluation.run(
            self._network, self.config, exif, images, labels, ways, names, batch_size, speed, progress
        )

    def fit(
        self,
        images: _images.Images,
        target: str = "1.6x",
        *,
        want: knobs.Want = (),
        measured: bool = True,
        batch_size: int = 8,
        tries: int = 400,
        seed: int = 0,
        log: str | os.PathLike[str] | None = None,
        progress: bool = False,
        **more: Unpack[knobs.Knobs],
    ) -> fitting.Fit:
        """Finds how much and how each block merges, so that at some speed as little as possible of the results is lost.

        Args:
            images: Pictures like those that the network will see, 64 or more, without labels. A third is held out and decides.
            target: So many times the speed, `1.6x`; milliseconds of a batch, `30ms`; images a second, `500/s`; or the most
                that may be lost, `error:0.01`.
            want: What is to stay as it is: `features`, `dense`, `logits`; without it what the network is for.
            measured: Speed is that of the device; otherwise what multiply-adds promise.
            tries: Ways to merge that are tried at most.
            log: A file by which an interrupted fit goes on.
        """
        pixels, _ = self._load(images, "raise")
        names = knobs.wanted(want) if want else []
        base = self.options(0, **more)
        path = None if log is None else os.fsdecode(log)
        return fitting.run(
            self._network, pixels, base, target, names, measured, batch_size, tries, seed, path, progress
        )

    def __repr__(self) -> str:
        name = "digits" if self._recipe.source is None else self._recipe.source
        if self._opened is None:
            return f"<Model {name}, not loaded yet>"
        config = self.config
        height, width = config.image_size
        size = f"at {height}x{width}" if config.max_patches is None else "at most, of pictures of any shape"
        what = f"{config.classes} classes" if config.classes else "no classes"
        return (
            f"<Model {name}: {config.name}, {config.depth} blocks of {config.channels} channels and {config.heads} heads, "
            f"{config.tokens} tokens {size}, {what}; on {self.device}>"
        )


def _warn(sentences: list[str]) -> None:
    for sentence in sentences:
        warnings.warn(sentence, TomeWarning, stacklevel=4)
