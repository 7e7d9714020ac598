"""Cluttered pictures: ten letters and fifteen other signs on a textured ground, where one letter stands twice.

The class is the letter that stands twice. Every part of the picture may hold one of the two, and a letter is three or
four patches wide: what merges away is missed.

    python3 scenes.py      # writes heldout/LETTER/NN.png next to this file

Needs the DejaVu fonts (Debian: fonts-dejavu-core and fonts-dejavu-extra 2.37-6), numpy and Pillow.
"""
import shutil
import sys
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

HERE = Path(__file__).resolve().parent
FONTS = Path("/usr/share/fonts/truetype/dejavu")
LETTERS = "ABCDEFGHJKLMNPQRSTUVWXYZ"  # no I and O: turned, they are a line and a ring
SIGNS = "23456789#@&%$?+*=<>\u2605\u2665\u25a0\u25b2\u25cf\u25c6\u2660\u2663"
SIZE, CELLS, BOX = 64, 5, 16
STANDING = 9  # different letters in a picture; the first stands twice
OBJECTS = CELLS * CELLS
PER_CLASS = 40  # held-out pictures of each letter
COLOURS = 24  # of a held-out picture, so that its file is small


def draw(character, font, angle, shift):
    """A character as a mask [BOX, BOX] of 0..255, turned, its middle near the middle of the box."""
    side = 2 * BOX
    image = Image.new("L", (side, side))
    left, top, right, bottom = font.getbbox(character)
    at = ((side - left - right) / 2 + shift[0], (side - top - bottom) / 2 + shift[1])
    ImageDraw.Draw(image).text(at, character, fill=255, font=font)
    edge = (side - BOX) // 2
    return np.asarray(image.rotate(angle, Image.BICUBIC).crop((edge, edge, edge + BOX, edge + BOX)))


class Bank:
    """Masks of every character in random fonts, sizes and angles."""

    def __init__(self, rng, variants):
        names = sorted(p for p in FONTS.glob("DejaVu*.ttf") if "Math" not in p.name and "ExtraLight" not in p.name)
        assert names, f"no DejaVu fonts in {FONTS}: apt-get install fonts-dejavu-core fonts-dejavu-extra"
        fonts = {(name, size): ImageFont.truetype(name, size) for name in names for size in range(11, 14)}
        plain = [name for name in names if name.stem in ("DejaVuSans", "DejaVuSans-Bold")]  # have all of the signs

        def masks(characters, names):
            def one(character):
                font = fonts[names[rng.integers(len(names))], int(rng.integers(11, 14))]
                return draw(character, font, rng.uniform(-12, 12), rng.uniform(-0.5, 0.5, 2))

            return np.stack([np.stack([one(c) for _ in range(variants)]) for c in characters])

        self.letters, self.signs = masks(LETTERS, names), masks(SIGNS, plain)


def enlarged(coarse, side):
    """[B, h, w, 3] stretched to [B, side, side, 3], bilinear."""
    at = np.linspace(0, coarse.shape[1] - 1, side, dtype=np.float32)
    low = np.minimum(at.astype(int), coarse.shape[1] - 2)
    part = at - low
    rows = coarse[:, low] * (1 - part)[None, :, None, None] + coarse[:, low + 1] * part[None, :, None, None]
    return rows[:, :, low] * (1 - part)[None, None, :, None] + rows[:, :, low + 1] * part[None, None, :, None]


def ground(rng, count, clutter):
    """Textured dark grounds [count, SIZE, SIZE, 3] in 0..1: noise of several grains over a gradient."""
    image = enlarged(rng.uniform(0.0, 0.5, (count, 2, 2, 3)).astype(np.float32), SIZE)
    for grains in (6, 17, 33):
        strength = rng.uniform(0.0, 0.16, (count, 1, 1, 1)).astype(np.float32)
        image = image + strength * enlarged(rng.standard_normal((count, grains, grains, 3), dtype=np.float32), SIZE)
    return image.clip(0, 1)


