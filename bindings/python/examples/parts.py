"""Results as Parquet files in one folder, each of which appears whole or not at all; what the examples share.

A row has `path`, `error`, and a list of a fixed size for each result. Where a picture could not be read the list is NaN, or
4294967295 in indices, and not null: Arrow's C++, and with it pyarrow, writes null lists of a fixed size and cannot read them.
"""

from __future__ import annotations

import functools
import hashlib
import os
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import numpy as np
import pyarrow as pa
import pyarrow.fs
import pyarrow.parquet as pq

import tome_wgpu

SUFFIX = ".parquet"
PICTURES = (".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff")


def opened(uri: str) -> tuple[pa.fs.FileSystem, str]:
    """A file system, and a path in it: `s3://bucket/folder`, `gs://...`, or a path here."""
    system, path = pa.fs.FileSystem.from_uri(uri if "://" in uri else os.path.abspath(uri))
    return system, path


def files(uri: str, suffixes: tuple[str, ...]) -> list[str]:
    """The files below a folder that end so, in the order of their names, as `opened` takes them."""
    system, root = opened(uri)
    scheme = uri.split("://")[0] + "://" if "://" in uri and not uri.startswith("file:") else ""
    found = system.get_file_info(pa.fs.FileSelector(root, recursive=True))
    # Keys may have blanks and signs that an address has otherwise.
    name = (lambda path: scheme + quote(path)) if scheme else str
    return sorted(name(info.path) for info in found if info.is_file and info.path.lower().endswith(suffixes))


def inputs(uri: str, suffixes: tuple[str, ...]) -> list[str]:
    """As `files`; none at all is an error."""
    try:
        if found := files(uri, suffixes):
            return found
    except OSError as error:
        raise SystemExit(str(error)) from error
    raise SystemExit(f"{uri}: has no file that ends in {', '.join(suffixes)}")


