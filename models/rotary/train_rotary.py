"""Trains the network with rotary positions on the pictures of ../clutter, and writes model.safetensors, config.json and
logits.json beside this file.

    python3 train_rotary.py --minutes 4 --workers 15      # on an NVIDIA card; pictures are drawn by so many processes

The task, its pictures, what is asked in training alone and the easy beginning are ../clutter's. The learning rate follows the
clock, so that it has come down to nothing when the time is up. README.md says how the weights there came about.
"""
import argparse
import functools
import json
import sys
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from timm.models.eva import Eva
from torch import nn

HERE = Path(__file__).resolve().parent
CLUTTER = HERE.parent / "clutter"
sys.path.insert(0, str(CLUTTER))
from scenes import LETTERS, PER_CLASS, SIZE, STANDING, Bank, few_colours, scenes  # noqa: E402
from train import CLASSES, CONFIG, EASY, LETTER_AFTER, PATCH, TWICE_AFTER, WARMUP, in_patches, nearness, normalise  # noqa: E402

SEED, BATCH = 0, 128
PREFIX = 5
# DINOv3's, smaller: class token, four registers, no table of positions.
MODEL_ARGS = {
    "img_size": [SIZE, SIZE],
    "patch_size": PATCH,
    "embed_dim": 96,
    "depth": 8,
    "num_heads": 3,
    "mlp_ratio": 3.0,
    "init_values": None,
    "global_pool": "token",
    "num_classes": CLASSES,
}
# What timm's vit_small_patch16_dinov3 says besides.
ARCHITECTURE = {
    "qkv_bias": False,
    "rope_type": "dinov3",
    "rope_temperature": 100,
    "rope_rotate_half": True,
    "use_rot_pos_emb": True,
    "use_abs_pos_emb": False,
    "num_reg_tokens": PREFIX - 1,
    "use_fc_norm": False,
    "norm_layer": functools.partial(nn.LayerNorm, eps=1e-5),
}


def build():
    return Eva(**MODEL_ARGS, **ARCHITECTURE)


