"""Networks from a hub of the test's own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

import tome_wgpu
from conftest import DIGITS

COMMIT = "0123456789abcdef0123456789abcdef01234567"
FILES = ("config.json", "model.safetensors")


class Hub(BaseHTTPRequestHandler):
    """The built-in network as `me/digits`; `me/slow` takes minutes for it."""

    def do_GET(self) -> None:
        parts = self.path.strip("/").split("/")
        if parts[0] == "api":
            said = {"sha": COMMIT, "siblings": [{"rfilename": name} for name in FILES]}
            return self.answer(json.dumps(said).encode())
        self.answer((DIGITS / parts[-1]).read_bytes(), slow=parts[1] == "slow" and parts[-1] != "config.json")

    def answer(self, body: bytes, slow: bool = False) -> None:
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        step = 1000 if slow else len(body)
        try:
            for begin in range(0, len(body), step):
                self.wfile.write(body[begin : begin + step])
                time.sleep(0.2 if slow else 0)
        except OSError:
            # Whoever asked has given up.
            self.close_connection = True

    def log_message(self, format: str, *args: object) -> None: ...


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A hub, and the folder that is its cache."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    for name in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "HF_HUB_DISABLE_PROGRESS_BARS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    yield tmp_path
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("off", ["", "variable", "no terminal"])
def test_downloads_draw_bars(off: str, hub: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("tqdm", reason="tqdm is not installed")
    monkeypatch.setattr(sys.stderr, "isatty", lambda: off != "no terminal")
    if off == "variable":
        monkeypatch.setenv("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    model = tome_wgpu.load("hf-hub:me/digits", "cpu")
    said = capfd.readouterr().err
    assert model.config.channels == tome_wgpu.load(device="cpu").config.channels
    assert [name in said for name in FILES] == [not off] * 2, said
    assert off or "100%" in said
    # What is there is not asked for again.
    tome_wgpu.load("hf-hub:me/digits", "cpu")
    assert capfd.readouterr().err == ""


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGINT for one process")
def test_ctrl_c_ends_a_download_and_keeps_what_is_there(hub: Path) -> None:
    # What a shell starts in the background ignores Ctrl-C unless told otherwise.
    words = "import signal, tome_wgpu\nsignal.signal(signal.SIGINT, signal.default_int_handler)\n"
    words += "try:\n    tome_wgpu.load('hf-hub:me/slow', 'cpu')\nexcept KeyboardInterrupt:\n    print('gone')"
    loading = subprocess.Popen([sys.executable, "-c", words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    end = time.monotonic() + 60
    while not any(part.stat().st_size for part in hub.rglob("*model.safetensors.tome-part")):
        assert loading.poll() is None and time.monotonic() < end
        time.sleep(0.05)
    loading.send_signal(signal.SIGINT)
    said, wrong = loading.communicate(timeout=30)
    assert said == "gone\n", wrong
    assert any(part.stat().st_size for part in hub.rglob("*model.safetensors.tome-part"))


def test_an_exception_of_who_hears_comes_out(hub: Path) -> None:
    def say(name: str | None, there: int, total: int | None) -> None:
        raise ZeroDivisionError(name)

    changes = dict.fromkeys(tome_wgpu.preprocess.Changes.__annotations__)
    with pytest.raises(ZeroDivisionError, match="config.json"):
        tome_wgpu._native.Network("hf-hub:me/digits", "cpu", "f32", None, None, None, changes, say)
