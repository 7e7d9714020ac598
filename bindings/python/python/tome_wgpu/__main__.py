"""The command `tome`: `python -m tome_wgpu --help`."""

from __future__ import annotations

import signal
import sys

from tome_wgpu import _native


def main() -> None:
    """Runs the command with this program's arguments and exits with its code."""
    # Python would only look at an interruption once the command is done.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    sys.exit(_native.run(sys.argv[1:]))


if __name__ == "__main__":
    main()