class Trained(nn.Module):
    """The network with the two heads of training."""

    def __init__(self):
        super().__init__()
        self.vit, width = build(), MODEL_ARGS["embed_dim"]
        self.heads = nn.ModuleList(nn.Sequential(nn.LayerNorm(width), nn.Linear(width, CLASSES + 1)) for _ in range(2))
        # Registers are as near to all as the class token.
        self.register_buffer("near", F.pad(nearness(SIZE // PATCH), (PREFIX - 1, 0, PREFIX - 1, 0)))

    def forward(self, x, short_sight):
        """Up to the first head's block tokens look around them the less far the larger `short_sight` is."""
        mask = (short_sight * self.near).to(torch.bfloat16) if short_sight > 0 else None
        x, rope = self.vit._pos_embed(self.vit.patch_embed(x))
        asked = []
        for i, block in enumerate(self.vit.blocks):
            x = block(x, rope=rope, attn_mask=mask if i <= LETTER_AFTER else None)
            if i in (LETTER_AFTER, TWICE_AFTER):
                asked.append(self.heads[len(asked)](x[:, PREFIX:]).float())
        return self.vit.head(self.vit.norm(x)[:, 0]).float(), *asked


class Pictures(torch.utils.data.IterableDataset):
    """Batches without end; each process draws others. They are easy until the end of the easy beginning."""

    def __init__(self, start, seconds):
        self.start, self.seconds = start, seconds

    def __iter__(self):
        worker = torch.utils.data.get_worker_info()
        torch.set_num_threads(1)
        rng = np.random.default_rng([SEED, worker.id if worker else 0])
        bank = Bank(np.random.default_rng(SEED), 500)
        step = 0
        while True:
            past = (time.time() - self.start) / self.seconds
            standing = 23 if past < EASY[1] and step % 2 else STANDING
            pixels, classes, inside = scenes(rng, bank, BATCH, standing=standing, clutter=min(1, past / EASY[0]))
            for i in range(0, BATCH, 2):
                pixels[i] = few_colours(pixels[i], int(rng.integers(16, 65))).convert("RGB")
            gain, shift = (rng.uniform(*ends, (BATCH, 3, 1, 1)).astype(np.float32) for ends in ((0.75, 1.1), (-0.1, 0.1)))
            step += 1
            yield torch.from_numpy(pixels), torch.from_numpy(classes), in_patches(inside), torch.from_numpy(gain), torch.from_numpy(shift)


def held_out():
    from PIL import Image

    paths = sorted((CLUTTER / "heldout").glob("*/*.png"))
    pixels = np.stack([np.asarray(Image.open(path).convert("RGB")) for path in paths])
    return paths, normalise(pixels), torch.tensor([LETTERS.index(path.parent.name) for path in paths])


def write(vit):
    """The network as stored, in 16 bits, and what timm says of it on the held-out pictures."""
    weights = {name: t.detach().half().cpu().contiguous() for name, t in vit.state_dict().items()}
    save_file(weights, HERE / "model.safetensors", metadata={"format": "pt"})
    config = CONFIG | {"architecture": "vit_small_patch16_dinov3", "model_args": MODEL_ARGS}
    (HERE / "config.json").write_text(json.dumps(config, indent=1) + "\n")
    stored = build().eval()
    stored.load_state_dict({name: t.float() for name, t in weights.items()})
    paths, images, labels = held_out()
    with torch.no_grad():
        logits = torch.cat([stored(batch) for batch in images.split(64)])
    print(f"{(logits.argmax(1) == labels).sum()} of {len(labels)} held-out pictures right at r = 0")
    chosen = range(0, 6 * PER_CLASS, PER_CLASS)
    rounded = [[round(value, 6) for value in row] for row in logits.tolist()]
    cases = [{"picture": str(paths[i].relative_to(CLUTTER / "heldout")), "logits": {"0": rounded[i]}} for i in chosen]
    (HERE / "logits.json").write_text(json.dumps(cases, indent=1) + "\n")


def main():
    ask = argparse.ArgumentParser()
    ask.add_argument("--minutes", type=float, default=4)
    ask.add_argument("--rate", type=float, default=4e-3)
    ask.add_argument("--workers", type=int, default=15)
    ask.add_argument("--device", default="cuda")
    given = ask.parse_args()
    torch.manual_seed(SEED)
    model = Trained().to(given.device).train()
    blocks = [p for name, p in model.vit.blocks.named_parameters() if p.ndim == 2]
    known = {id(p) for p in blocks}
    optimizers = [
        torch.optim.Muon(blocks, lr=given.rate, weight_decay=0.05, adjust_lr_fn="match_rms_adamw"),
        torch.optim.AdamW([p for p in model.parameters() if id(p) not in known], lr=given.rate, betas=(0.9, 0.98), weight_decay=0.0),
    ]
    weight = torch.ones(2, CLASSES + 1, device=given.device)
    weight[0, -1], weight[1, -1] = 0.3, 0.1

    start, told, step, sums = time.time(), time.time(), 0, []
    seconds = 60 * given.minutes
    loader = torch.utils.data.DataLoader(
        Pictures(start, seconds), batch_size=None, num_workers=given.workers, pin_memory=given.device == "cuda",
        multiprocessing_context="fork" if given.workers else None,
    )
    for batch in loader:
        past = (time.time() - start) / seconds
        if past >= 1:
            break
        pixels, classes, letters, gain, shift = (values.to(given.device, non_blocking=True) for values in batch)
        for optimizer in optimizers:
            for group in optimizer.param_groups:
                group["lr"] = given.rate * min((step + 1) / WARMUP, 1, (1 - past) / 0.7)
        images = ((pixels.permute(0, 3, 1, 2).float() / 127.5 - 1) * gain + shift).clamp(-1, 1)
        twice = torch.where(letters == classes[:, None], letters, CLASSES)
        with torch.autocast(given.device, dtype=torch.bfloat16):
            answer, letter, pair = model(images, 0.3 * max(0, 1 - past / EASY[2]))
        losses = [
            F.cross_entropy(answer, classes),
            F.cross_entropy(letter.flatten(0, 1), letters.flatten(), weight[0]),
            F.cross_entropy(pair.flatten(0, 1), twice.flatten(), weight[1]),
        ]
        loss = losses[0] + min(1, (step + 1) / WARMUP) * (losses[1] + 0.5 * losses[2])
        for optimizer in optimizers:
            optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for optimizer in optimizers:
            optimizer.step()
        step += 1
        right = (letter.argmax(2) == letters)[letters != CLASSES].float().mean()
        sums.append(torch.stack([*losses, right, (answer.argmax(1) == classes).float().mean()]).detach())
        if time.time() - told > 10:
            told, mean = time.time(), torch.stack(sums).mean(0).tolist()
            print(
                f"{told - start:5.0f} s, {step * BATCH} pictures: loss {mean[0]:.3f}, letter {mean[1]:.3f}, "
                f"twice {mean[2]:.3f}; letters {100 * mean[3]:.1f} %, answers {100 * mean[4]:.1f} %",
                flush=True,
            )
            sums = []
    print(f"{step * BATCH} pictures in {time.time() - start:.0f} s", flush=True)
    write(model.vit)


if __name__ == "__main__":
    main()
