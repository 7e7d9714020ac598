"""What merging costs, and what is found to cost less."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import tome_wgpu
from conftest import CLUTTER


def test_figures_are_the_commands(clutter: tome_wgpu.Model, tmp_path: Path) -> None:
    folder = CLUTTER / "heldout"
    paths = sorted(folder.glob("[A-C]/*.png"))
    labels = [path.parent.name for path in paths]
    got = clutter.evaluate(paths, labels, [6], speed=False, batch_size=32)
    for path in paths:
        (tmp_path / path.parent.name).mkdir(exist_ok=True)
        (tmp_path / path.parent.name / path.name).write_bytes(path.read_bytes())
    command = [
        sys.executable,
        "-m",
        "tome_wgpu",
        "eval",
        "--model",
        CLUTTER,
        "--images",
        tmp_path,
        "--labels",
        "folder-names",
    ]
    command += ["--r", "6", "--device", "cpu", "--json"]
    report = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    assert len(got.rows) == len(report["rows"]) == 2 and got.count == len(paths)
    figures = ("top1", "top5", "top1_change", "top5_change", "agreement", "divergence", "features")
    for own, other in zip(got.rows, report["rows"]):
        assert own.promised_speedup == pytest.approx(other["promised_speedup"])
        for name in figures:
            want = [other[name][key] for key in ("estimate", "low", "high")]
            assert getattr(own, name) == pytest.approx(want, rel=1e-6, abs=1e-9), name
    assert got.rows[1].top1_change is not None and got.rows[1].features is not None and got.rows[1].dense is None
    assert got.rows[0].features is not None and got.rows[0].features.estimate == 0
    assert f"{len(paths)} pictures" in str(got)


def test_without_labels_it_is_what_changes(clutter: tome_wgpu.Model, pictures: list[Path]) -> None:
    got = clutter.evaluate([*pictures[:6], b"nothing"], r=[4], want="features,dense", batch_size=4)
    assert list(got.errors) == [6] and got.count == 6
    row = got.rows[1]
    assert row.top1 is None and row.dense is not None and row.images_per_second
    with pytest.raises(tome_wgpu.InputError, match="none of them"):
        clutter.evaluate(pictures[:1], ["no such class"])
    with pytest.raises(tome_wgpu.InputError, match="24 classes"):
        clutter.evaluate(pictures[:1], [24])


def test_a_fit_is_found_kept_and_used(clutter: tome_wgpu.Model, tmp_path: Path) -> None:
    pixels = clutter.preprocess(sorted(CLUTTER.glob("heldout/*/*.png"))[::20][:12])
    fit = clutter.fit(pixels, "1.3x", measured=False, tries=6)
    assert sum(fit.options.r) > 0 and "r = " in str(fit)
    assert len(fit.report["rows"]) > 3
    file = tmp_path / "fitted.json"
    fit.save(file)
    assert np.array_equal(clutter(pixels[:2], file).logits, clutter(pixels[:2], fit.options).logits)
    assert clutter.plan(file).promised_speedup >= 1.25
    assert [path.name for path in tmp_path.iterdir()] == ["fitted.json"]
    for wrong in ("fast", "0x"):
        with pytest.raises(tome_wgpu.InputError):
            clutter.fit(pixels, wrong)
    with pytest.raises(tome_wgpu.InputError, match="a fit needs"):
        clutter.fit(pixels[:2])


def test_features_are_judged() -> None:
    random = np.random.default_rng(0)
    labels = np.array(["cat", "dog", "cow"])[random.integers(0, 3, 120)]
    features = random.normal(size=(120, 8)).astype(np.float32)
    for number, label in enumerate(("cat", "dog", "cow")):
        features[labels == label, number] += 6
    assert tome_wgpu.neighbours(features, labels).share.estimate > 0.95
    probe = tome_wgpu.Probe(features, labels)
    judged = probe.judge(features)
    assert judged.share.low > 0.9 and judged.right.shape == (120,)
    features[5] = np.nan
    assert not probe.judge(features).right[5] and not tome_wgpu.neighbours(features, labels).right[5]
    for wrong in (features[:5], features[:, :4]):
        with pytest.raises(tome_wgpu.InputError):
            probe.judge(wrong)
    with pytest.raises(tome_wgpu.InputError):
        tome_wgpu.neighbours(features, labels[:3])
