"""A training survives what ends it: kills, failures after its steps, a person who has seen enough."""

from __future__ import annotations

import resource
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
import torch

from kizu_inspect.bundle import Bundle
from kizu_inspect.errors import ConfigError, DataError, EndedEarly
from kizu_inspect.labelled.dataset import LabelledSet
from kizu_inspect.training.checkpoints import Checkpoint, check_room, folder_of, kept_training
from kizu_inspect.training.fit import Standing
from kizu_inspect.training.pictures import on_disk
from kizu_inspect.training.train import Trained, train
from training_world import METHODS, drawn, start_training, tiny

STEPS = 20


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> LabelledSet:
    return drawn(tmp_path_factory.mktemp("parts"))


@pytest.fixture(scope="module")
def unbroken(data: LabelledSet, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """The training that nothing ended."""
    return train(data, tmp_path_factory.mktemp("unbroken") / "bundle", tiny(steps=STEPS), methods=METHODS)


class Broken(Exception):  # noqa: N818 - what a test breaks a training off with
    """No failure that anything knows."""


def breaking(at: int) -> Callable[[Standing], None]:
    """Progress that breaks a training off after so many steps."""

    def progress(standing: Standing) -> None:
        if standing.step == at:
            raise Broken

    return progress


def content(bundle: Path) -> dict[str, bytes]:
    """A bundle's files."""
    return {path.name: path.read_bytes() for path in bundle.iterdir()}


@contextmanager
def files_of_at_most(size: int) -> Iterator[None]:
    """No file of this process may grow beyond so many bytes, as on a disk that is full."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_killed_three_times_it_gives_the_bundle_of_an_unbroken_one_to_the_bit(
    tmp_path: Path, data: LabelledSet, unbroken: Trained
) -> None:
    parts = Path(data.samples[0].path).parents[1]
    out = tmp_path / "bundle"
    seen: list[list[int]] = []
    for kill_at in (3, 8, 13, None):
        with start_training(parts, out, steps=STEPS, resume=kill_at != 3) as process:
            assert process.stdout is not None
            steps = []
            for line in process.stdout:
                steps.append(int(line))
                if steps[-1] == kill_at:
                    process.kill()
            process.wait()
        seen.append(steps)
        assert (process.returncode == 0) == (kill_at is None)
        assert folder_of(out).exists() == (kill_at is not None)
    for before, after in pairwise(seen):
        assert before[0] < after[0] <= before[-1] + 1  # each goes on from the last checkpoint of the one before
    assert seen[-1][-1] == STEPS
    assert content(out) == content(unbroken.bundle.path)


def test_a_failure_after_the_steps_loses_none_of_them(tmp_path: Path, data: LabelledSet, unbroken: Trained) -> None:
    out = tmp_path / "bundle"

    def spoil(standing: Standing) -> None:
        if standing.step == STEPS:
            out.write_text("a file where the bundle's folder is to be")

    with pytest.raises(OSError, match="bundle"):
        train(data, out, tiny(steps=STEPS), methods=METHODS, progress=spoil)
    out.unlink()
    steps: list[int] = []
    train(
        data, out, tiny(steps=STEPS), resume=True, methods=METHODS, progress=lambda standing: steps.append(standing.step)
    )  # fmt: skip
    assert steps == []
    assert content(out) == content(unbroken.bundle.path)
    assert [path.name for path in tmp_path.iterdir()] == ["bundle"]


def test_who_ends_it_gets_the_best_model_so_far(tmp_path: Path, data: LabelledSet) -> None:
    stop = threading.Event()
    best: list[float] = []

    def progress(standing: Standing) -> None:
        if standing.validation is not None:
            best.append(standing.validation[0])
        if len(best) == 2:
            stop.set()

    trained = train(data, tmp_path / "bundle", tiny(steps=STEPS), stop=stop, progress=progress, methods=METHODS)
    history = trained.history
    assert (history.ended_early, history.taken, history.planned) == (True, 4, STEPS)
    origin = Bundle.load(tmp_path / "bundle").spec.provenance
    assert origin.steps == 4
    assert origin.figures["validation_loss"] == min(best)
    assert not folder_of(tmp_path / "bundle").exists()


def test_ended_before_there_is_a_model_it_can_still_be_gone_on_with(
    tmp_path: Path, data: LabelledSet, unbroken: Trained
) -> None:
    out, stop = tmp_path / "bundle", threading.Event()
    with pytest.raises(EndedEarly, match=f"ended before there was a model: found step 1 of {STEPS}"):
        train(data, out, tiny(steps=STEPS), stop=stop, progress=lambda _: stop.set(), methods=METHODS)
    assert not out.exists()
    train(data, out, tiny(steps=STEPS), resume=True, methods=METHODS)
    assert content(out) == content(unbroken.bundle.path)


def test_a_checkpoint_is_gone_on_with_only_where_it_is_asked_for_and_of_the_same_training(
    tmp_path: Path, data: LabelledSet
) -> None:
    out = tmp_path / "bundle"
    with pytest.raises(ConfigError, match=r"there is nothing to resume: found no checkpoint in .*Leave --resume out"):
        train(data, out, tiny(steps=STEPS), resume=True, methods=METHODS)
    assert not folder_of(out).exists()
    with pytest.raises(Broken):
        train(data, out, tiny(steps=STEPS), keep_every_s=0, progress=breaking(3), methods=METHODS)
    (file,) = folder_of(out).glob("*.checkpoint")
    kept = file.read_bytes()
    with pytest.raises(ConfigError, match=r"was broken off: found its checkpoint in .*\.training.*--resume, or remove"):
        train(data, out, tiny(steps=STEPS), methods=METHODS)
    with pytest.raises(ConfigError, match=r"is another one: found settings\.fit\.steps 20; expected 21\. Give --resume"):
        train(data, out, tiny(steps=STEPS + 1), resume=True, methods=METHODS)
    fewer = drawn(tmp_path / "others", count=50)
    with pytest.raises(ConfigError, match="found other pictures, labels or places than it learned"):
        train(fewer, out, tiny(steps=STEPS), resume=True, methods=METHODS)
    assert file.read_bytes() == kept
    for broken in (kept[:-1], kept[: len(kept) // 2], kept[:3000] + bytes([kept[3000] ^ 1]) + kept[3001:], b""):
        file.write_bytes(broken)
        with pytest.raises(DataError, match=r"model\.checkpoint is damaged: .*Remove .*\.training to start anew"):
            train(data, out, tiny(steps=STEPS), resume=True, methods=METHODS)
    assert file.exists()


def test_one_training_at_a_time_writes_a_bundle(tmp_path: Path) -> None:
    out = tmp_path / "bundle"
    with (
        kept_training(out, ["model"], resume=False),
        pytest.raises(ConfigError, match=r"another training for .*bundle is running"),
        kept_training(out, ["model"], resume=False),
    ):
        pass
    assert not folder_of(out).exists()


@pytest.mark.parametrize("place", ["file", "file/bundle", "/proc/bundle"])
def test_a_place_that_cannot_be_written_is_told_before_anything_is_read(tmp_path: Path, data: LabelledSet, place: str) -> None:
    (tmp_path / "file").touch()
    gone = tmp_path / "gone.png"
    unreadable = replace(data, samples=tuple(replace(sample, path=gone) for sample in data.samples))
    with pytest.raises(ConfigError, match=r"the bundle .* cannot be written: .*Name another with --out"):
        train(unreadable, tmp_path / place, tiny(steps=STEPS), methods=METHODS)


def test_a_disk_without_room_is_told_before_the_first_step(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"too little room on the disk .*: found .* MB free at .*; expected .* MB"):
        check_room(tmp_path, shutil.disk_usage(tmp_path).total + 1)
    with files_of_at_most(1000), pytest.raises(ConfigError, match=r"too little room for the pictures in .*TMPDIR"):
        on_disk((10, 32, 32, 3))


def test_a_checkpoint_that_cannot_be_written_is_told_and_the_training_goes_on(tmp_path: Path) -> None:
    checkpoint = Checkpoint(tmp_path / "model.checkpoint", {"data": "a"}, every_s=0)
    assert checkpoint.save({"step": 1}) is None
    before = checkpoint.path.read_bytes()
    with files_of_at_most(1000):
        unkept = checkpoint.save_if_due(lambda: {"step": 2, "weights": torch.zeros(10_000)})
    assert unkept is not None
    assert checkpoint.path.read_bytes() == before  # the older one is whole
    assert [path.name for path in tmp_path.iterdir()] == ["model.checkpoint"]
    again = Checkpoint(checkpoint.path, {"data": "a"})
    again.load()
    assert again.state == {"step": 1}


def test_checkpoints_take_a_fiftieth_of_the_time_at_most(tmp_path: Path) -> None:
    checkpoint = Checkpoint(tmp_path / "model.checkpoint", {}, every_s=0)

    def slow() -> dict[str, object]:
        time.sleep(0.05)  # what a large network's state takes
        return {}

    begun = time.monotonic()
    written = 0
    while time.monotonic() - begun < 1.0:
        before = checkpoint.path.stat().st_mtime_ns if checkpoint.path.exists() else 0
        checkpoint.save_if_due(slow)
        written += checkpoint.path.stat().st_mtime_ns != before
    assert written == 1
