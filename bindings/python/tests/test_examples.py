"""The examples for many pictures, small. Each is skipped where its engine is not installed."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
import pytest

import tome_wgpu
from conftest import png

EXAMPLES = Path(__file__).parents[1] / "examples"
KILLS = Path(__file__).parents[1] / "benches" / "ray_kills.py"
COUNT = 40
#: Of these pictures two cannot be read.
BROKEN = (3, 30)
#: The modules that each example needs.
ENGINES = {
    "multiprocessing": ("pyarrow",),
    "ray": ("pyarrow", "ray.data"),
    "daft": ("pyarrow", "daft"),
    "spark": ("pyarrow", "pandas", "pyspark"),
}


def needed(engine: str) -> None:
    for module in ENGINES[engine]:
        pytest.importorskip(module, reason=f"{module} is not installed")
    if engine == "spark" and not (shutil.which("java") or "JAVA_HOME" in os.environ):
        pytest.skip("Spark needs Java, which is not installed")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of pictures of several sizes."""
    folder = tmp_path / "pictures"
    (folder / "below").mkdir(parents=True)
    for number in range(COUNT):
        name = f"below/{number:02}.png" if number % 2 else f"{number:02}.png"
        (folder / name).write_bytes(b"no picture" if number in BROKEN else png((28 + number % 3, 28), number))
    return folder


