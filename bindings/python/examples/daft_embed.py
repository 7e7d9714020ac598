"""Embeds a folder of pictures by Daft, on one machine or on Ray. Started again it does what is missing.

    python daft_embed.py photos out --model hf-hub:facebook/dinov2-small --r 13 --gpus 1

Daft's workers read and encode; this process writes what comes, a few megabytes a second.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import Any

import daft
import pyarrow as pa
from daft import DataType
from parts import PICTURES, Parts, first_of, inputs, missing, pictures

import tome_wgpu


def encoder_of(model: str | None, r: str, width: int, args: argparse.Namespace) -> Any:
    """The class as Daft takes it, with the number of values that a picture gives."""
    result = DataType.struct({"features": DataType.fixed_size_list(DataType.float32(), width), "error": DataType.string()})

    @daft.cls(gpus=args.gpus, max_concurrency=args.workers)
    class Embed:
        def __init__(self, model: str | None, r: str) -> None:
            self.encoder = tome_wgpu.Encoder(model, r)

        @daft.method.batch(return_dtype=result, unnest=True, batch_size=args.batch_size)
        def embed(self, paths: daft.Series) -> pa.Array:
            encoded = self.encoder(pictures(paths.to_pylist()))
            features = pa.FixedSizeListArray.from_arrays(pa.array(encoded["features"].ravel()), width)
            errors = [first_of(encoded, ("unread", "error"), row) for row in range(len(paths))]
            return pa.StructArray.from_arrays([features, pa.array(errors, pa.string())], ["features", "error"])

    return Embed(model, r)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("input")
    parser.add_argument("output")
    parser.add_argument("--model", help="without it the built-in network for digits")
    parser.add_argument("--r", default="0")
    parser.add_argument("--gpus", type=float, default=0.0, help="for each worker")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--rows-per-file", type=int, default=4096)
    args = parser.parse_args()

    # Daft's workers are to find `parts` as well.
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(Path(__file__).parent), os.environ.get("PYTHONPATH")]))
    parts = Parts.of(args.output, tome_wgpu.Encoder(args.model, args.r))
    done = parts.done()
    paths = missing(pa.array(inputs(args.input, PICTURES), pa.string()), done)
    width = tome_wgpu.load(args.model, "cpu").config.channels
    embed = encoder_of(args.model, args.r, width, args)
    missed = daft.from_arrow(pa.table({"path": paths}))
    waiting: list[pa.RecordBatch] = []
    unreadable = 0

    def write() -> None:
        nonlocal unreadable
        table = pa.Table.from_batches(waiting)
        values = table["features"].combine_chunks().flatten().to_numpy().reshape(len(table), width)
        batch = {"path": table["path"].to_pylist(), "error": table["error"].to_pylist(), "features": values}
        unreadable += parts.write(batch)["unreadable"][0]
        waiting.clear()

    for batch in missed.select(daft.col("path"), embed.embed(daft.col("path"))).to_arrow_iter():
        waiting.append(batch)
        if sum(len(batch) for batch in waiting) >= args.rows_per_file:
            write()
    if waiting:
        write()
    total = parts.checked(len(done) + len(paths))
    print(f"{args.output}: {total} rows; {len(paths)} of this run, {unreadable} of them without a result, see `error`")


if __name__ == "__main__":
    main()