def scenes(rng, bank, count, labels=None, standing=STANDING, clutter=1.0):
    """`count` pictures [count, SIZE, SIZE, 3] (8 bits), their classes, and which letter stands at each pixel.

    The last is [count, SIZE, SIZE]: -1 where there is no letter.
    """
    everyone = np.arange(count)
    order = rng.permuted(np.tile(np.arange(len(LETTERS)), (count, 1)), axis=1)
    if labels is not None:  # the wanted class comes first, in exchange
        where = (order == np.asarray(labels)[:, None]).argmax(1)
        order[everyone, where] = order[:, 0]
        order[:, 0] = labels
    classes = order[:, 0].copy()
    letters = np.concatenate([order[:, :1], order[:, :standing]], 1)
    cells = rng.permuted(np.tile(np.arange(OBJECTS), (count, 1)), axis=1)

    edge = BOX // 2
    image = np.pad(ground(rng, count, clutter), ((0, 0), (edge, edge), (edge, edge), (0, 0)))
    inside = np.full((count, SIZE + 2 * edge, SIZE + 2 * edge), -1, np.int64)
    reach = np.arange(BOX)
    for k in rng.permutation(OBJECTS):
        variant = rng.integers(bank.letters.shape[1], size=count)
        is_letter = k < letters.shape[1]
        if is_letter:
            mask = bank.letters[letters[:, k], variant]
        else:
            mask = bank.signs[rng.integers(len(SIGNS), size=count), variant]
        alpha = mask.astype(np.float32) / 255
        # In the middle of its cell, give or take, and inside of the picture.
        middle = ((np.stack([cells[:, k] // CELLS, cells[:, k] % CELLS]) + 0.5) * (SIZE / CELLS)).astype(int)
        middle = (middle + rng.integers(-1, 2, (2, count))).clip(6, SIZE - 6)
        rows = (middle[0, :, None] + reach)[:, :, None]
        columns = (middle[1, :, None] + reach)[:, None, :]
        place = (everyone[:, None, None], rows, columns)
        under = image[place]
        colour = rng.uniform(0, 1, (count, 1, 1, 3)).astype(np.float32)
        bright = under[:, 3:-3, 3:-3].mean(axis=(1, 2, 3), keepdims=True)
        lacking = bright + rng.uniform(0.25, 0.6, (count, 1, 1, 1)) - colour.mean(axis=3, keepdims=True)
        colour = (colour + lacking.clip(0).astype(np.float32)).clip(0, 1)
        image[place] = under + alpha[..., None] * (colour - under)
        drawn = alpha > 0.35
        inside[place] = np.where(drawn, letters[:, k, None, None] if is_letter else -1, inside[place])
    image = image[:, edge:-edge, edge:-edge] + rng.uniform(0, 0.03, (count, 1, 1, 1)).astype(np.float32) * (
        rng.standard_normal((count, SIZE, SIZE, 3), dtype=np.float32)
    )
    pixels = (image.clip(0, 1) * 255 + 0.5).astype(np.uint8)
    return pixels, classes, inside[:, edge:-edge, edge:-edge]


def few_colours(pixels, colours=COLOURS):
    """A picture [SIZE, SIZE, 3] as an image with a palette."""
    return Image.fromarray(pixels).quantize(colours, Image.MEDIANCUT, dither=Image.Dither.NONE)


def held_out(seed=2, per_class=PER_CLASS):
    """The held-out pictures, as stored, and their classes. Their fonts are those of training, their masks are not."""
    rng = np.random.default_rng(seed)
    bank = Bank(rng, 100)
    labels = np.repeat(np.arange(len(LETTERS)), per_class)
    pixels, labels, _ = scenes(rng, bank, len(labels), labels)
    return [few_colours(picture) for picture in pixels], labels


def main():
    """Without arguments the held-out pictures; with `FOLDER SEED PER_CLASS` others of the kind, as to fit merging to."""
    if len(sys.argv) > 1:
        folder, seed, per_class = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    else:
        folder, seed, per_class = HERE / "heldout", 2, PER_CLASS
    pictures, labels = held_out(seed, per_class)
    shutil.rmtree(folder, ignore_errors=True)
    for i, (picture, label) in enumerate(zip(pictures, labels)):
        of_class = folder / LETTERS[label]
        of_class.mkdir(parents=True, exist_ok=True)
        picture.save(of_class / f"{i % per_class:02}.png", optimize=True)


if __name__ == "__main__":
    main()
