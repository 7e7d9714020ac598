"""Any number of pictures."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import tome_wgpu
from conftest import CLUTTER, png


def test_order_is_kept_and_an_error_costs_its_row(device: str, pictures: list[Path], tmp_path: Path) -> None:
    model = tome_wgpu.load(CLUTTER, device)
    want = model(pictures, r=4).logits
    items: list = list(pictures)
    items.insert(3, tmp_path / "missing.png")
    items.insert(9, b"nothing")
    items.insert(12, 5)
    batches = list(model.stream(iter(items), r=4, batch_size=4))
    assert [len(batch) for batch in batches[:-1]] == [4] * (len(batches) - 1)
    errors = {start * 4 + row: error for start, batch in enumerate(batches) for row, error in batch.errors.items()}
    assert sorted(errors) == [3, 9, 12]
    assert isinstance(errors[3], tome_wgpu.FileError) and "picture 9" in str(errors[9]) and "int" in str(errors[12])
    logits = np.concatenate([batch.logits for batch in batches])
    assert np.isnan(logits[[3, 9, 12]]).all()
    # The same network in batches of another size.
    assert np.allclose(np.delete(logits, [3, 9, 12], 0), want, atol=1e-4)


def test_an_iterable_that_fails_gives_what_was_before(clutter: tome_wgpu.Model) -> None:
    def some() -> Iterator[bytes]:
        for seed in range(5):
            yield png(seed=seed)
        raise RuntimeError("the source is gone")

    got = 0
    with pytest.raises(RuntimeError, match="the source is gone"):
        for batch in clutter.stream(some(), batch_size=2):
            got += len(batch)
    assert got == 4


def test_a_strict_stream_raises(clutter: tome_wgpu.Model) -> None:
    with pytest.raises(tome_wgpu.FileError, match="picture 1"):
        list(clutter.stream([png(), b""], errors="raise"))


def test_nothing_gives_nothing_and_arguments_are_looked_at_first(clutter: tome_wgpu.Model) -> None:
    assert list(clutter.stream([])) == []
    for wrong in ({"batch_size": 0}, {"r": -1}, {"errors": "ignore"}, {"want": ""}):
        with pytest.raises(tome_wgpu.InputError):
            clutter.stream([], **wrong)  # type: ignore[arg-type]


def test_a_stream_may_be_left(clutter: tome_wgpu.Model) -> None:
    taken = 0

    def endless() -> Iterator[bytes]:
        nonlocal taken
        while True:
            taken += 1
            yield png()

    stream = clutter.stream(endless(), batch_size=2)
    next(stream)
    next(stream)
    del stream
    # No more than what is on its way has been asked for.
    assert taken <= 2 * 8


def test_progress_is_shown(clutter: tome_wgpu.Model, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("tqdm")
    list(clutter.stream([png()] * 6, batch_size=2, progress=True))
    assert "6/6" in capsys.readouterr().err
