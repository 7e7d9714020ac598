"""Ours against PyTorch on one NVIDIA GPU. Needs nothing but the built `tome`, the Vulkan loader, PyTorch and timm.

    python3 benches/compare/gpu.py --tome PATH                      all of it
    python3 benches/compare/gpu.py --tome PATH --archs vit_base_patch16_224 --batches 1 64
    python3 benches/compare/gpu.py --tome PATH --smoke              tiny settings on the CPU: does the script work?

What has been measured is written after every cell and not measured again by a later run with the same --out, so a run
may be cut off (--budget ends it in good time).
"""
import argparse
import copy
import datetime
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

import merging

ROOT = Path(__file__).resolve().parent.parent.parent
# Largest difference of logits over the largest logit against PyTorch in f32 on the CPU, without merging: rounding in
# f32 comes to 1e-5 and in f16, with sums in f32, to 1e-2. With merging f16 may decide otherwise where two tokens are
# nearly alike, so there the difference is reported and not judged.
AGREE = {"f32": 1e-3, "f16": 2e-2}
# Seconds that an engine of PyTorch is timed for in each round, and its fewest passes.
SPAN, FEWEST = 0.4, 5


class Network:
    """Random weights in `folder`, and the same in PyTorch: once for each device and type."""

    def __init__(self, name, folder):
        self.name, self.folder = name, folder
        self.on_cpu = merging.write(name, folder)
        self.side = self.on_cpu.patch_embed.img_size[0]
        self.copies = {}

    def outside(self, *names):
        """Paths of files that are no part of the network, which `tome` does not write over."""
        beside = self.folder.with_name(self.folder.name + "-files")
        beside.mkdir(exist_ok=True)
        return [beside / f"{name}.safetensors" for name in names]

    def on(self, device, dtype):
        if (device, dtype) not in self.copies:
            self.copies[device, dtype] = copy.deepcopy(self.on_cpu).to(device, dtype)
        return self.copies[device, dtype]


class Torch:
    """One way to run a network in PyTorch."""

    def __init__(self, network, device, r, fused, compiled, dtype):
        model = network.on(device, dtype)
        # The network as timm has it where nothing merges, so that nothing of ours stands in its way.
        model = merging.Merging(model, r, fused) if r else model
        self.run = torch.compile(model, dynamic=False) if compiled else model
        self.device, self.dtype = device, dtype

    @torch.inference_mode()
    def logits(self, images):
        return self.run(images.to(self.device, self.dtype)).float().cpu()

    @torch.inference_mode()
    def rounds(self, images, span):
        """Seconds of single passes over images that are on the device, from an idle device to an idle device: what
        `tome bench` times too."""
        wait = torch.cuda.synchronize if self.device.startswith("cuda") else lambda: None
        seconds, begin = [], time.perf_counter()
        while len(seconds) < FEWEST or time.perf_counter() - begin < span:
            wait()
            start = time.perf_counter()
            self.run(images)
            wait()
            seconds.append(time.perf_counter() - start)
        return seconds


def torch_engines(args):
    """Name to (r, fused, compiled, dtype): eager and compiled, with merging fused and unfused attention, all in f16
    where the device is a GPU; eager f32 beside it for scale."""
    half = torch.float32 if args.device == "cpu" else torch.float16
    name = "f32" if half == torch.float32 else "f16"
    engines = {}
    for r in args.r:
        if r:
            engines[f"torch merging, fused, {name}", r] = (r, True, False, half)
            engines[f"torch merging, unfused, {name}", r] = (r, False, False, half)
        else:
            engines[f"torch eager, {name}", r] = (r, True, False, half)
        if r in args.compile:
            engines[f"torch.compile, {name}", r] = (r, True, True, half)
    if args.device != "cpu" and 0 in args.r:
        engines["torch eager, f32", 0] = (0, True, False, torch.float32)
    return engines


def tome(args, *rest, cache=None):
    """Runs the command; what it keeps on disk is in `cache`, where that is given."""
    command = [args.tome, *map(str, rest), "--device", args.tome_device]
    env = os.environ | ({"TOME_CACHE_DIR": str(cache)} if cache else {})
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}: {done.stderr.strip()[-500:]}")
    return done.stdout


def precision(args, name):
    """The flag, where the binary has it; f32 needs none."""
    return ["--precision", name] if args.has_precision else []


