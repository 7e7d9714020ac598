"""What running a network with some merging comes to."""

from __future__ import annotations

from dataclasses import dataclass, field

from ._native import Options


@dataclass(frozen=True)
class Plan:
    """A network with some merging, before anything runs; printing it shows it block by block."""

    options: Options
    #: Images of a batch.
    batch: int
    #: Tokens that enter each block, and that leave the last.
    tokens: tuple[int, ...]
    #: Multiply-adds of an image.
    macs: float
    #: By how much less there is to compute than without merging.
    promised_speedup: float
    #: The device's calls of kernels, a line each; none on the CPU path.
    calls: str | None = field(repr=False)

    def __str__(self) -> str:
        lines = [f"{self.macs / 1e9:.2f} GMAC an image, {self.promised_speedup:.2f} times less than without merging"]
        for block, (before, after) in enumerate(zip(self.tokens, self.tokens[1:])):
            lines.append(f"block {block:<3} {before:>5} tokens, {before - after:>4} merge")
        lines.append(f"          {self.tokens[-1]:>5} tokens leave")
        if self.calls is not None:
            lines += [f"calls of a batch of {self.batch}:", self.calls.rstrip()]
        return "\n".join(lines)