def run(engine: str, source: Path | str, output: Path | str, *more: str) -> str:
    """Runs an example, and gives what it says in the end."""
    words = [sys.executable, str(EXAMPLES / f"{engine}_embed.py"), str(source), str(output), "--r", "20", *more]
    # Python for Spark's workers; Ray's sockets have short names only; many processes share few cores here.
    environment = os.environ | {"PYSPARK_PYTHON": sys.executable, "RAY_TMPDIR": tempfile.gettempdir()}
    environment |= {"RAYON_NUM_THREADS": "2", "CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run(words, env=environment, capture_output=True, text=True, timeout=400)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout.splitlines()[-1]


def table(output: Path) -> tuple[list[str], list[str | None], np.ndarray]:
    """Paths, errors and features, in the order of the paths."""
    dataset = pytest.importorskip("pyarrow.dataset")
    rows = dataset.dataset(output, format="parquet").to_table().sort_by("path")
    features = rows["features"].combine_chunks().flatten().to_numpy().reshape(len(rows), -1)
    return rows["path"].to_pylist(), rows["error"].to_pylist(), features


def is_right(output: Path, folder: Path, name: str = "{}") -> None:
    """Every picture has one row, with an error where it is broken and else what the network gives."""

    def called(path: Path) -> str:
        relative = path.relative_to(folder).as_posix()
        return name.format(path, relative, quote(relative))

    pictures = sorted(folder.rglob("*.png"), key=called)
    paths, errors, features = table(output)
    assert paths == [called(path) for path in pictures]
    broken = [int(path.stem[:2]) in BROKEN for path in pictures]
    assert [error is not None for error in errors] == broken
    assert np.isnan(features).all(1).tolist() == broken
    whole = [path for path, bad in zip(pictures, broken, strict=True) if not bad]
    want = tome_wgpu.load(device="cpu")(whole, 20, "features").features
    # Rows of a product are summed alike in batches of any size, but not on every machine's kernels.
    np.testing.assert_allclose(features[~np.array(broken)], want, atol=1e-4)


@pytest.mark.parametrize("engine", ENGINES)
def test_an_engine_embeds_a_folder(engine: str, folder: Path, tmp_path: Path) -> None:
    needed(engine)
    output = tmp_path / "output"
    more = ("--rows-per-file", "16", "--batch-size", "8")
    assert "40 of this run, 2 of them without" in run(engine, folder, output, *more)
    is_right(output, folder)
    # On a half-written output it does what is missing; what a killed process left behind is none.
    written = sorted(output.glob("*.parquet"))
    lost = len(table(written[0])[0])
    (output / ".half").write_bytes(written[0].read_bytes()[:100])
    written[0].unlink()
    before = {path: path.stat().st_mtime_ns for path in written[1:]}
    assert f"{lost} of this run" in run(engine, folder, output, *more)
    assert before.items() <= {path: path.stat().st_mtime_ns for path in output.glob("*.parquet")}.items()
    is_right(output, folder)


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """An S3 of this process, which all that is started knows, as pyarrow's file system."""
    server = pytest.importorskip("moto.server", reason="moto is not installed").ThreadedMotoServer("127.0.0.1", 0)
    server.start()
    address = "http://{}:{}".format(*server.get_host_and_port())
    monkeypatch.setenv("AWS_ENDPOINT_URL", address)
    for name, value in {"ACCESS_KEY_ID": "key", "SECRET_ACCESS_KEY": "secret", "DEFAULT_REGION": "us-east-1"}.items():
        monkeypatch.setenv(f"AWS_{name}", value)
    yield pytest.importorskip("pyarrow.fs").S3FileSystem(endpoint_override=address, allow_bucket_creation=True)
    server.stop()


@pytest.mark.parametrize("engine", ENGINES)
def test_an_engine_embeds_a_bucket(engine: str, folder: Path, tmp_path: Path, s3: Any) -> None:
    needed(engine)
    # Buckets outlive their server.
    s3.create_dir(engine)
    # A name that an address has otherwise.
    (folder / "02.png").rename(folder / "02 #[a].png")
    for path in folder.rglob("*.png"):
        with s3.open_output_stream(f"{engine}/photos/{path.relative_to(folder).as_posix()}") as file:
            file.write(path.read_bytes())
    photos, output = f"s3://{engine}/photos", f"s3://{engine}/output"
    assert "40 of this run, 2 of them without" in run(engine, photos, output, "--batch-size", "8")
    assert "0 of this run" in run(engine, photos, output)
    (tmp_path / "output").mkdir()
    pytest.importorskip("pyarrow.fs").copy_files(f"{engine}/output", str(tmp_path / "output"), source_filesystem=s3)
    is_right(tmp_path / "output", folder, photos + "/{2}")


def test_ray_uses_two_nodes(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    needed("ray")
    cluster = pytest.importorskip("ray.cluster_utils").Cluster(initialize_head=True, head_node_args={"num_cpus": 2})
    try:
        cluster.add_node(num_cpus=2)
        monkeypatch.setenv("RAY_ADDRESS", cluster.address)
        # A node has room for one actor.
        more = ("--actors", "2", "--cpus-per-actor", "1.5", "--rows-per-file", "8", "--batch-size", "8")
        assert "40 of this run, 2 of them without" in run("ray", folder, tmp_path / "output", *more)
    finally:
        cluster.shutdown()
    is_right(tmp_path / "output", folder)


def test_lancedb_reads_a_folder(folder: Path, tmp_path: Path) -> None:
    needed("multiprocessing")
    lancedb = pytest.importorskip("lancedb", reason="lancedb is not installed")
    run("multiprocessing", folder, tmp_path / "output")
    rows = pytest.importorskip("pyarrow.dataset").dataset(tmp_path / "output", format="parquet").to_table()
    rows = rows.filter(rows["error"].is_null())
    there = lancedb.connect(str(tmp_path / "lance")).create_table("pictures", rows)
    assert there.count_rows() == COUNT - len(BROKEN)
    nearest = there.search(rows["features"][7].as_py(), vector_column_name="features").limit(1).to_arrow()
    assert nearest["path"].to_pylist() == [rows["path"][7].as_py()]


def test_results_of_another_run_are_not_mixed(folder: Path, tmp_path: Path) -> None:
    needed("multiprocessing")
    output = tmp_path / "output"
    run("multiprocessing", folder, output)
    with pytest.raises(AssertionError, match="of another run: r is 3 now and was 20"):
        run("multiprocessing", folder, output, "--r", "3")


def test_ray_reads_tars(folder: Path, tmp_path: Path) -> None:
    needed("ray")
    tars, output = tmp_path / "tars", tmp_path / "output"
    tars.mkdir()
    pictures = sorted(folder.rglob("*.png"))
    for number in range(2):
        with tarfile.open(tars / f"{number}.tar", "w") as tar:
            for path in pictures[number::2]:
                tar.add(path, path.relative_to(folder))
                tar.add(__file__, path.with_suffix(".txt").relative_to(folder))
    assert "40 of this run, 2 of them without" in run("ray", tars, output, "--source", "tars", "--batch-size", "8")
    paths, errors, _ = table(output)
    assert paths == sorted(f"{tars}/{n % 2}.tar#{path.relative_to(folder)}" for n, path in enumerate(pictures))
    assert len([error for error in errors if error]) == 2
    # A tar that is cut off: its whole pictures, and a row that says so; what is there is not done again.
    whole = (tars / "0.tar").read_bytes()
    for number, cut in ((2, len(whole) // 2), (3, len(whole) // 2 + 700)):
        (tars / f"{number}.tar").write_bytes(whole[: cut // 512 * 512 + number])
    (tars / "4.tar").write_bytes(b"no tar")
    run("ray", tars, output, "--source", "tars", "--batch-size", "8")
    more, errors, _ = table(output)
    assert set(paths) < set(more) and len(more) > 41
    assert all(errors[more.index(f"{tars}/{number}.tar")] for number in (2, 3, 4))


def test_ray_reads_parquet(folder: Path, tmp_path: Path) -> None:
    needed("ray")
    import pyarrow as pa
    import pyarrow.parquet as pq

    tables, output = tmp_path / "tables", tmp_path / "output"
    tables.mkdir()
    pictures = sorted(folder.rglob("*.png"))
    contents = {"name": [str(path) for path in pictures], "bytes": [path.read_bytes() for path in pictures]}
    pq.write_table(pa.table(contents), tables / "pictures.parquet")
    source = ("--source", "parquet", "--key", "name", "--column", "bytes", "--batch-size", "8")
    assert "40 of this run, 2 of them without" in run("ray", tables, output, *source)
    is_right(output, folder)
    assert "0 of this run" in run("ray", tables, output, *source)
    is_right(output, folder)


def test_a_killed_process_of_a_pool_is_an_error(folder: Path, tmp_path: Path) -> None:
    needed("multiprocessing")
    output = tmp_path / "output"
    words = [sys.executable, str(EXAMPLES / "multiprocessing_embed.py"), str(folder), str(output)]
    pool = subprocess.Popen([*words, "--rows-per-file", "1", "--r", "20"], stderr=subprocess.PIPE, text=True)
    children = Path(f"/proc/{pool.pid}/task/{pool.pid}/children")
    if not children.exists():
        pool.kill()
        pytest.skip("processes are not listed on this system")
    end = time.monotonic() + 120
    while pool.poll() is None and not list(output.glob("*.parquet")) and time.monotonic() < end:
        time.sleep(0.01)
    for child in children.read_text().split():
        if b"spawn_main" in Path(f"/proc/{child}/cmdline").read_bytes():
            os.kill(int(child), signal.SIGKILL)
    _, said = pool.communicate(timeout=120)
    assert pool.returncode != 0 and "BrokenProcessPool" in said
    run("multiprocessing", folder, output)
    is_right(output, folder)


@pytest.mark.skipif(os.name == "nt", reason="a shell script")
def test_slurm_does_each_share(folder: Path, tmp_path: Path) -> None:
    pytest.importorskip("pyarrow", reason="pyarrow is not installed")
    # That of the wheel, or one that the caller names.
    command = os.environ.get("TOME") or shutil.which("tome", path=str(Path(sys.executable).parent))
    assert command
    output = tmp_path / "output"
    for path in folder.rglob("*.png"):
        if int(path.stem) in BROKEN:
            path.unlink()
    model = str(Path(__file__).parents[3] / "models" / "digits")
    words = [shutil.which("bash") or "bash", str(EXAMPLES / "slurm.sh"), str(folder), str(output), model, "20"]
    for share in (1, 2, 3, 2):
        environment = os.environ | {"SLURM_ARRAY_TASK_ID": str(share), "SLURM_ARRAY_TASK_COUNT": "3", "TOME": command}
        done = subprocess.run(words, env=environment, capture_output=True, text=True, timeout=120)
        if "built without Parquet" in done.stderr:
            pytest.skip("the wheel's command has no Parquet")
        assert done.returncode == 0, done.stderr
    assert len(list(output.glob("*.parquet"))) == 3
    is_right(output, folder)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="it looks for processes as Linux lists them")
def test_ray_is_killed(tmp_path: Path) -> None:
    """3000 pictures: an actor, processes that write, all of it, and started again."""
    needed("ray")
    pytest.importorskip("psutil", reason="psutil is not installed")
    words = [sys.executable, str(KILLS), "--pictures", "3000", "--rows", "100", "--folder", str(tmp_path)]
    environment = os.environ | {"RAY_TMPDIR": tempfile.gettempdir(), "RAYON_NUM_THREADS": "2"}
    done = subprocess.run(words, env=environment, capture_output=True, text=True, timeout=500)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "3000 rows, each picture once" in done.stdout
