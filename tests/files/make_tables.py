"""Writes tables.safetensors: what timm and transformers make of tables of displacements for other grids.

    python3 make_tables.py

Run with Python 3.11, torch 2.15.0 (CPU), timm 1.0.31, transformers 5.24.0, safetensors 0.8.0.
"""
from pathlib import Path

import torch
from safetensors.torch import save_file
from timm.layers import resize_rel_pos_bias_table
from transformers import BeitConfig
from transformers.models.beit.modeling_beit import BeitRelativePositionBias

HERE = Path(__file__).resolve().parent
HEADS = 2
GRIDS = {"square": (5, 5), "rect": (4, 6), "one": (1, 1)}
SIZES = [(7, 7), (4, 6), (3, 3), (12, 5), (1, 1)]


def rows(grid):
    return (2 * grid[0] - 1) * (2 * grid[1] - 1) + 3


def of_transformers(table, size):
    module = BeitRelativePositionBias(BeitConfig(image_size=5, patch_size=1, num_attention_heads=HEADS))
    module.relative_position_bias_table = torch.nn.Parameter(table)
    scores = module(size)[0]
    index = module.generate_relative_position_index(size).reshape(-1)
    out = torch.zeros(rows(size), HEADS)
    out[index] = scores.reshape(HEADS, -1).T
    return out


@torch.no_grad()
def main():
    torch.manual_seed(0)
    out = {name: torch.randn(rows(grid), HEADS) for name, grid in GRIDS.items()}
    for name, grid in GRIDS.items():
        for size in SIZES:
            to = "x".join(map(str, size))
            if size != grid:
                resized = resize_rel_pos_bias_table(out[name], size, (rows(size), HEADS), old_window_size=grid)
                out[f"timm/{name}/{to}"] = resized
            if name == "square":
                out[f"transformers/{name}/{to}"] = of_transformers(out[name], size)
    save_file({key: tensor.contiguous() for key, tensor in out.items()}, HERE / "tables.safetensors")


if __name__ == "__main__":
    main()
