"""`make test-lowest` takes the lowest versions that pyproject.toml admits, and all else as it is pinned."""

from __future__ import annotations

import subprocess
import tomllib
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).parents[1]
LOWEST = ("sqlalchemy", "streamlit", "torch", "torchvision")


def test_the_pins_are_those_of_the_project() -> None:
    made = subprocess.run(["make", "--no-print-directory", "lowest-pins"], cwd=ROOT, capture_output=True, text=True, check=True)
    pins = [line.split("==") for line in made.stdout.splitlines()]
    given = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["dependencies"]
    admitted = {one.name: one.specifier for one in map(Requirement, given) if one.name in LOWEST}
    bounds = {name: next(one.version for one in every if one.operator == ">=") for name, every in admitted.items()}
    assert dict(pins[:4]) == bounds
    assert sorted(bounds) == list(LOWEST)
    pinned = [line.split("==") for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()]
    assert pins[4:] == [pin for pin in pinned if pin[0].lower() not in LOWEST]
    assert len(pinned) - len(pins[4:]) == 4
    for name, version in pinned:  # what `make test` runs on is admitted too
        assert name.lower() not in LOWEST or version in admitted[name.lower()]
