"""What can go wrong. Everything is a `TomeError`; most are also one of Python's own, so that either can be caught."""

from __future__ import annotations


class TomeError(Exception):
    """Any error of tome_wgpu."""


class InputError(TomeError, ValueError):
    """An argument, an array or a schedule that does not fit the network or the call."""


class FileError(TomeError, OSError):
    """A file that cannot be read or written, or whose content is broken; the message begins with its path."""


class HubError(TomeError, OSError):
    """A model that cannot be had from the Hugging Face hub: why, and what to do."""


class ModelError(TomeError, ValueError):
    """Files that do not make a network."""


class ConfigError(ModelError):
    """A model configuration that makes no sense; the message names the field."""


class WeightError(ModelError):
    """A tensor that is missing, surplus, or of the wrong shape or type."""


class UnsupportedError(TomeError, NotImplementedError):
    """What makes sense and is not supported; the message says what is."""


class DeviceError(TomeError, RuntimeError):
    """A device that refuses something or is lost."""


class NoAdapterError(DeviceError):
    """No adapter is what was asked for; the message lists those that there are."""


class OutOfMemoryError(DeviceError, MemoryError):
    """The device, or for the CPU path the system, refused memory."""


class ForkError(TomeError, RuntimeError):
    """The parent of this process had used tome_wgpu before it forked; threads and devices do not survive that."""


class TomeWarning(UserWarning):
    """Something about a network was guessed or stretched; results may not be what its authors meant."""


__all__ = [
    "ConfigError",
    "DeviceError",
    "FileError",
    "ForkError",
    "HubError",
    "InputError",
    "ModelError",
    "NoAdapterError",
    "OutOfMemoryError",
    "TomeError",
    "TomeWarning",
    "UnsupportedError",
    "WeightError",
]
