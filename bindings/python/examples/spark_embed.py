"""Embeds a folder of pictures by Spark's `mapInPandas`. Started again it does what is missing.

    spark-submit spark_embed.py photos out --model hf-hub:facebook/dinov2-small --r 13

Executors write the files themselves, each whole and under a name made of its pictures: what Spark tries again, or twice at once,
replaces them. Spark gives a task its card by `spark.task.resource.gpu.amount`, which `take_card` hands on.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pandas as pd
import pyarrow as pa
from parts import PICTURES, Parts, encoded, encoder_of_process, inputs, missing
from pyspark import TaskContext
from pyspark.sql import SparkSession

import tome_wgpu


def take_card() -> None:
    """The card that Spark gives this task, before anything asks for a device."""
    task = TaskContext.get()
    if task is not None and "gpu" in task.resources():
        os.environ["CUDA_VISIBLE_DEVICES"] = task.resources()["gpu"].addresses[0]


def embedding(
    parts: Parts, model: str | None, r: str, batch_size: int
) -> Callable[[Iterator[pd.DataFrame]], Iterator[pd.DataFrame]]:
    def embed(frames: Iterator[pd.DataFrame]) -> Iterator[pd.DataFrame]:
        take_card()
        encoder = encoder_of_process(model, r)
        for frame in frames:
            if len(frame):
                yield pd.DataFrame(parts.write(encoded(encoder, frame["path"].tolist(), batch_size)))

    return embed


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("input")
    parser.add_argument("output")
    parser.add_argument("--model", help="without it the built-in network for digits")
    parser.add_argument("--r", default="0")
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--rows-per-file", type=int, default=4096)
    args = parser.parse_args()

    parts = Parts.of(args.output, tome_wgpu.Encoder(args.model, args.r))
    done = parts.done()
    paths = missing(pa.array(inputs(args.input, PICTURES), pa.string()), done).to_pylist()
    spark = SparkSession.builder.appName("embed").getOrCreate()
    spark.sparkContext.addPyFile(str(Path(__file__).with_name("parts.py")))
    spark.conf.set("spark.sql.execution.arrow.maxRecordsPerBatch", args.rows_per_file)
    # As many partitions as files.
    rows = spark.sparkContext.parallelize([(path,) for path in paths], -(-len(paths) // args.rows_per_file) or 1)
    embed = embedding(parts, args.model, args.r, args.batch_size)
    counts = spark.createDataFrame(rows, "path string").mapInPandas(embed, "rows long, unreadable long").collect()
    total = parts.checked(len(done) + len(paths))
    unreadable = sum(count["unreadable"] for count in counts)
    print(f"{args.output}: {total} rows; {len(paths)} of this run, {unreadable} of them without a result, see `error`")


if __name__ == "__main__":
    main()
