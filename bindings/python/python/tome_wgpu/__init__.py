"""Vision Transformers with Token Merging on any GPU (Vulkan, Metal, DX12), or on the CPU.

    >>> import tome_wgpu
    >>> model = tome_wgpu.load("hf-hub:facebook/dinov2-small")                     # doctest: +SKIP
    >>> model(["cat.jpg", "dog.jpg"], r=13, want="features").features.shape        # doctest: +SKIP
    (2, 384)

Letters are the same everywhere: B images, H and W pixels, N tokens before merging and M after, C channels, `r` tokens
merged in a block.
"""

from __future__ import annotations

from . import errors
from ._native import Options, __version__, architectures
from .config import Adapter, Config, Device, adapters
from .encoder import Encoder, device_from_environment
from .errors import *
from .evaluation import Evaluation, Interval, Row
from .fitting import Fit
from .judging import Judged, Probe, neighbours
from .merging import Match, Merged, match, merge, unmerge
from .model import Model, load
from .outputs import Class, Outputs
from .plan import Plan
from .preprocess import Preprocess

__all__ = [
    "Adapter",
    "Class",
    "Config",
    "Device",
    "Encoder",
    "Evaluation",
    "Fit",
    "Interval",
    "Judged",
    "Match",
    "Merged",
    "Model",
    "Options",
    "Outputs",
    "Plan",
    "Preprocess",
    "Probe",
    "Row",
    "__version__",
    "adapters",
    "architectures",
    "device_from_environment",
    "load",
    "match",
    "merge",
    "neighbours",
    "unmerge",
]
__all__ += errors.__all__
