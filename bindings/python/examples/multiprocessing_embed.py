"""Embeds a folder of pictures by processes of one machine, one a card. Started again it does what is missing.

    python multiprocessing_embed.py photos out --model hf-hub:facebook/dinov2-small --r 13 --cards 0,1

Should a process be killed the run ends with an error, and what is written stays.
"""

from __future__ import annotations

import argparse
import multiprocessing
import multiprocessing.queues
import os
from concurrent.futures import ProcessPoolExecutor, as_completed

import pyarrow as pa
from parts import PICTURES, Parts, encoded, inputs, missing

import tome_wgpu

#: Of a process.
encoder: tome_wgpu.Encoder


def start(given: tome_wgpu.Encoder, cards: multiprocessing.queues.Queue[str]) -> None:
    """Takes a card, before anything asks for a device."""
    global encoder
    if card := cards.get():
        os.environ["CUDA_VISIBLE_DEVICES"] = card
    encoder = given


def embed(parts: Parts, paths: list[str], batch_size: int) -> int:
    return parts.write(encoded(encoder, paths, batch_size))["unreadable"][0]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("input")
    parser.add_argument("output")
    parser.add_argument("--model", help="without it the built-in network for digits")
    parser.add_argument("--r", default="0")
    parser.add_argument("--cards", help="NVIDIA's cards, such as 0,1; without it one process on what `auto` finds")
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--rows-per-file", type=int, default=4096)
    args = parser.parse_args()

    given = tome_wgpu.Encoder(args.model, args.r)
    parts = Parts.of(args.output, given)
    done = parts.done()
    paths = missing(pa.array(inputs(args.input, PICTURES), pa.string()), done).to_pylist()
    cards = args.cards.split(",") if args.cards else [""]
    # Processes that are forked would have neither the threads nor the device of their parent.
    context = multiprocessing.get_context("spawn")
    queue = context.Queue()
    for card in cards:
        queue.put(card)
    unreadable = 0
    with ProcessPoolExecutor(len(cards), context, start, (given, queue)) as pool:
        chunks = [paths[begin : begin + args.rows_per_file] for begin in range(0, len(paths), args.rows_per_file)]
        running = [pool.submit(embed, parts, chunk, args.batch_size) for chunk in chunks]
        for finished in as_completed(running):
            unreadable += finished.result()
    total = parts.checked(len(done) + len(paths))
    print(f"{args.output}: {total} rows; {len(paths)} of this run, {unreadable} of them without a result, see `error`")


if __name__ == "__main__":
    main()