@dataclass(frozen=True)
class Parts:
    """A folder of results; `about` goes into the metadata of each file: two runs that say the same write the same."""

    folder: str
    about: dict[str, str]

    @classmethod
    def of(cls, folder: str, encoder: tome_wgpu.Encoder) -> Parts:
        """For what an encoder gives."""
        more = {name: str(value) for name, value in sorted(encoder.more.items())}
        about = {"model": str(encoder.model or "built-in digits"), "r": str(encoder.r), "precision": encoder.precision}
        about |= {"options": str(more), "preprocess": str(encoder.load_options), "want": ",".join(encoder.want)}
        return cls(folder, about | {"by": f"tome_wgpu {tome_wgpu.__version__}"})

    def write(self, batch: Mapping[str, Any]) -> dict[str, list[int]]:
        """Writes a file of a batch's rows; gives how many, and how many of them could not be read.

        Its name is made of its paths, so that an engine that tries again replaces it.
        """
        paths = [str(path) for path in batch["path"]]
        if not paths:
            return {"rows": [0], "unreadable": [0]}
        errors = [first_of(batch, ("unread", "error"), row) for row in range(len(paths))]
        columns: dict[str, pa.Array] = {"path": pa.array(paths, pa.string()), "error": pa.array(errors, pa.string())}
        fields = [pa.field("path", pa.string(), nullable=False), pa.field("error", pa.string())]
        for name in self.about["want"].split(","):
            values = np.ascontiguousarray(batch[name]).reshape(len(paths), -1)
            item = pa.field("item", pa.from_numpy_dtype(values.dtype), nullable=False)
            kind = pa.list_(item, values.shape[1])
            columns[name] = pa.FixedSizeListArray.from_arrays(values.ravel(), type=kind)
            # Rows of several dimensions are flat, which not every reader would take otherwise.
            fields.append(pa.field(name, kind, nullable=False, metadata={"shape": str(list(np.shape(batch[name])[1:]))}))
        unreadable = len(errors) - errors.count(None)
        schema = pa.schema(fields, self.about | {"unreadable": str(unreadable)})
        self._put(hashlib.sha256("\0".join(paths).encode()).hexdigest()[:32], pa.table(columns, schema))
        return {"rows": [len(paths)], "unreadable": [unreadable]}

    def _put(self, name: str, table: pa.Table) -> None:
        system, folder = opened(self.folder)
        system.create_dir(folder)
        # Others may write the same at once; what was killed leaves its temporary file, which nobody takes for a result.
        beside, target = f"{folder}/.{name}.{os.urandom(4).hex()}", f"{folder}/{name}{SUFFIX}"
        with system.open_output_stream(beside) as out:
            pq.write_table(table, out, compression="none", use_dictionary=False)
        system.move(beside, target)

    def paths(self) -> Iterator[pa.Array]:
        """The paths of each file that is there. One of another run is an error."""
        system, folder = opened(self.folder)
        if system.get_file_info(folder).type == pa.fs.FileType.NotFound:
            return
        for name in files(self.folder, (SUFFIX,)):
            system, path = opened(name)
            with system.open_input_file(path) as file:
                table = pq.ParquetFile(file)
                found = {key.decode(): value.decode() for key, value in (table.schema_arrow.metadata or {}).items()}
                for key, now in self.about.items():
                    if found.get(key) != now:
                        raise SystemExit(f"{name}: is of another run: {key} is {now} now and was {found.get(key)}")
                yield table.read(["path"]).column("path").combine_chunks()

    def done(self) -> pa.Array:
        """The paths that need not be encoded again, by which a run goes on."""
        return pa.concat_arrays([pa.array([], pa.string()), *self.paths()])

    def checked(self, expected: int | None = None) -> int:
        """How many rows there are. A path that is there twice is an error, and so are missing ones."""
        paths = self.done()
        if (twice := len(paths) - len(paths.unique())) or (expected is not None and len(paths) != expected):
            raise SystemExit(f"{self.folder}: {len(paths)} rows of {expected}, {twice} of them twice")
        return len(paths)


def first_of(batch: Mapping[str, Any], columns: tuple[str, ...], row: int) -> str | None:
    """The text in the first of these columns that has one; engines write what is none as None or NaN."""
    texts = (batch[column][row] for column in columns if column in batch)
    return next((str(text) for text in texts if isinstance(text, str)), None)


@functools.cache
def encoder_of_process(model: str | None, r: str) -> tome_wgpu.Encoder:
    """One network a process, for engines that keep processes and not objects."""
    return tome_wgpu.Encoder(model, r)


def read(path: str) -> tuple[bytes | None, str | None]:
    """A file's bytes, or why there are none; a place that cannot be reached ends the run, which goes on when started again."""
    try:
        system, inner = opened(path)
        with system.open_input_stream(inner) as file:
            return file.read(), None
    except (FileNotFoundError, PermissionError) as error:
        return None, str(error)


def pictures(paths: Sequence[str]) -> dict[str, Any]:
    """A batch for an encoder, which reads files of this machine itself; those of other places are read here."""
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda path: read(path) if "://" in path else (path, None), paths))
    columns = {"path": paths, "image": [image for image, _ in found], "unread": [error for _, error in found]}
    return {name: np.fromiter(column, object, len(paths)) for name, column in columns.items()}


def encoded(encoder: tome_wgpu.Encoder, paths: Sequence[str], size: int) -> dict[str, Any]:
    """A batch for `Parts.write`, `size` pictures at once."""
    batches = [encoder(pictures(paths[begin : begin + size])) for begin in range(0, len(paths), size)]
    return {name: np.concatenate([batch[name] for batch in batches]) for name in batches[0]}


def missing(paths: pa.Array, done: pa.Array) -> pa.Array:
    """Those of the paths that are not done, each once."""
    return paths.filter(pa.compute.invert(pa.compute.is_in(paths, done))).unique()
