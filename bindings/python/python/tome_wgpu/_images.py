"""What people have, as what the native part takes: arrays, and pictures in files, bytes or pixels."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, Union

import numpy as np
from numpy.typing import NDArray

from .errors import InputError

if TYPE_CHECKING:
    from PIL.Image import Image as PILImage


class HasArray(Protocol):
    """Whatever NumPy makes an array of: a torch, jax or tensorflow tensor in host memory."""

    def __array__(self) -> NDArray[Any]: ...


Array: TypeAlias = "NDArray[Any] | HasArray"
#: One picture of any size: a path, a file's bytes, a PIL image, or pixels `[H, W]` or `[H, W, 3]` in uint8.
Picture: TypeAlias = Union[str, "os.PathLike[str]", bytes, bytearray, memoryview, "PILImage", "NDArray[np.uint8]"]
#: Images of the network's size, `[B, C, H, W]` normalised floats or `[B, H, W, C]` uint8; or pictures of any size; or of a
#: network that takes pictures of any shape what transformers' processor makes of them.
Images: TypeAlias = Union[Array, Sequence[Picture], Picture, Mapping[str, Any]]
Item: TypeAlias = "str | bytes | NDArray[np.uint8]"


def is_pil(value: object) -> bool:
    """Whether it is a PIL image; Pillow is not imported for that."""
    pil = sys.modules.get("PIL.Image")
    return pil is not None and isinstance(value, pil.Image)


def is_array(value: object) -> bool:
    """Whether it is an array or a tensor, not a picture of PIL's."""
    if isinstance(value, np.ndarray):
        return True
    return (hasattr(value, "__array__") or hasattr(value, "__dlpack__")) and not is_pil(value)


def array(value: Any, name: str = "images") -> NDArray[Any]:
    """An array or a tensor as NumPy's, without a copy where it can be."""
    try:
        if hasattr(value, "__array__") or not hasattr(value, "__dlpack__"):
            return np.asarray(value)
        made: NDArray[Any] = np.from_dlpack(value)
        return made
    except (TypeError, RuntimeError, ValueError, BufferError) as error:
        raise InputError(
            f"`{name}` is no array in host memory ({error}); of a torch tensor give .detach().cpu()"
        ) from error


def floats(value: Any, name: str) -> NDArray[np.float32]:
    """Floats of 32 bits, one after the other."""
    given = array(value, name)
    if given.dtype.kind not in "fui" or given.dtype.itemsize == 0:
        raise InputError(f"`{name}` is of type {given.dtype}; give floats")
    return np.ascontiguousarray(given, dtype=np.float32)


def network_input(value: Any) -> NDArray[np.float32] | NDArray[np.uint8]:
    """Images of the network's size: bytes stay bytes, floats become 32 bits wide."""
    given = array(value)
    if given.dtype == np.uint8:
        return np.ascontiguousarray(given)
    if given.dtype.kind == "f":
        return np.ascontiguousarray(given, dtype=np.float32)
    raise InputError(
        f"images of type {given.dtype}; give normalised floats [B, C, H, W] or pixels [B, H, W, C] in uint8"
    )


#: What transformers' processor makes of pictures of any shape: patches, whether there is one, and rows and columns of them.
PROCESSED = ("pixel_values", "pixel_attention_mask", "spatial_shapes")


def processed(given: Mapping[str, Any]) -> tuple[NDArray[np.float32], NDArray[np.int64], NDArray[np.int64]]:
    """Pictures of any shape as the processor hands them over."""
    missing = [name for name in PROCESSED if name not in given]
    if missing:
        raise InputError(f"there is no {missing[0]!r} among {list(given)}; give {', '.join(PROCESSED)}")
    patches, *integers = PROCESSED
    mask, shapes = (_integers(given[name], name) for name in integers)
    return floats(given[patches], patches), mask, shapes


def _integers(value: Any, name: str) -> NDArray[np.int64]:
    given = array(value, name)
    if given.dtype.kind not in "iub":
        raise InputError(f"`{name}` is of type {given.dtype}; give integers")
    return np.ascontiguousarray(given, dtype=np.int64)


def item(value: Any, exif: bool) -> Item:
    """A picture as the native part takes it; `exif` turns PIL's upright."""
    if isinstance(value, np.bytes_):
        raise InputError(
            "a picture in an array of bytes of one length, which has lost zeros at their ends; give objects"
        )
    if isinstance(value, (str, bytes)):
        return value
    if isinstance(value, os.PathLike):
        return os.fsdecode(value)
    if isinstance(value, (bytearray, memoryview)):
        return bytes(value)
    if is_pil(value):
        return _pixels_of_pil(value, exif)
    if is_array(value):
        pixels = array(value, "picture")
        if pixels.dtype != np.uint8:
            raise InputError(
                f"a picture of type {pixels.dtype}; give uint8 [H, W] or [H, W, 3]. Normalised floats go together, [B, C, H, W]"
            )
        # Alpha is dropped, as it is from files.
        if pixels.ndim == 3 and pixels.shape[2] == 4:
            pixels = pixels[:, :, :3]
        return np.ascontiguousarray(pixels)
    raise InputError(f"a {type(value).__name__} is no picture: give paths, bytes, PIL images or arrays")


def _pixels_of_pil(image: PILImage, exif: bool) -> NDArray[np.uint8]:
    from PIL import ImageOps

    if exif:
        image = ImageOps.exif_transpose(image)
    # Grey stays grey; its alpha is dropped, as that of colours is.
    mode = "L" if image.mode in ("L", "LA") else "RGB"
    return np.ascontiguousarray(image if image.mode == mode else image.convert(mode), dtype=np.uint8)
