#!/usr/bin/env python3
"""Times two builds of `tome` by turns: before.py BEFORE AFTER [ROUNDS] -- what `tome bench` is to do.

    git worktree add ../before COMMIT && (cd ../before && cargo build --release) && cargo build --release
    benches/compare/before.py ../before/target/release/tome target/release/tome 16 -- \
        --arch vit_tiny_patch16_224 --batch 1 --r 16 --device cpu

Prints the median of images per second of each and the median of their ratio, pair by pair: machines drift.
"""

import json
import os
import statistics
import subprocess
import sys


def rows(tome, arguments):
    """Images per second by batch and r."""
    # Nothing that an earlier build left on disk.
    environment = dict(os.environ, TOME_CACHE_DIR="")
    command = [tome, "bench", "--json", "--quiet", *arguments]
    output = subprocess.run(command, env=environment, stdout=subprocess.PIPE, check=True).stdout
    return {(row["batch"], row["r"]): row["images_per_s"] for row in json.loads(output)["rows"]}


def main():
    split = sys.argv.index("--") if "--" in sys.argv else len(sys.argv)
    own, arguments = sys.argv[1:split], sys.argv[split + 1 :]
    if len(own) not in (2, 3):
        sys.exit(__doc__)
    builds, rounds = own[:2], int(own[2]) if len(own) == 3 else 8
    timed = []
    for turn in range(rounds):
        # Whoever comes first in one pair comes second in the next.
        order = builds if turn % 2 == 0 else builds[::-1]
        pair = {tome: rows(tome, arguments) for tome in order}
        timed.append([pair[tome] for tome in builds])
    for key in timed[0][0]:
        before, after = ([pair[which][key] for pair in timed] for which in (0, 1))
        ratio = statistics.median(b / a for a, b in zip(before, after))
        medians = f"{statistics.median(before):.2f} -> {statistics.median(after):.2f} images/s"
        print(f"batch {key[0]}, r {key[1]}: {medians}, ratio {ratio:.3f} of {rounds} pairs")


if __name__ == "__main__":
    main()
