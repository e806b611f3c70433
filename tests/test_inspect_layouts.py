"""The same pictures with the same labels come out alike of every layout: classes, boxes, and masks to the pixel."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from formats_world import pictures_in
from kizu_inspect.labelled.checking.check import check_set
from kizu_inspect.labelled.dataset import read_labelled
from kizu_inspect.labelled.findings import refuse
from kizu_inspect.labelled.places import defects_of, places_of
from kizu_inspect.labelled.readers import read_samples
from kizu_inspect.labelled.readers.manifest import write_manifest
from kizu_inspect.network.model import Architecture
from kizu_inspect.picture.inputs import InputSettings
from kizu_inspect.training.fit import FitSettings
from kizu_inspect.training.settings import TrainingSettings
from kizu_inspect.training.train import train
from layouts_world import LAYOUTS, SIZE, assert_the_set, the_set
from precision import PRECISION


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_says_the_same(tmp_path: Path, layout: str) -> None:
    root = tmp_path / "set"
    root.mkdir()
    LAYOUTS[layout](root)
    checked = check_set(root)
    assert [finding.text for finding in checked.findings if finding.severity == "error"] == []
    assert {name: sum(row.values()) for name, row in checked.counts.items()} == {"dent": 8, "scratch": 8, "good": 8}
    assert checked.left_out.there == len(pictures_in(root))
    assert (checked.left_out.taken, sum(sample.masked for sample in checked.samples)) == (24, 16)
    write_manifest(tmp_path / "converted.csv", read_samples(root, group_pattern=None, report=refuse).samples)
    converted = read_samples(tmp_path / "converted.csv", group_pattern=None, report=refuse)
    for samples in (checked.samples, converted.samples):
        found = {sample.path.stem: sample for sample in samples}
        assert_the_set(found)
        for one in the_set():
            if one.label is not None:
                defects = defects_of(found[one.name], SIZE)
                places = places_of(found[one.name], defects, ("dent", "good", "scratch"), SIZE, ring_px=1)
                assert np.array_equal(places == {"dent": 1, "scratch": 3}[one.label], one.mask)


def test_the_same_set_in_any_layout_makes_the_same_model(tmp_path: Path) -> None:
    settings = TrainingSettings(
        name="any", input=InputSettings(height_px=40, width_px=48), architecture=Architecture(width=8), learn_places=True,
        fit=FitSettings(steps=6, batch_size=8, precision=PRECISION), device="cpu",
    )  # fmt: skip
    made = []
    for layout in ("spreadsheet", "coco", "mvtec"):
        (tmp_path / layout).mkdir()
        LAYOUTS[layout](tmp_path / layout)
        data = read_labelled(tmp_path / layout, shares=(0.5, 0.5, 0))
        made.append(train(data, tmp_path / f"{layout}-bundle", settings).bundle.spec.model_dump())
    for spec in made:
        spec["provenance"].pop("data_hash")  # of names that hang on the layout
    assert made[0] == made[1] == made[2]