def agreement(args, network, report):
    """Logits of two images from every engine against PyTorch in f32 on the CPU; ends where plain ones are too far."""
    images = merging.images(2, network.side)
    source, out = network.outside("images", "out")
    save_file({"images": images}, source)
    for r in args.r:
        want = Torch(network, "cpu", r, True, False, torch.float32).logits(images)
        found = {}
        for name in args.precisions:
            tome(args, "infer", "--model", network.folder, "--input", source, "--output", out, "--want", "logits",
                 "--batch", 2, "--r", r, *precision(args, name))
            found[f"tome, {name}"] = load_file(out)["logits"]
        for (engine, of), how in torch_engines(args).items():
            if of == r and not how[2]:
                found[engine] = Torch(network, args.device, *how).logits(images)
        for engine, got in found.items():
            apart = ((got - want).abs().max() / want.abs().max()).item()
            same = (got.argmax(1) == want.argmax(1)).tolist()
            report["agreement"].append({"network": network.name, "r": r, "engine": engine, "apart": apart, "top1": same})
            far = not apart <= AGREE["f16" if engine.endswith("f16") else "f32"]
            print(f"  r = {r}, {engine}: {apart:.1e} of the largest logit apart" + (" (!)" if far else ""), flush=True)
            if far and r == 0:
                sys.exit(f"{engine}: nothing is timed that computes something else")


def starts(args, network, report):
    """From the start of the process to the first logits, written: with nothing kept on disk, and with what that run
    has kept; the least of three."""
    source, out = network.outside("images", "out")
    save_file({"images": merging.images(1, network.side)}, source)
    for name in args.precisions:
        with tempfile.TemporaryDirectory() as cache:
            seconds = []
            for _ in range(4):
                start = time.perf_counter()
                tome(args, "infer", "--model", network.folder, "--input", source, "--output", out, "--want", "logits",
                     "--r", 13, *precision(args, name), cache=cache)
                seconds.append(time.perf_counter() - start)
        cold, warm = seconds[0], min(seconds[1:])
        report["starts"].append({"network": network.name, "engine": f"tome, {name}", "cold": cold, "warm": warm})
        print(f"  tome, {name}: {cold:.2f} s to the first logits, then {warm:.2f} s", flush=True)


def profiles(args, network, report):
    """Each kernel's part of the largest common batch and of one image, without merging and with."""
    for name in args.precisions:
        for batch in sorted({min(args.batches), min(64, max(args.batches))}):
            try:
                text = tome(args, "bench", "--model", network.folder, "--batch", batch, "--r", "0,13", "--profile",
                            "--json", *precision(args, name))
            except RuntimeError as error:
                report["failed"].append({"network": network.name, "batch": batch, "engine": f"profile, {name}", "r": 0,
                                         "why": str(error)})
                continue
            report["profiles"] += [{"network": network.name} | profile for profile in json.loads(text)["profiles"]]


