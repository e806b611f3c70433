"""Which part a file shows."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path, PurePath
from random import Random

import pytest
import regex

from kizu_db.settings import DatabaseSettings
from kizu_pipeline.naming import PartIdentity, generated_part, part_of_file, printable
from line_world import LineWorld, names_in

PART_VIEW = r"(?P<part>[^_]+)_(?P<view>.+)"


def identity(name: str, pattern: str) -> PartIdentity:
    return part_of_file(PurePath(name), regex.compile(pattern), source="s", key=name)


@pytest.mark.parametrize(
    ("name", "pattern", "expected"),
    [
        pytest.param("P0001_top.png", PART_VIEW, PartIdentity("P0001", "top"), id="part and view"),
        pytest.param("line2/P0001_top.png", PART_VIEW, PartIdentity("P0001", "top"), id="in a sub-folder"),
        pytest.param(
            "L7/P1_a.png",
            "(?P<lot>[^/]+)/(?P<part>[^_]+)_(?P<view>.+)",
            PartIdentity("P1", "a", "L7"),
            id="sub-folder names the lot",
        ),
        pytest.param("a.b.png", "(?P<part>.+)", PartIdentity("a.b"), id="only the last ending goes"),
        pytest.param("부품 7.png", "(?P<part>.+)", PartIdentity("부품 7"), id="Korean"),
        pytest.param("Tu\u0308r.png", "(?P<part>.+)", PartIdentity("T\u00fcr"), id="decomposed letters are composed"),
        pytest.param("P1.png", "(?P<part>[^_]+)(?:_(?P<view>.+))?", PartIdentity("P1"), id="absent group"),
    ],
)
def test_name_tells_the_part(name: str, pattern: str, expected: PartIdentity) -> None:
    assert identity(name, pattern) == expected


@pytest.mark.parametrize("name", ["P0001.png", "_top.png", " _top.png"], ids=["no match", "empty", "blank"])
def test_name_that_fits_nothing_gets_a_generated_part(name: str) -> None:
    found = identity(name, "(?P<part>[^_]*)_(?P<view>.+)")
    assert found == PartIdentity(generated_part("s", name), generated=True)


def test_generated_parts_are_stable_and_differ() -> None:
    assert generated_part("s", "a") == generated_part("s", "a")
    assert len({generated_part("s", "a"), generated_part("s", "b"), generated_part("t", "a")}) == 3


def test_bytes_that_are_no_text_are_escaped() -> None:
    assert printable(os.fsdecode(b"p\xff.png")) == r"p\xff.png"


@pytest.mark.parametrize("pattern", ["(?P<part>(?:a+)+)b", "(?P<part>(?:.*a){25})b", "(?P<part>(?:a|aa)+)b"])
def test_a_pattern_that_would_take_years_costs_its_name_only(pattern: str) -> None:
    name = "a" * 200
    started = time.monotonic()
    assert identity(name, pattern).generated
    assert time.monotonic() - started < 10


def test_a_lot_of_a_very_long_path_ends_no_line(
    tmp_path: Path, line_bundle: Path, new_postgresql: Callable[[], DatabaseSettings]
) -> None:
    random = Random(0)  # PostgreSQL packs what repeats, and indexes at most 2,704 bytes
    deep = ["/".join(random.randbytes(100).hex() for _ in range(16)) for _ in range(2)]
    with LineWorld(tmp_path, line_bundle, database=new_postgresql()) as world:
        for folder in deep:
            world.drop(f"{folder}/P1.png")
        assert world.run(source=world.folder(part_pattern="(?P<lot>.+)/(?P<part>[^/]+)")).files == 2
        lots = {record.row.lot for record in world.inspections()}
    assert len(lots) == 2
    assert {str(lot)[:100] for lot in lots} == {folder[:100] for folder in deep}


def test_a_watched_folder_of_a_very_long_path_ends_no_line(
    tmp_path: Path, line_bundle: Path, new_postgresql: Callable[[], DatabaseSettings]
) -> None:
    root, draw = tmp_path, Random(1)
    for _ in range(13):  # 3,250 bytes below it, which PostgreSQL cannot make short
        root /= "".join(draw.choices("abcdefghijklmnopqrstuvwxyz0123456789", k=249))
    os.makedirs(root)
    with LineWorld(root, line_bundle, database=new_postgresql()) as world:
        world.drop("P1.png")
        world.run(pass_below=1.0, reject_from=1.0)
        assert (world.only().row.part, names_in(world.done)) == ("P1", ["P1.png"])
        assert world.only().source.startswith(f"folder:press-3:{str(world.incoming)[:50]}")
        world.drop("P1.png")  # at another time: another piece of work
        world.run(pass_below=1.0, reject_from=1.0)
        assert len(world.inspections()) == 2
