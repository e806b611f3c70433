"""How fast parts are drawn: in memory, and as a labelled set on disk.

    python benchmarks/synth.py [--parts 400] [--json FILE]

`ratio.file` is the time of a part on disk over that of the same part in memory, in the same run.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from kizu_inspect.synth import KINDS, draw_part, write_set


def main(arguments: Sequence[str] | None = None) -> int:
    """Prints the figures as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parts", type=int, default=400)
    parser.add_argument("--json", type=Path, help="file for the figures (default: standard output)")
    given = parser.parse_args(arguments)
    begun = time.perf_counter()
    for seed in range(given.parts):
        draw_part(KINDS[seed % len(KINDS)], seed)
    in_memory_s = time.perf_counter() - begun
    with tempfile.TemporaryDirectory() as folder:
        begun = time.perf_counter()
        write_set(Path(folder) / "parts", count=given.parts, seed=0)
        on_disk_s = time.perf_counter() - begun
    figures = {
        "parts": given.parts,
        "per_second": {"memory": given.parts / in_memory_s, "file": given.parts / on_disk_s},
        "ratio": {"file": on_disk_s / in_memory_s},
    }
    text = json.dumps(figures, indent=2)
    if given.json is not None:
        given.json.write_text(text + "\n", encoding="utf-8")
    else:
        print(text)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
