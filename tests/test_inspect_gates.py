"""What is no picture of a part is stopped before it is judged, and good pictures are not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from pydantic import ValidationError

from kizu_inspect.bundle import Bundle
from kizu_inspect.evaluation.evaluate import evaluate
from kizu_inspect.gates import MEASURES, fault_of
from kizu_inspect.inspector import Inspector
from kizu_inspect.labelled.dataset import read_labelled
from kizu_inspect.picture.quality import measure
from kizu_inspect.recipe import GateSettings, Recipe
from kizu_inspect.results import ImageRGB, Verdict
from kizu_inspect.synth import KINDS, draw_part, write_set
from kizu_inspect.training.gates import LEAST_PICTURES, gates_from, learn_gates

Fault = Callable[[np.ndarray], np.ndarray]


def parts(count: int, *, first: int = 0, kind: str | None = None) -> list[ImageRGB]:
    return [draw_part(kind or KINDS[seed % len(KINDS)], first + seed, size_px=64).image for seed in range(count)]


@pytest.fixture(scope="module")
def learned() -> dict[str, tuple[float, float]]:
    return gates_from([measure(picture) for picture in parts(400)])


def test_a_hand_made_picture_measures_what_it_shows() -> None:
    picture = np.full((40, 60, 3), 100, np.uint8)
    picture[:, 30:] = 200
    picture[:10] = 0  # a quarter of the rows is missing
    found = measure(picture)
    assert set(found) == set(MEASURES)
    assert (found["width_px"], found["height_px"], found["tones"]) == (60, 40, 3)
    assert found["blank"] == found["black"] == 0.25
    assert found["white"] == 0
    assert found["level"] == pytest.approx(0.75 * 150)
    assert found["spread"] == pytest.approx(np.std(picture))
    assert found["red_over_blue"] == found["green_over_others"] == 0


def test_noise_is_what_was_added() -> None:
    random = np.random.default_rng(0)
    for sigma in (2, 5, 20):
        noisy = np.clip(128 + random.normal(0, sigma, (200, 200)), 0, 255).astype(np.uint8)[:, :, None].repeat(3, 2)
        assert measure(noisy)["noise"] == pytest.approx(sigma, rel=0.05)


def test_sharpness_does_not_ask_how_bright_it_is() -> None:
    pictures = parts(20)
    plain = np.array([measure(picture)["sharpness"] for picture in pictures])
    darker = np.array([measure((picture * 0.7).astype(np.uint8))["sharpness"] for picture in pictures])
    blurred = np.array([measure(cv2.GaussianBlur(picture, (0, 0), 1.5))["sharpness"] for picture in pictures])
    assert np.abs(darker - plain).max() < 0.1
    assert (blurred < plain).all()
    assert (plain - blurred).mean() > 0.2


@pytest.mark.parametrize("shape", [(1, 1), (1, 50), (50, 1), (3, 3), (2000, 30)])
def test_any_size_can_be_measured(shape: tuple[int, int]) -> None:
    picture = np.random.default_rng(0).integers(0, 256, (*shape, 3), dtype=np.uint8)
    assert all(np.isfinite(value) for value in measure(picture).values())


def with_rows_missing(picture: np.ndarray) -> np.ndarray:
    picture = picture.copy()
    picture[int(len(picture) * 0.7) :] = 0
    return picture


def clipped(gain: float, offset: float = 0) -> Fault:
    return lambda picture: np.clip(picture.astype(float) * gain + offset, 0, 255)


FAULTS: dict[str, Fault] = {
    "gain 2": clipped(2),
    "gain 0.1": clipped(0.1),
    "gain 0.01": clipped(0.01),
    "10 bits in 16": clipped(1 / 64),
    "black level too low": clipped(1, -90),
    "saturated": clipped(3),
    "rows missing": with_rows_missing,
    "out of focus": lambda picture: cv2.GaussianBlur(picture, (0, 0), 3),
    "noise": lambda picture: np.clip(picture + np.random.default_rng(0).normal(0, 25, picture.shape), 0, 255),
    "thresholded": lambda picture: (picture.mean(axis=2, keepdims=True) > 110).repeat(3, 2) * 255,
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_faulty_picture_is_stopped_with_value_limit_and_what_to_do(
    fault: str, learned: dict[str, tuple[float, float]]
) -> None:
    for picture in parts(50, first=5_000):
        said = fault_of(measure(FAULTS[fault](picture).astype(np.uint8)), learned)
        assert said is not None
        assert said.startswith("no picture like those of the training: ")
        assert "limit" in said
        assert "Check " in said


def test_few_good_pictures_are_stopped(learned: dict[str, tuple[float, float]]) -> None:
    stopped = [said for picture in parts(1000, first=10_000, kind="good") if (said := fault_of(measure(picture), learned))]
    assert len(stopped) <= 5, stopped


@pytest.mark.parametrize("count", [LEAST_PICTURES, 100])
def test_few_pictures_give_wider_limits(count: int) -> None:
    limits = gates_from([measure(picture) for picture in parts(count)])
    fresh = parts(400, first=20_000)
    assert sum(fault_of(measure(picture), limits) is not None for picture in fresh) <= 4


def test_one_odd_picture_opens_no_gate() -> None:
    pictures = parts(400)
    black = np.zeros_like(pictures[0])
    black[0, 0] = 1
    limits = gates_from([measure(picture) for picture in (*pictures, black)])
    assert fault_of(measure(black), limits) is not None


@pytest.mark.parametrize("size", [(64, 64), (1, 1)])
@pytest.mark.parametrize("value", [0, 117, 255])
def test_one_value_is_no_picture_whatever_was_learned(size: tuple[int, int], value: int) -> None:
    said = fault_of(measure(np.full((*size, 3), value, np.uint8)), {})
    assert said == f"no picture of a part: all its pixels have one value, {value}. Check the camera and its light."


def test_too_few_pictures_teach_nothing(tmp_path: Path) -> None:
    data = read_labelled(write_set(tmp_path, count=LEAST_PICTURES, seed=1, size_px=64))
    assert learn_gates(data.samples[:-1], seed=0) is None
    assert set(learn_gates(data.samples, seed=0) or {}) == set(MEASURES)


def test_the_inspector_does_not_judge_what_the_gates_stop(tiny_bundle: Path) -> None:
    good, dark = parts(1)[0], (parts(1)[0] * 0.1).astype(np.uint8)

    def verdicts(**gates: object) -> list[Verdict]:
        recipe = Recipe(bundle=tiny_bundle, gates=GateSettings.model_validate(gates))
        return [one.verdict for one in Inspector.load(recipe, device="cpu").judge([good, dark]).judgements]

    assert Verdict.ERROR not in verdicts(on=False)
    found = verdicts()
    assert found[0] is not Verdict.ERROR
    assert found[1] is Verdict.ERROR
    assert Verdict.ERROR not in verdicts(widen=50)
    assert verdicts(limits={"level": [250, None]}) == [Verdict.ERROR] * 2


def test_a_judgement_keeps_what_the_gates_measured_also_of_a_picture_they_stop(tiny_bundle: Path) -> None:
    good, dark = parts(1)[0], (parts(1)[0] * 0.1).astype(np.uint8)
    inspector = Inspector.load(Recipe(bundle=tiny_bundle), device="cpu")
    assert [one.measured for one in inspector.judge([good, dark]).judgements] == [measure(good), measure(dark)]
    off = Inspector.load(Recipe(bundle=tiny_bundle, gates=GateSettings(on=False)), device="cpu")
    assert off.judge([good]).judgements[0].measured == {}


def test_of_a_region_of_interest_the_values_are_those_that_decided(tiny_bundle: Path) -> None:
    picture = parts(1)[0]
    around = np.zeros((200, 300, 3), np.uint8)
    around[100:164, 50:114] = picture
    whole = Inspector.load(Recipe(bundle=tiny_bundle, region_of_interest=(0, 0, 20, 20)), device="cpu")
    assert whole.judge([picture]).judgements[0].measured == measure(picture)
    inside = Inspector.load(Recipe(bundle=tiny_bundle, region_of_interest=(50, 100, 114, 164)), device="cpu")
    assert inside.judge([around]).judgements[0].measured == measure(picture)
    beside = Inspector.load(Recipe(bundle=tiny_bundle, region_of_interest=(500, 500, 564, 564)), device="cpu")
    (judged,) = beside.judge([around]).judgements
    assert (judged.verdict, judged.measured) == (Verdict.ERROR, measure(around))
    assert "region" in judged.reason


def test_a_region_of_interest_or_the_whole_is_like_the_training(tiny_bundle: Path) -> None:
    picture = parts(1)[0]
    around = np.zeros((200, 300, 3), np.uint8)
    around[100:164, 50:114] = picture
    recipe = Recipe(bundle=tiny_bundle, region_of_interest=(50, 100, 114, 164))
    inspector = Inspector.load(recipe, device="cpu")
    assert inspector.fault_of(around) is None
    assert Inspector.load(Recipe(bundle=tiny_bundle), device="cpu").fault_of(around) is not None
    part_of_it = Inspector.load(Recipe(bundle=tiny_bundle, region_of_interest=(0, 0, 20, 20)), device="cpu")
    assert part_of_it.fault_of(picture) is None
    assert part_of_it.fault_of((picture * 0.1).astype(np.uint8)) is not None


def test_evaluation_judges_all_and_tells_what_the_gates_would_stop(tiny_bundle: Path, tmp_path: Path) -> None:
    data = read_labelled(write_set(tmp_path, count=20, seed=2, size_px=64))
    first = data.samples[0].path
    cv2.imwrite(str(first), (cv2.imread(str(first)) * 0.1).astype(np.uint8))
    found = evaluate(Bundle.load(tiny_bundle), data.samples, methods=["cam"], device="cpu")
    assert found.classification["stopped_by_gates"].value == 1 / 20
    assert [fault is not None for fault in found.faults] == [True] + [False] * 19
    assert all(one.verdict is not Verdict.ERROR for one in found.judgements)


@pytest.mark.parametrize(
    ("gates", "said"),
    [
        ({"limits": {"colour": [0, 1]}}, "unknown measures"),
        ({"limits": {"level": [9, 1]}}, "lies above"),
        ({"limits": {"level": [float("nan"), None]}}, "finite"),
        ({"widen": 0}, "greater"),
    ],
)
def test_wrong_gates_are_refused(gates: dict[str, object], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        GateSettings.model_validate(gates)
