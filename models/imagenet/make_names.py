"""Writes names.txt from the label files of timm (pip install timm): a line for each class of ImageNet in the order of
their synsets, letters for the sets that it is part of, a tab, its first name. All sets are in that order. And
synsets.txt, those of ImageNet-1k in order.

    a  the 1,000 classes of ImageNet-1k     b  the 11,821 of timm's ImageNet-12k
    c  the 21,841 of ImageNet-22k           d  the 21,843 of Google's ImageNet-21k
"""
from pathlib import Path

import timm

folder = Path(timm.__file__).parent / "data/_info"
read = lambda name: (folder / f"{name}.txt").read_text().splitlines()
lemmas = dict(line.split("\t", 1) for line in read("imagenet_synset_to_lemma"))
sets = [read(name) for name in ("imagenet_synsets", "imagenet12k_synsets", "imagenet22k_synsets", "imagenet21k_goog_synsets")]
every = sorted({name for names in sets for name in names})
for names in sets:
    assert names == [name for name in every if name in set(names)]
member = [set(names) for names in sets]
lines = [
    "".join(letter for letter, names in zip("abcd", member) if synset in names) + "\t" + lemmas[synset].split(",")[0]
    for synset in every
]
Path(__file__).with_name("names.txt").write_text("\n".join(lines) + "\n")
Path(__file__).with_name("synsets.txt").write_text("\n".join(sets[0]) + "\n")
