"""Ours and the peers on this machine in one go: README.md says who they are and what is measured.

    python3 benches/compare/compare.py            a few minutes to an hour, by network and machine
    python3 benches/compare/compare.py --quick    the small network alone, two rounds
"""
import argparse
import atexit
import contextlib
import datetime
import importlib.util
import json
import math
import os
import platform
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy
import torch

import merging

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
# Largest difference of logits over the largest logit that still counts as agreeing: a hundred times what rounding in
# f32 makes of them, and far below what one other decision of the merging would make.
AGREE = 1e-3
# A round is at least this long for each engine, in seconds; short passes are repeated.
ROUND = 0.2


class Runner:
    """A process that runs one pass from images to logits for every line it reads."""

    def __init__(self, engine, r, command, files, env):
        self.engine, self.r, self.files = engine, r, files
        self.log = open(files / f"{engine}-r{r}.log", "w")
        self.logits = files / f"{engine}-r{r}.f32"
        command = [str(self.logits) if part == "LOGITS" else str(part) for part in command]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.log, text=True, env=env
        )
        ready = self.answer()
        self.device, self.load = ready["device"], ready["load"]
        self.first = self.second = None
        self.rounds = []
        atexit.register(self.process.send_signal, signal.SIGCONT)
        self.process.send_signal(signal.SIGSTOP)

    @contextlib.contextmanager
    def turn(self):
        """Runs only within it: threads of engines that wait for work would take some from the others."""
        self.process.send_signal(signal.SIGCONT)
        yield
        self.process.send_signal(signal.SIGSTOP)

    def answer(self):
        for line in self.process.stdout:
            if line.startswith("{"):
                return json.loads(line)
        sys.exit(f"{self.engine} (r = {self.r}) has ended; its messages:\n{Path(self.log.name).read_text()[-2000:]}")

    def run(self):
        try:
            self.process.stdin.write("\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            pass
        return self.answer()["seconds"]

    def warm_up(self):
        with self.turn():
            self.first, self.second = self.run(), self.run()
            self.passes = max(1, math.ceil(ROUND / self.run()))

    def round(self):
        with self.turn():
            self.rounds.append(statistics.median(self.run() for _ in range(self.passes)))

    def close(self):
        self.process.send_signal(signal.SIGCONT)
        self.process.stdin.close()
        self.process.wait()
        self.log.close()


def ours_path(given):
    """Our runner, built if no path is given."""
    if given:
        return given
    built = subprocess.run(
        ["cargo", "bench", "--no-run", "--bench", "compare", "--message-format", "json"],
        cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True,
    )
    messages = [json.loads(line) for line in built.stdout.splitlines() if line.startswith("{")]
    return [m["executable"] for m in messages if m.get("executable") and m["target"]["name"] == "compare"][-1]


def engines(args):
    """Name to a function from (network, folder, images, batch, side, heads, r) to a command; without what is missing."""
    ours = ours_path(args.ours)
    found = {}
    for device in args.devices:
        found[f"ours-{device}"] = lambda n, folder, images, batch, side, heads, r, device=device: [
            ours, folder, images, "LOGITS", batch, r, device,
        ]
    burn = HERE / "burn/target/release/compare-burn"
    for attention in ("fused", "plain"):
        found[f"burn-{attention}"] = lambda n, folder, images, batch, side, heads, r, attention=attention: (
            None if r else [burn, folder / "model.safetensors", images, "LOGITS", batch, side, heads, attention]
        )
    for kind in ("torch", "torch+dnn", "onnx"):
        found[kind] = lambda n, folder, images, batch, side, heads, r, kind=kind: [
            sys.executable, HERE / "runner.py", kind, n, folder, images, "LOGITS", batch, r, args.threads,
        ]
    missing = {}
    if not burn.exists():
        why = "it is not built: cargo build --release in benches/compare/burn"
        missing |= {"burn-fused": why, "burn-plain": why}
    for module in ("onnxruntime", "onnxscript"):
        if importlib.util.find_spec(module) is None:
            missing["onnx"] = f"pip install {module}"
    for name, why in missing.items():
        if found.pop(name, None):
            print(f"SKIP {name}: {why}", flush=True)
    if args.engines:
        found = {name: make for name, make in found.items() if name in args.engines}
    return found


def measure(args, found, network, batch, files, env):
    folder = files / network
    if not folder.exists():
        merging.write(network, folder)
    model = merging.read(network, folder)
    side, heads = model.patch_embed.img_size[0], model.blocks[0].attn.num_heads
    images = files / f"{network}-{batch}.f32"
    with torch.inference_mode():
        merging.steady_images(model, batch, side, args.r).numpy().tofile(images)
    runners = []
    for r in args.r:
        for name, make in found.items():
            command = make(network, folder, images, batch, side, heads, r)
            if command:
                runners.append(Runner(name, r, command, files, env))
    # The first passes one after the other: each has the machine to itself.
    for runner in runners:
        runner.warm_up()
        print(f"  {runner.engine:14} r {runner.r:<3} first pass {runner.first:.2f} s, second {runner.second:.3f} s", flush=True)
    apart = agreement(runners)
    for _ in range(args.rounds):
        for runner in runners:
            runner.round()
    for runner in runners:
        runner.close()
    return [
        {
            "network": network, "batch": batch, "engine": runner.engine, "r": runner.r, "device": runner.device,
            "load": runner.load, "first": runner.first, "second": runner.second, "rounds": runner.rounds,
            "seconds": statistics.median(runner.rounds), "apart": apart[runner.engine, runner.r],
        }
        for runner in runners
    ]


def agreement(runners):
    """How far each is from a reference with the same r, over the largest logit; ends where that is too far."""
    apart = {}
    for r in {runner.r for runner in runners}:
        same = [runner for runner in runners if runner.r == r]
        reference = next((runner for runner in same if runner.engine == "torch"), same[0])
        want = numpy.fromfile(reference.logits, numpy.float32)
        for runner in same:
            got = numpy.fromfile(runner.logits, numpy.float32)
            differs = got.shape != want.shape or not numpy.isfinite(got).all()
            apart[runner.engine, r] = math.inf if differs else float(abs(got - want).max() / abs(want).max())
            if apart[runner.engine, r] > AGREE:
                sys.exit(
                    f"{runner.engine} (r = {r}): logits are {apart[runner.engine, r]:.2g} of the largest from those of "
                    f"{reference.engine}; nothing is timed that computes something else"
                )
    return apart


def ratios(rows):
    """(ours, peer, [peer's seconds over ours in each round]): on a GPU driver against burn, on the CPU against the rest;
    against a peer with the same r and, with merging, also against the peer without."""
    pairs = []
    for ours in (row for row in rows if row["engine"].startswith("ours-")):
        for peer in rows:
            on_cpu = ours["engine"] == "ours-cpu"
            rival = peer["engine"] in ("torch", "torch+dnn", "onnx") if on_cpu else peer["engine"].startswith("burn")
            if rival and peer["r"] in (0, ours["r"]):
                pairs.append((ours, peer, [p / o for p, o in zip(peer["rounds"], ours["rounds"])]))
    return pairs


def spread(values, form):
    return f"{statistics.median(values):{form}} ({min(values):{form}} to {max(values):{form}})"


def markdown(report):
    about = report["about"]
    lines = [f"# Measured {about['date']}", ""]
    lines += [f"- {key}: {value}" for key, value in about.items() if key != "date"]
    groups = {}
    for row in report["rows"]:
        groups.setdefault((row["network"], row["batch"]), []).append(row)
    for (network, batch), rows in groups.items():
        lines += ["", f"## {network}, batch {batch}", ""]
        lines += ["| engine | r | ms a batch | images/s | first pass over second, s | logits apart |", "|---|---|---|---|---|---|"]
        for row in rows:
            milliseconds = spread([1e3 * s for s in row["rounds"]], ".1f")
            lines.append(
                f"| {row['engine']} | {row['r']} | {milliseconds} | {batch / row['seconds']:.1f} "
                f"| {row['first'] - row['second']:.2f} | {row['apart']:.1e} |"
            )
        lines += ["", "| ours | against | times as fast | best round against best round |", "|---|---|---|---|"]
        for ours, peer, times in ratios(rows):
            best = min(peer["rounds"]) / min(ours["rounds"])
            lines.append(
                f"| {ours['engine']}, r = {ours['r']} | {peer['engine']}, r = {peer['r']} | {spread(times, '.2f')} | {best:.2f} |"
            )
        devices = {row["engine"]: row["device"] for row in rows}
        lines += [""] + [f"- {engine} runs on {device}" for engine, device in devices.items()]
    return "\n".join(lines) + "\n"


def about(args, load):
    with open("/proc/cpuinfo") as cpuinfo:
        processor = next(line.split(":")[1].strip() for line in cpuinfo if line.startswith("model name"))
    lock = (HERE / "burn/Cargo.lock").read_text()
    burn = lock.split('name = "burn"\nversion = "')[1].split('"')[0]
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    return {
        "date": datetime.date.today().isoformat(),
        "commit": commit.stdout.strip(),
        "processor": f"{processor}, {args.threads} threads for every engine",
        "system": platform.platform(),
        "burn": burn,
        "rounds": f"{args.rounds}, the engines in turns; medians with the range over the rounds",
        "load average": f"{load:.1f} at the start, {os.getloadavg()[0]:.1f} at the end",
        "note": args.note,
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--networks", nargs="+", default=["vit_small_96", "vit_tiny_patch16_224"])
    parser.add_argument("--batches", nargs="+", type=int, default=[1, 8])
    parser.add_argument("--r", nargs="+", type=int, default=[0, 16])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)), help="and as many cores")
    parser.add_argument("--devices", nargs="+", default=["cpu", "llvmpipe"], help="of ours: cpu, parts of adapters' names")
    parser.add_argument("--engines", nargs="+", help="only these")
    parser.add_argument("--ours", help="our runner, built before")
    parser.add_argument("--note", default="", help="what the reader must know, such as that the machine was shared")
    parser.add_argument("--out", type=Path, help="a path without suffix; benches/results/compare-DATE if not given")
    parser.add_argument("--quick", action="store_true", help="the small network alone, batch 2, two rounds; writes nothing")
    args = parser.parse_args()
    if args.quick:
        args.networks, args.batches, args.rounds = ["vit_small_96"], [2], 2
    found = engines(args)

    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: args.threads])
    threads = dict.fromkeys(["OMP_NUM_THREADS", "RAYON_NUM_THREADS", "LP_NUM_THREADS"], str(args.threads))
    env = os.environ | threads | {"NODEVICE_SELECT": "1"}
    load = os.getloadavg()[0]
    rows = []
    files = Path(tempfile.mkdtemp(prefix="compare-"))
    for network in args.networks:
        for batch in args.batches:
            print(f"{network}, batch {batch}", flush=True)
            rows += measure(args, found, network, batch, files, env)
            report = {"about": about(args, load), "rows": rows}
            if not args.quick:
                out = args.out or ROOT / f"benches/results/compare-{report['about']['date']}"
                out.parent.mkdir(parents=True, exist_ok=True)
                out.with_name(out.name + ".json").write_text(json.dumps(report, indent=1) + "\n")
                out.with_name(out.name + ".md").write_text(markdown(report))
    shutil.rmtree(files)
    print(markdown(report))


if __name__ == "__main__":
    main()
