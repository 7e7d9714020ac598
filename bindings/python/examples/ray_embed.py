"""Embeds many pictures by Ray Data: files, Parquet or webdataset tars in, Parquet out. Started again it does what is missing.

    python ray_embed.py photos out --model hf-hub:facebook/dinov2-small --r 13 --actors 2 --gpus-per-actor 0.5
    python ray_embed.py s3://bucket/tars s3://bucket/out --source tars ...

On a cluster run it by `ray job submit --working-dir examples -- python ray_embed.py ...`, with folders that all machines see.
Two actors a GPU: the one decodes while the other computes.
"""

from __future__ import annotations

import argparse
import tarfile
from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute
import ray
from parts import PICTURES, Parts, inputs, missing, opened, read

import tome_wgpu

#: Rows that are handed on at once by what reads.
CHUNK = 64


def read_files(batch: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Files' bytes, a few at a time; why there are none is in `unread`."""
    for begin in range(0, len(batch["path"]), CHUNK):
        rows = [(path, *read(path)) for path in batch["path"][begin : begin + CHUNK]]
        yield columns(rows)


class Member(tarfile.TarInfo):
    """A member of a tar; where a tar does not end as tars do it says so, and not as `tarfile` that this is the end."""

    @classmethod
    def fromtarfile(cls, tar: tarfile.TarFile) -> Member:
        try:
            return super().fromtarfile(tar)
        except tarfile.EOFHeaderError:
            raise
        except tarfile.HeaderError as error:
            raise tarfile.ReadError(f"broken or cut off at byte {tar.offset}: {error}") from error


def read_tars(batch: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The pictures of webdataset tars, `TAR#MEMBER`; a tar that is broken from some place on has a row that says so."""
    rows: list[tuple[str, bytes | None, str | None]] = []
    for path in batch["path"]:
        try:
            system, inner = opened(path)
            with system.open_input_stream(inner) as file, tarfile.open(fileobj=file, mode="r|*", tarinfo=Member) as tar:
                for member in tar:
                    if member.isfile() and member.name.lower().endswith(PICTURES):
                        content = tar.extractfile(member)
                        rows.append((f"{path}#{member.name}", content.read() if content else None, None))
                    if len(rows) >= CHUNK:
                        yield columns(rows)
                        rows = []
        except (OSError, EOFError, tarfile.TarError) as error:
            rows.append((path, None, f"{type(error).__name__}: {error}"))
    if rows:
        yield columns(rows)


def columns(rows: list[tuple[str, bytes | None, str | None]]) -> dict[str, Any]:
    path, image, unread = zip(*rows, strict=True)
    return {"path": np.array(path, object), "image": np.array(image, object), "unread": np.array(unread, object)}


def source(args: argparse.Namespace, done: pa.Array) -> ray.data.Dataset:
    """What is missing: `path`, `image`, `unread`."""

    def only_missing(table: pa.Table) -> pa.Table:
        return table.filter(pa.compute.invert(pa.compute.is_in(table["path"], ray.get(finished))))

    if args.source == "parquet":
        finished = ray.put(done)
        pictures = ray.data.read_parquet(inputs(args.input, (".parquet",)), columns=[args.key, args.column])
        pictures = pictures.rename_columns({args.key: "path", args.column: "image"})
        return pictures.map_batches(only_missing, batch_size=None, batch_format="pyarrow")
    if args.source == "tars":
        finished = ray.put(done)
        tars = blocks(pa.array(inputs(args.input, (".tar", ".tar.gz", ".tgz")), pa.string()), 1)
        pictures = tars.map_batches(read_tars, batch_size=1, num_cpus=0.5)
        return pictures.map_batches(only_missing, batch_size=None, batch_format="pyarrow", num_cpus=0.5)
    paths = missing(pa.array(inputs(args.input, PICTURES), pa.string()), done)
    return blocks(paths, args.rows_per_file).map_batches(read_files, batch_size=None, num_cpus=0.5)


def blocks(paths: pa.Array, rows: int) -> ray.data.Dataset:
    table = pa.table({"path": paths})
    return ray.data.from_arrow([table.slice(begin, rows) for begin in range(0, max(len(table), 1), rows)])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("input", help="a folder, here or s3://, gs://")
    parser.add_argument("output", help="a folder for Parquet files")
    parser.add_argument("--source", choices=["files", "parquet", "tars"], default="files")
    parser.add_argument("--key", default="path", help="Parquet: the column that names a picture")
    parser.add_argument("--column", default="image", help="Parquet: the column of files' bytes")
    parser.add_argument("--model", help="what tome_wgpu.load takes; without it the built-in network for digits")
    parser.add_argument("--r", default="0", help="tokens merged in each block: 13, 16:-1, a fitted file")
    parser.add_argument("--want", default="features")
    parser.add_argument("--precision", choices=["f32", "f16"], default="f32")
    parser.add_argument("--device", default="environment", help="environment: the card that Ray gives the actor")
    parser.add_argument("--actors", type=int, default=2)
    parser.add_argument("--gpus-per-actor", type=float, default=0.0)
    parser.add_argument("--cpus-per-actor", type=float, default=0.5)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--rows-per-file", type=int, default=4096, help="files: rows of a Parquet file, about")
    args = parser.parse_args()

    encoder = {"model": args.model, "r": args.r, "want": args.want, "device": args.device, "precision": args.precision}
    parts = Parts.of(args.output, tome_wgpu.Encoder(**encoder))
    done = parts.done()
    ray.init(log_to_driver=False)
    encoded = source(args, done).map_batches(
        tome_wgpu.Encoder,
        fn_constructor_kwargs=encoder,
        batch_size=args.batch_size,
        compute=ray.data.ActorPoolStrategy(size=args.actors),
        num_gpus=args.gpus_per_actor,
        num_cpus=args.cpus_per_actor,
    )
    written = encoded.map_batches(parts.write, batch_size=None, num_cpus=0.5)
    rows = unreadable = 0
    for counts in written.iter_batches(batch_size=None):
        rows, unreadable = rows + int(counts["rows"].sum()), unreadable + int(counts["unreadable"].sum())
    total = parts.checked(len(done) + rows)
    print(f"{args.output}: {total} rows, each once; {rows} of this run, {unreadable} of them without a result, see `error`")


if __name__ == "__main__":
    main()