def also(args, report):
    """What built benches print, each once."""
    for path in args.benches:
        name = re.sub("-[0-9a-f]{16}$", "", Path(path).name)
        if name in report["benches"]:
            continue
        print(f"{name}...", flush=True)
        done = subprocess.run([path], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        failed = f"ended with {done.returncode}: {done.stderr.strip()[-500:]}" if done.returncode else ""
        report["benches"][name] = (done.stdout + failed).strip()


def measure(args, network, batch, report, out, deadline):
    """Every engine in turns, `rounds` times; nothing is reported of a batch that the budget does not reach."""
    cell = {"network": network.name, "batch": batch}
    have = {(row["engine"], row["r"]) for row in report["rows"] if cell.items() <= row.items()}
    todo = {key: how for key, how in torch_engines(args).items() if key not in have}
    ours = [name for name in args.precisions if any((f"tome, {name}", r) not in have for r in args.r)]
    images = merging.images(batch, network.side).to(args.device)
    ready, failed, mine = {}, {}, {}
    # Compiled code of other batches would count towards the limit of what is kept.
    torch._dynamo.reset()
    for key, how in todo.items():
        if time.monotonic() > deadline:
            return
        try:
            start = time.perf_counter()
            engine = Torch(network, args.device, *how)
            engine.rounds(images.to(engine.dtype), 0)
            ready[key] = (engine, time.perf_counter() - start, [])
        except RuntimeError as error:
            failed[key] = str(error).strip().splitlines()[0][:200]
    for _ in range(args.rounds):
        for name in ours:
            if time.monotonic() > deadline:
                return
            if args.device != "cpu":
                torch.cuda.empty_cache()
            try:
                text = tome(args, "bench", "--model", network.folder, "--batch", batch,
                            "--r", ",".join(map(str, args.r)), "--json", *precision(args, name))
                for row in json.loads(text)["rows"]:
                    mine.setdefault((f"tome, {name}", row["r"]), []).append(row)
            except RuntimeError as error:
                failed[f"tome, {name}", args.r[0]] = str(error)
        for engine, _, seconds in ready.values():
            seconds.append(statistics.median(engine.rounds(images.to(engine.dtype), args.span)))

    def add(key, **values):
        if key not in have:
            report["rows"].append({**cell, "engine": key[0], "r": key[1], **values})
            row = report["rows"][-1]
            print(f"  batch {batch}, r = {key[1]}, {key[0]}: {batch / row['seconds']:.0f} images/s", flush=True)

    for key, rows in mine.items():
        rounds = [batch / row["images_per_s"] for row in rows]
        add(key, rounds=rounds, seconds=statistics.median(rounds), device=rows[0]["device"],
            stored=rows[0]["precision"], tuning=rows[0]["tuning"], why=rows[0]["why"], merge_share=rows[-1]["merge_share"], promised=rows[0]["promised_speedup"])
    for key, (engine, first, rounds) in ready.items():
        add(key, rounds=rounds, seconds=statistics.median(rounds), first=first)
    for key, why in failed.items():
        report["failed"].append({**cell, "engine": key[0], "r": key[1], "why": why})
        print(f"  {key[0]}, r = {key[1]} failed: {why}", flush=True)
    save(report, out)


def save(report, out):
    out.parent.mkdir(parents=True, exist_ok=True)
    out.with_name(out.name + ".json").write_text(json.dumps(report, indent=1) + "\n")
    out.with_name(out.name + ".md").write_text(markdown(report))


def markdown(report):
    lines = [f"# Measured {report['about']['date']} on {report['about']['device']}", ""]
    lines += [f"- {key}: {value}" for key, value in report["about"].items() if key not in ("date", "device")]
    rows = report["rows"]
    for network in dict.fromkeys(row["network"] for row in rows):
        for batch in dict.fromkeys(row["batch"] for row in rows if row["network"] == network):
            here = [row for row in rows if (row["network"], row["batch"]) == (network, batch)]
            lines += ["", f"## {network}, batch {batch}", ""]
            lines += ["| r | engine | images/s | range | speed-up over r = 0 | promised | matching + merging | tome f16 is so many times as fast |"]
            lines += ["|---|---|---|---|---|---|---|---|"]
            for row in sorted(here, key=lambda row: (row["r"], row["engine"])):
                rates = [batch / s for s in row["rounds"]]
                plain = seconds(here, re.sub("merging, (un)?fused", "eager", row["engine"]), 0)
                best = seconds(here, "tome, f16", row["r"])
                share = row.get("merge_share")
                lines.append(
                    f"| {row['r']} | {row['engine']} | {batch / row['seconds']:.1f} | {min(rates):.1f} to {max(rates):.1f} "
                    f"| {over(plain, row['seconds'])} | {over(row.get('promised'), 1)} "
                    f"| {'' if share is None else f'{100 * share:.1f} %'} "
                    f"| {'' if row['engine'].startswith('tome') else over(row['seconds'], best)} |"
                )
    if report["starts"]:
        lines += ["", "## From process start to first logits", "", "| network | engine | nothing on disk, s | pipelines on disk, s |"]
        lines += ["|---|---|---|---|"]
    for row in report["starts"]:
        lines.append(f"| {row['network']} | {row['engine']} | {row['cold']:.2f} | {row['warm']:.2f} |")
    for profile in report["profiles"]:
        lines += ["", f"## {profile['network']}, batch {profile['batch']}, r = {profile['r']}, {profile['precision']}: kernels", ""]
        flops, copied = profile["best_flops"], profile["best_bytes"]
        lines += [f"Roofs of the same run: {flops * 1e-12:.2f} TFLOP/s in a product, {copied * 1e-9:.0f} GB/s in a copy.", ""]
        lines += ["| kernel | calls | ms | share | TFLOP/s | GB/s | of the roof |", "|---|---|---|---|---|---|---|"]
        total = sum(kernel["seconds"] for kernel in profile["kernels"])
        for kernel in profile["kernels"]:
            spent = kernel["seconds"] or float("nan")
            of_roof = max(kernel["flops"] / spent / flops, kernel["bytes"] / spent / copied)
            lines.append(
                f"| {kernel['kernel']} | {kernel['calls']} | {1e3 * spent:.3f} | {100 * spent / total:.1f} % "
                f"| {kernel['flops'] / spent * 1e-12:.2f} | {kernel['bytes'] / spent * 1e-9:.0f} | {100 * of_roof:.0f} % |"
            )
    for name, text in report["benches"].items():
        lines += ["", f"## {name}", "", "```", text, "```"]
    ours = {row["stored"]: row for row in rows if "stored" in row}
    for stored, row in ours.items():
        tuned = f"; tuned: {row['tuning']}" if row["tuning"] else ""
        lines += ["", f"tome, {stored}, runs on {row['device']}: {row['why']}{tuned}"]
    lines += ["", "## Agreement with PyTorch in f32 on the CPU", "", "| network | r | engine | logits apart | same first class |"]
    lines += ["|---|---|---|---|---|"]
    for row in report["agreement"]:
        lines.append(f"| {row['network']} | {row['r']} | {row['engine']} | {row['apart']:.1e} | {sum(row['top1'])} of {len(row['top1'])} |")
    for row in report["failed"]:
        lines += ["", f"{row['network']}, batch {row['batch']}, {row['engine']}, r = {row['r']} failed: {row['why']}"]
    return "\n".join(lines) + "\n"


def seconds(rows, engine, r):
    return next((row["seconds"] for row in rows if (row["engine"], row["r"]) == (engine, r)), None)


def over(above, below):
    return f"{above / below:.2f}" if above and below else ""


def about(args):
    if args.device == "cpu":
        device, driver = "CPU", ""
    else:
        device = torch.cuda.get_device_name()
        query = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
        driver = subprocess.run(query, stdout=subprocess.PIPE, text=True).stdout.strip()
    return {
        "date": datetime.date.today().isoformat(),
        "device": device,
        "driver": driver,
        "torch": f"{torch.__version__}, CUDA {torch.version.cuda}",
        "tome": tome_version(args),
        "rounds": f"{args.rounds}, the engines in turns; medians",
        "what": "one pass over images that are on the device, from an idle device to an idle device",
    }


def tome_version(args):
    return subprocess.run([args.tome, "--version"], stdout=subprocess.PIPE, text=True).stdout.strip()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tome", required=True, help="the built command")
    parser.add_argument("--tome-device", default="auto", help="its --device")
    parser.add_argument("--device", default="cuda", help="PyTorch's")
    parser.add_argument("--archs", nargs="+", help="S/16, B/16 and L/16 if not given",
                        default=["vit_small_patch16_224", "vit_base_patch16_224", "vit_large_patch16_224"])
    parser.add_argument("--batches", nargs="+", type=int, default=[1, 8, 64, 256])
    parser.add_argument("--r", nargs="+", type=int, default=[0, 8, 13, 16])
    parser.add_argument("--compile", nargs="*", type=int, default=[0], help="the r that torch.compile is timed for")
    parser.add_argument("--precisions", nargs="+", default=["f16", "f32"], help="of tome")
    parser.add_argument("--benches", nargs="*", default=[], help="built benches (matmul, soak) to run first, whose words are kept")
    parser.add_argument("--tune", action="store_true", help="run `tome tune` first, which saves its choice for this device")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--budget", type=float, default=float("inf"), help="seconds after which nothing new is begun")
    parser.add_argument("--out", type=Path, help="a path without suffix; benches/results/gpu-DATE if not given")
    parser.add_argument("--smoke", action="store_true", help="a small network, small batches, on the CPU")
    args = parser.parse_args()
    args.span = SPAN
    args.has_precision = "--precision" in tome(argparse.Namespace(tome=args.tome, tome_device="cpu"), "bench", "--help")
    if not args.has_precision:
        print("SKIP f16: this tome has no --precision")
        args.precisions = ["f32"]
    if args.smoke:
        args.archs, args.batches, args.r, args.compile, args.rounds, args.span = ["vit_small_96"], [1, 2], [0, 8], [], 2, 0.05
        args.device, args.tome_device, args.precisions = "cpu", "cpu", ["f32"]
        args.out = args.out or Path(tempfile.mkdtemp()) / "smoke"
    if args.device.startswith("cuda") and not torch.cuda.is_available():
        sys.exit("PyTorch has no CUDA device here; --smoke tries this script on the CPU")
    if args.tune:
        batches = ",".join(str(batch) for batch in sorted({min(args.batches), min(64, max(args.batches))}))
        for name in args.precisions:
            print(tome(args, "tune", "--batch", batches, *precision(args, name)), flush=True)
    # f32 means f32.
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False

    deadline = time.monotonic() + args.budget
    out = args.out or ROOT / f"benches/results/gpu-{datetime.date.today().isoformat()}"
    found = out.with_name(out.name + ".json")
    report = json.loads(found.read_text()) if found.exists() else {}
    report = {"about": about(args), "rows": [], "agreement": [], "starts": [], "profiles": [], "benches": {},
              "failed": []} | report
    also(args, report)
    for name in args.archs:
        with tempfile.TemporaryDirectory() as both:
            folder = Path(both) / "network"
            folder.mkdir()
            if time.monotonic() > deadline:
                break
            print(name, flush=True)
            network = Network(name, folder)
            if name not in [row["network"] for row in report["agreement"]]:
                agreement(args, network, report)
                starts(args, network, report)
                if args.tome_device != "cpu":
                    profiles(args, network, report)
            for batch in args.batches:
                measure(args, network, batch, report, out, deadline)
    save(report, out)
    print(f"{out}.json, {out}.md")
    if time.monotonic() > deadline:
        print("the budget was spent: run again with the same --out for the rest")


if __name__ == "__main__":
    main()
