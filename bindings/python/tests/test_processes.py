"""Threads, forks, pickles and interruptions."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import signal
import subprocess
import sys
import textwrap
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

import tome_wgpu
from conftest import CLUTTER


def test_a_pickle_is_a_recipe(clutter: tome_wgpu.Model, pictures: list[Path]) -> None:
    pickled = pickle.dumps(clutter)
    assert len(pickled) < 1000
    again = pickle.loads(pickled)
    assert "not loaded yet" in repr(again)
    assert np.array_equal(again(pictures[:1], 3).logits, clutter(pictures[:1], 3).logits)
    assert again.config == clutter.config


def test_threads_share_a_model(device: str, pictures: list[Path]) -> None:
    model = tome_wgpu.load(CLUTTER, device)
    schedules = [0, 2, 4, 6] * 3
    want = [model(pictures[:3], r).logits for r in schedules]
    with ThreadPoolExecutor(6) as pool:
        got = list(pool.map(lambda r: model(pictures[:3], r).logits, schedules))
    assert all(map(np.array_equal, got, want))


def test_others_run_while_a_network_does(clutter: tome_wgpu.Model) -> None:
    images = np.zeros((64, 64, 64, 3), np.uint8)
    ticks = 0
    done = threading.Event()

    def tick() -> None:
        nonlocal ticks
        while not done.is_set():
            ticks += 1
            time.sleep(0.001)

    thread = threading.Thread(target=tick)
    thread.start()
    try:
        for _ in range(3):
            before = ticks
            clutter(images)
            assert ticks > before
    finally:
        done.set()
        thread.join()


def _in_a_child(queue: multiprocessing.Queue, model: tome_wgpu.Model, path: Path) -> None:
    try:
        queue.put(model([path], 3).logits)
    except BaseException as error:
        queue.put(error)


@pytest.mark.parametrize("way", ["spawn", "forkserver"])
def test_a_child_that_is_spawned_loads_anew(clutter: tome_wgpu.Model, pictures: list[Path], way: str) -> None:
    if way not in multiprocessing.get_all_start_methods():
        pytest.skip(f"no {way} on this system")
    context = multiprocessing.get_context(way)
    queue = context.Queue()
    child = context.Process(target=_in_a_child, args=(queue, clutter, pictures[0]))
    child.start()
    got = queue.get(timeout=120)
    child.join(60)
    assert np.array_equal(got, clutter(pictures[:1], 3).logits) and child.exitcode == 0


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_fork_is_a_clear_error(device: str, pictures: list[Path]) -> None:
    model = tome_wgpu.load(CLUTTER, device)
    model(pictures[:1])
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    child = context.Process(target=_in_a_child, args=(queue, model, pictures[0]))
    child.start()
    error = queue.get(timeout=60)
    child.join(60)
    assert isinstance(error, tome_wgpu.ForkError) and "spawn" in str(error)
    # It ends by itself, though it has the parent's model.
    assert child.exitcode == 0


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_a_fork_before_the_first_use_is_none(tmp_path: Path, pictures: list[Path]) -> None:
    code = f"""
        import os, tome_wgpu
        encoder = tome_wgpu.Encoder({str(CLUTTER)!r}, device="cpu")
        child = os.fork()
        out = encoder({{"image": [{str(pictures[0])!r}]}})["features"]
        assert out.shape[0] == 1
        if child:
            assert os.waitpid(child, 0)[1] == 0
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(code)], check=True, timeout=120)


@pytest.mark.skipif(os.name == "nt", reason="signals are not sent like that")
@pytest.mark.parametrize(
    "work",
    [
        "model(np.zeros((100_000, 64, 64, 3), np.uint8))",
        "list(model.stream(itertools.repeat(np.zeros((64, 64, 3), np.uint8))))",
        "model.fit(np.random.default_rng(0).integers(0, 256, (96, 64, 64, 3), dtype=np.uint8), measured=False)",
    ],
)
def test_an_interruption_is_heard(work: str) -> None:
    code = f"""
        import itertools, signal, numpy as np, tome_wgpu
        # Where tests run in the background it is ignored, and so it is in what they start.
        signal.signal(signal.SIGINT, signal.default_int_handler)
        model = tome_wgpu.load({str(CLUTTER)!r}, "cpu")
        print("ready", flush=True)
        try:
            {work}
        except KeyboardInterrupt:
            # It goes on working.
            print(model(np.zeros((1, 64, 64, 3), np.uint8)).logits.shape, flush=True)
    """
    child = subprocess.Popen([sys.executable, "-c", textwrap.dedent(code)], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    assert child.stdout.readline() == "ready\n"
    time.sleep(1)
    child.send_signal(signal.SIGINT)
    # On two busy cores a part of a call takes a few seconds.
    out, _ = child.communicate(timeout=60)
    assert out == "(1, 24)\n" and child.returncode == 0
