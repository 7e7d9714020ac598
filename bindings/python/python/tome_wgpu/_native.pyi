"""The native part; what people use is `tome_wgpu` itself."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, final

import numpy as np
from numpy.typing import NDArray
from typing_extensions import Self

__all__ = [
    "Judge",
    "Merger",
    "Network",
    "Options",
    "Probe",
    "Stream",
    "__version__",
    "adapters",
    "architectures",
    "binomial",
    "fit",
    "neighbours",
    "run",
]

__version__: str

_Floats = NDArray[np.float32]
_Bytes = NDArray[np.uint8]
_Indices = NDArray[np.uint32]
_Errors = list[tuple[int, Exception]]
_Item = str | bytes | _Bytes

def run(arguments: Sequence[str]) -> int: ...
def adapters() -> list[dict[str, Any]]: ...
def architectures() -> list[str]:
    """The architectures that are known by name, for weights without a `config.json`."""

def binomial(right: int, of: int) -> tuple[float, float, float]: ...
def neighbours(features: _Floats, labels: Sequence[int]) -> list[int | None]: ...
def fit(
    network: Network,
    images: _Bytes | _Floats,
    base: Options,
    target: str,
    want: Sequence[str],
    measured: bool,
    batch: int,
    tries: int,
    seed: int,
    log: str | None,
    say: Callable[[str, int, int, float | None], None] | None,
) -> tuple[Options, str]: ...

@final
class Options:
    """How much and how tokens merge in one network: `Model.options` makes it, `Model.fit` finds it.

    It can be pickled, compared and saved, and stands wherever `r` is asked for.
    """

    @staticmethod
    def from_json(text: bytes) -> Options:
        """What a file of `tome fit` holds, or `to_json` gave."""
    @staticmethod
    def load(path: str) -> Options:
        """Reads a file that `tome fit` has written, or `to_json`'s text in one."""
    def to_json(self) -> str:
        """Everything as the text of a file that `load` and the command's `--r FILE.json` read."""
    @property
    def r(self) -> list[int]:
        """Tokens merged in each block, before that is held against the tokens there are."""

@final
class Network:
    def __new__(
        cls,
        source: str | None,
        device: str,
        precision: str,
        config: str | None,
        arch: str | None,
        image_size: tuple[int, int] | None,
        changes: Mapping[str, Any],
        say: Callable[[str | None, int, int | None], object] | None,
    ) -> Self: ...
    @property
    def warnings(self) -> list[str]: ...
    def config(self) -> dict[str, Any]: ...
    def preprocess(self) -> dict[str, Any]: ...
    def device(self) -> dict[str, Any]: ...
    def options(self, schedule: str, knobs: Mapping[str, Any]) -> Options: ...
    def adopt(self, options: Options, knobs: Mapping[str, Any]) -> tuple[Options, str | None]: ...
    def run(self, images: _Floats | _Bytes, options: Options, want: Sequence[str]) -> dict[str, Any]: ...
    def load(self, items: Sequence[_Item]) -> tuple[_Bytes | _Floats, _Errors, list[list[int]] | None]: ...
    def pack(
        self, pixel_values: _Floats, pixel_attention_mask: NDArray[np.int64], spatial_shapes: NDArray[np.int64]
    ) -> _Floats: ...
    def normalise(self, pixels: _Bytes) -> _Floats: ...
    def stream(self, options: Options, want: Sequence[str]) -> Stream: ...
    def cost(self, options: Options) -> tuple[list[int], float, float]: ...
    def calls(self, options: Options, batch: int) -> str | None: ...
    def measure(self, options: Options, batch: int) -> float: ...
    def paint(self, picture: _Item, options: Options, strip: bool) -> tuple[_Bytes, list[int]]: ...

@final
class Stream:
    @property
    def pending(self) -> int: ...
    def push(self, items: Sequence[_Item]) -> None: ...
    def pop(self) -> tuple[dict[str, Any], _Errors] | None: ...

@final
class Judge:
    def __new__(cls, network: Network, ways: Sequence[Options], want: Sequence[str]) -> Self: ...
    def push(self, images: _Bytes | _Floats, labels: Sequence[int | None], keep: Sequence[bool]) -> None: ...
    def rows(self) -> list[dict[str, Any]]: ...

@final
class Merger:
    def __new__(cls, device: str) -> Self: ...
    def device(self) -> dict[str, Any]: ...
    def merge(
        self, keys: _Floats, x: _Floats, size: _Floats | None, source: _Indices | None, way: Mapping[str, Any]
    ) -> tuple[_Floats, _Floats, _Indices]: ...
    def unmerge(self, x: _Floats, source: _Indices, residual: _Floats | None) -> _Floats: ...

@final
class Probe:
    def __new__(cls, features: _Floats, labels: Sequence[int]) -> Self: ...
    def best(self, features: _Floats) -> list[int | None]: ...
