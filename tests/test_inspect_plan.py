"""What is made up before the first step: steps for the time, time for what follows them, room on the disk."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
import torch

from kizu_inspect.labelled.dataset import LabelledSet
from kizu_inspect.network.model import Classifier, build_classifier
from kizu_inspect.training.checkpoints import folder_of
from kizu_inspect.training.fit import prepare_profile
from kizu_inspect.training.plan import Plan, bytes_needed, make_plan
from kizu_inspect.training.settings import TrainingSettings, pictures_of
from kizu_inspect.training.train import train
from training_world import METHODS, drawn, tiny


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> LabelledSet:
    return drawn(tmp_path_factory.mktemp("parts"))


def planned(data: LabelledSet, settings: TrainingSettings, *, until: float | None) -> tuple[Plan, Classifier]:
    """The plan of a training, and its model, which it leaves as it was."""
    assert data.good is not None
    good = data.classes.index(data.good)
    torch.manual_seed(0)
    model = build_classifier(settings.architecture, settings.input, classes=len(data.classes), good=good)
    pictures = {name: pictures_of(data, name, settings) for name in ("train", "val")}
    prepare_profile(model, pictures["train"], good=good)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    drawing = torch.get_rng_state()
    plan = make_plan(
        model, pictures, data.split("val"), settings, good=good, device=torch.device("cpu"), methods=METHODS, until=until
    )  # fmt: skip
    assert torch.equal(torch.get_rng_state(), drawing)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    return plan, model


def test_the_steps_that_fit_leave_time_for_what_follows_them(data: LabelledSet) -> None:
    now = time.monotonic()
    plan, _ = planned(data, tiny(steps=7), until=now + 1000)
    assert plan.seconds is not None
    assert 0 < plan.ending_s < 1000
    assert plan.seconds + plan.ending_s < 1000
    assert plan.seconds_a_step is not None
    assert plan.steps == int(plan.seconds / plan.seconds_a_step)
    enough = tiny(steps=7).model_copy(update={"most_steps": 9})
    assert planned(data, enough, until=now + 1000)[0].steps == 9


def test_without_a_time_the_steps_are_those_asked_for_and_no_other_is_taken_to_see_how_long_it_takes(data: LabelledSet) -> None:
    plan, _ = planned(data, tiny(steps=7), until=None)
    assert (plan.steps, plan.seconds, plan.seconds_a_step) == (7, None, None)


def test_the_least_steps_are_planned_where_nothing_fits(data: LabelledSet) -> None:
    least = tiny(steps=7).model_copy(update={"least_steps": 5})
    plan, _ = planned(data, least, until=time.monotonic())
    assert (plan.steps, plan.seconds, plan.least_steps) == (5, 0.0, 5)


def test_bundle_and_checkpoints_fill_no_more_than_was_asked_of_the_disk(data: LabelledSet, tmp_path: Path) -> None:
    settings = tiny(steps=2)
    wide = settings.architecture.model_copy(update={"width": 64})
    large = settings.model_copy(update={"architecture": wide})
    filled: list[int] = []

    def progress(_standing: object) -> None:
        filled.extend(2 * file.stat().st_size for file in folder_of(tmp_path / "bundle").glob("*.checkpoint"))

    _, model = planned(data, large, until=None)
    train(data, tmp_path / "bundle", large, keep_every_s=0, progress=progress, methods=METHODS)
    weights = (tmp_path / "bundle" / "weights.safetensors").stat().st_size
    assert 0 < max(filled) + 2 * weights <= bytes_needed(model)
    assert max(filled) > 4 * weights  # it does count the averages
