"""`ray_embed.py` while it is killed: an actor, processes that write, then all of it; and started again. Linux.

    python ray_kills.py [--pictures 20000] [--rows 500] [--folder FOLDER] [--quiet]

It makes pictures of digits' size, of which one in 100 is broken, and fails unless each has one row in the end, with an error where
it is broken and else with what the network gives in one process. It prints rates and the memory of all processes of a run.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import psutil
import pyarrow.dataset
from PIL import Image

import tome_wgpu

EMBED = Path(__file__).parents[1] / "examples" / "ray_embed.py"
R = 24


def picture(number: int) -> bytes:
    """A picture of noise; three kinds are broken: empty, none at all, cut off."""
    file = io.BytesIO()
    Image.fromarray(np.random.default_rng(number).integers(0, 256, (28, 28), dtype=np.uint8)).save(file, "PNG")
    whole = file.getvalue()
    return {7: b"", 107: b"no picture", 207: whole[: len(whole) // 2]}.get(number % 300, whole)


def workers(driver: psutil.Popen) -> dict[psutil.Process, str]:
    """Ray's processes below a driver, by what they do just now."""
    doing = {}
    for process in driver.children(recursive=True):
        try:
            doing[process] = " ".join(process.cmdline())
        except psutil.Error:
            continue
    return doing


def kill_one(driver: psutil.Popen, what: str) -> str | None:
    """Kills the first process that is seen at it within 20 seconds."""
    end = time.monotonic() + 20
    while time.monotonic() < end and driver.poll() is None:
        for process, name in workers(driver).items():
            if name.startswith("ray::") and what in name:
                process.kill()
                return name
    return None


def memory(driver: psutil.Popen) -> float:
    """MiB of a run's processes: what each has for itself, and the store that they share once."""
    total = 0
    for process in [driver, *workers(driver)]:
        try:
            used = process.memory_info()
            total += used.rss - used.shared
        except psutil.Error:
            continue
    return total / 2**20


def run(pictures: Path, output: Path, count: int, kills: list[tuple[float, str]], rows: int) -> None:
    """One run, in which at shares of the files something is killed."""
    words = [sys.executable, str(EMBED), str(pictures), str(output), "--r", str(R), "--rows-per-file", str(rows)]
    begin, before = time.monotonic(), len(list(output.glob("*.parquet")))
    seen: list[tuple[float, float]] = []
    with open(output.parent / "ray.log", "a") as log:
        driver = psutil.Popen([*words, "--device", "cpu"], stdout=log, stderr=log)
        while driver.poll() is None:
            there = len(list(output.glob("*.parquet"))) * rows / count
            seen.append((there, memory(driver)))
            if kills and there >= kills[0][0]:
                what = kills.pop(0)[1]
                if what == "all":
                    everything = [driver, *workers(driver)]
                    for process in everything:
                        process.kill()
                    psutil.wait_procs(everything, 20)
                    print(f"at {there:.0%} of the files all {len(everything)} processes were killed", flush=True)
                    break
                name = kill_one(driver, what)
                print(f"at {there:.0%} of the files killed: {name.strip() if name else f'no {what} was seen'}", flush=True)
            time.sleep(0.25)
    seconds, now = time.monotonic() - begin, len(list(output.glob("*.parquet")))
    print(f"{now - before} files of {rows} rows in {seconds:.0f} s, ended with {driver.wait()}", flush=True)
    medians = []
    for lower in np.arange(before * rows / count, 1, 0.2):
        if part := [used for there, used in seen if lower <= there < lower + 0.2]:
            medians.append(np.median(part))
            print(f"  memory from {lower:.0%} of the files on: {medians[-1]:.0f} MiB, at most {max(part):.0f}")
    # The first fifth begins with nothing.
    if len(medians) > 2 and medians[-1] > 1.3 * medians[1]:
        raise SystemExit("memory grows")
    if kills:
        raise SystemExit(f"it ended before all was killed; see {output.parent}/ray.log")


def check(pictures: Path, output: Path, count: int) -> None:
    """Every picture is there once, and what it should be; also as other readers see it."""
    table = pyarrow.dataset.dataset(output, format="parquet").to_table().sort_by("path")
    paths = [str(path) for path in sorted(pictures.glob("*.png"))]
    assert table["path"].to_pylist() == paths, f"{table.num_rows} rows are not {count} pictures, each once"
    broken = [number for number in range(count) if number % 300 in (7, 107, 207)]
    assert [row for row, error in enumerate(table["error"].to_pylist()) if error is not None] == broken
    features = table["features"].combine_chunks().flatten().to_numpy().reshape(count, -1)
    assert np.flatnonzero(np.isnan(features).any(1)).tolist() == broken
    sample = [number for number in range(0, count, max(count // 200, 1)) if number not in broken]
    want = tome_wgpu.load(device="cpu")([paths[number] for number in sample], R, "features").features
    # The CPU path's products are cut otherwise in batches of other sizes.
    worst = np.abs(features[sample] - want).max()
    assert worst < 1e-4, worst
    others = {}
    with contextlib.suppress(ImportError):
        import duckdb

        others["DuckDB"] = duckdb.read_parquet(f"{output}/*.parquet").unique("path").shape[0]
    with contextlib.suppress(ImportError):
        import polars

        others["Polars"] = polars.read_parquet(f"{output}/*.parquet")["path"].n_unique()
    assert set(others.values()) <= {count}, others
    print(f"pictures counted: {others}")
    print(f"{count} rows, each picture once, {len(broken)} with an error; {len(sample)} compared, at most {worst:.1e} apart")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", type=int, default=20_000)
    parser.add_argument("--rows", type=int, default=500, help="of a file")
    parser.add_argument("--quiet", action="store_true", help="nothing is killed")
    parser.add_argument("--folder", type=Path, help="where pictures and results stay; else they are removed")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = args.folder or Path(temporary)
        pictures, output = folder / "pictures", folder / "output"
        pictures.mkdir(parents=True)
        output.mkdir()
        for number in range(args.pictures):
            (pictures / f"{number:07}.png").write_bytes(picture(number))
        writes = [(0.3, "Parts.write"), (0.35, "Parts.write"), (0.4, "Parts.write")]
        kills = [] if args.quiet else [(0.15, "MapWorker"), *writes, (0.6, "all")]
        run(pictures, output, args.pictures, kills, args.rows)
        (output / ".left-behind").write_bytes(os.urandom(1000))
        run(pictures, output, args.pictures, [], args.rows)
        check(pictures, output, args.pictures)


if __name__ == "__main__":
    main()
