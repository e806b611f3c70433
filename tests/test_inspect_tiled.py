"""A model that judges large pictures in tiles, each beside its reference: trained, judged, explained."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from boards_world import HEIGHT, WIDTH, design, photo, spoil
from kizu_inspect import inspector as inspector_module
from kizu_inspect.bundle import Bundle
from kizu_inspect.decide import defect_log_odds, most_log_odds, picture_probabilities
from kizu_inspect.errors import ConfigError
from kizu_inspect.evaluation.evaluate import evaluate
from kizu_inspect.explain import EXPLAINERS
from kizu_inspect.inspector import Inspector
from kizu_inspect.labelled.dataset import read_labelled
from kizu_inspect.picture.heatmap import upsample
from kizu_inspect.picture.images import encode_png
from kizu_inspect.recipe import ExplanationSettings, Recipe, ReferenceSettings
from kizu_inspect.results import MapStatus, Verdict

CPU = torch.device("cpu")
COPPER, HOLE = (38, 20), (147, 121)
"""Where the board below has its defects; they lie in different tiles."""


def both_defects() -> tuple[np.ndarray, np.ndarray]:
    """A picture with a spot of copper and a hole, and its design, as RGB."""
    board = design(500)
    board[100:150, 140:170] = 50  # a large conductor, for the hole to lie in
    board[10:50, 28:64] = 200
    spoiled, _ = spoil(board, ["copper", "hole"], 500, places=[COPPER, HOLE])
    return photo(spoiled, 500), np.repeat(board[:, :, None], 3, axis=2)


def judge_of(bundle: Path, *, max_batch: int = 16, method: str = "grad-cam", **recipe: object) -> Inspector:
    chosen = Recipe.model_validate({"bundle": bundle, "explanation": ExplanationSettings(method=method), **recipe})
    return Inspector(Bundle.load(bundle), chosen, device=CPU, max_batch=max_batch)


def inside(region: object, corner: tuple[int, int]) -> bool:
    """Whether a region lies around the defect at `corner`."""
    x, y = corner[0] + 6, corner[1] + 6
    return region.x1 <= x < region.x2 and region.y1 <= y < region.y2  # type: ignore[attr-defined]


def test_defects_of_several_classes_are_all_reported_where_they_are(boards_bundle: Path) -> None:
    picture, reference = both_defects()
    judge = judge_of(boards_bundle)
    batch = judge.judge([picture], references=[reference])
    (explanation,) = judge.explain(batch, [0])
    assert batch.judgements[0].verdict is Verdict.REJECT
    assert sum(batch.judgements[0].probabilities.values()) == pytest.approx(1)
    assert set(batch.judgements[0].reason.split(":")[0].split(", ")) == {"copper", "hole"}
    found = {region.label: region for region in explanation.regions}
    assert set(found) == {"copper", "hole"}
    assert len(explanation.regions) == 2
    assert inside(found["copper"], COPPER)
    assert inside(found["hole"], HOLE)
    assert set(explanation.heatmap.target.split(", ")) == {"copper", "hole"}
    geometry = explanation.heatmap.geometry
    assert (geometry.width_px, geometry.height_px) == (WIDTH, HEIGHT)
    assert explanation.check is not None
    assert explanation.check.score_without < judge.pass_below < explanation.check.score_only
    assert not explanation.check.conflict


def test_the_picture_has_a_calibration_of_its_own_and_the_verdict_its_score(boards_bundle: Path) -> None:
    """Half of the validation boards set it; a region taken away is told on the same scale."""
    judge = judge_of(boards_bundle)
    calibration = judge.bundle.spec.calibration.picture
    assert calibration is not None
    picture, reference = both_defects()
    batch = judge.judge([picture], references=[reference])
    several = judge.bundle.spec.architecture.head.labels == "several"
    most = most_log_odds(batch.views_of(0), good=judge.bundle.good_index or 0, several=several)
    p = picture_probabilities(
        most[None], good=judge.bundle.good_index or 0, several=several,
        temperature=calibration.temperature, offset=calibration.offset,
    )  # fmt: skip
    assert list(batch.judgements[0].probabilities.values()) == pytest.approx(p[0].tolist())
    assert judge.check is not None
    assert judge.check.removed(batch, judge.maps(batch, [0]))[0].before == pytest.approx(
        defect_log_odds(p, good=judge.bundle.good_index or 0, several=several)[0]
    )


def test_a_board_like_its_design_passes_and_stays_cold(boards_bundle: Path) -> None:
    judge = judge_of(boards_bundle)
    designs = [design(seed) for seed in range(600, 612)]
    pictures = [photo(board, seed, shift=(seed % 5 - 2, seed % 3 - 1)) for seed, board in enumerate(designs)]
    batch = judge.judge(pictures, references=[np.repeat(board[:, :, None], 3, axis=2) for board in designs])
    assert [one.verdict for one in batch.judgements].count(Verdict.PASS) >= 11
    assert sum(len(one.regions) for one in judge.explain(batch, range(12))) <= 1


@pytest.mark.parametrize("method", ["cam", "grad-cam", "grad-cam++", "score-cam"])
def test_neither_batches_nor_what_was_kept_change_an_answer(
    boards_bundle: Path, method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    picture, reference = both_defects()
    clean = photo(design(501), 501)
    pictures, references = [picture, clean, picture], [reference, np.repeat(design(501)[:, :, None], 3, axis=2), reference]
    kept = judge_of(boards_bundle, max_batch=16, method=method)
    once = kept.judge(pictures, references=references)
    expected = kept.explain(once, [0, 1])
    monkeypatch.setattr(inspector_module, "KEPT_PX", 0)
    again = judge_of(boards_bundle, max_batch=5, method=method)
    batch = again.judge(pictures, references=references)
    assert all(chunk is None for chunk in batch.chunks)
    for one, other in zip(once.judgements, batch.judgements, strict=True):
        assert one.probabilities == pytest.approx(other.probabilities, abs=1e-5)
    for one, other in zip(expected, again.explain(batch, [2, 1]), strict=True):
        assert other.heatmap.maximum == pytest.approx(one.heatmap.maximum, rel=1e-4)
        assert np.abs(one.heatmap.grid.astype(float) - other.heatmap.grid).max() < 2e-3
        assert [region.label for region in one.regions] == [region.label for region in other.regions]
        assert one.check is not None
        assert other.check is not None
        assert one.check.score_without == pytest.approx(other.check.score_without, abs=1e-4)


def test_tiles_say_what_the_whole_picture_would(boards_bundle: Path) -> None:
    """The network is local and knows no picture's edge: seen whole, the map is the same but where a tile ends."""
    picture, reference = both_defects()
    judge = judge_of(boards_bundle, method="cam")
    (explanation,) = judge.explain(judge.judge([picture], references=[reference]), [0])
    batch = judge.judge([picture], references=[reference])
    sight = batch.sights[0]
    assert sight is not None
    assert sight.reference is not None
    model = judge.bundle.model
    images = torch.from_numpy(picture.copy()).permute(2, 0, 1)[None].float() / 255
    seen = model.explainable(images, torch.from_numpy(sight.reference.copy())[None, None].float() / 255)
    whole = [
        EXPLAINERS["cam"](seen, torch.tensor([judge.bundle.spec.classes.index(name)])).values[0].numpy()
        for name in ("copper", "hole")
    ]
    grid = explanation.heatmap.grid.astype(np.float32) * explanation.heatmap.maximum
    assert grid.shape == whole[0].shape == (HEIGHT // 8, WIDTH // 8)
    hot = np.maximum(*whole)
    assert np.corrcoef(grid[grid > 0], hot[grid > 0])[0, 1] > 0.98
    assert np.unravel_index(grid.argmax(), grid.shape) == np.unravel_index(hot.argmax(), hot.shape)


def test_only_the_region_of_interest_is_judged(boards_bundle: Path) -> None:
    picture, reference = both_defects()
    right = judge_of(boards_bundle, region_of_interest=(90, 0, 192, 160))
    batch = right.judge([picture], references=[reference])
    (explanation,) = right.explain(batch, [0])
    assert {region.label for region in explanation.regions} == {"hole"}
    assert (upsample(explanation.heatmap)[:, :85] == 0).all()
    empty = judge_of(boards_bundle, region_of_interest=(70, 0, 134, 100))
    assert empty.judge([picture], references=[reference]).judgements[0].verdict is Verdict.PASS


def test_what_cannot_be_judged_is_an_error_with_its_reason_and_nothing_else_suffers(boards_bundle: Path) -> None:
    picture, reference = both_defects()
    small, other = picture[:60], np.repeat(design(7)[:, :100, None], 3, axis=2)
    judge = judge_of(boards_bundle)
    batch = judge.judge([small, picture, picture, picture], references=[reference[:60], other, reference, None])
    verdicts = [one.verdict for one in batch.judgements]
    assert verdicts == [Verdict.ERROR, Verdict.ERROR, Verdict.REJECT, Verdict.ERROR]
    assert "picture is smaller than a tile: found 192 × 60 px; expected at least 64 × 64 px" in batch.judgements[0].reason
    assert "reference is of another size than the picture: found 100 × 160 px" in batch.judgements[1].reason
    assert "picture has no reference" in batch.judgements[3].reason
    explanations = judge.explain(batch, range(4))
    assert [one.heatmap.status for one in explanations] == [
        MapStatus.NON_FINITE, MapStatus.NON_FINITE, MapStatus.OK, MapStatus.NON_FINITE,
    ]  # fmt: skip
    assert upsample(explanations[0].heatmap).shape == (60, 192)
    beyond = judge_of(boards_bundle, region_of_interest=(0, 0, 400, 100)).judge([picture], references=[reference])
    assert "region of interest lies beyond the picture" in beyond.judgements[0].reason
    assert judge.explain(judge.judge([]), []) == []


def test_a_recipe_finds_the_references(boards_bundle: Path, tmp_path: Path) -> None:
    picture, reference = both_defects()
    (tmp_path / "b7_temp.png").write_bytes(encode_png(reference))
    settings = ReferenceSettings(path=tmp_path, pattern=r"(.+)_test[.]png", name=r"\1_temp.png")
    judge = Inspector.load(Recipe(bundle=boards_bundle, reference=settings), device="cpu")
    found, lacking = judge.judge([picture, picture], names=["b7_test.png", "b8_test.png"]).judgements
    assert found.verdict is Verdict.REJECT
    assert (lacking.verdict, "b8_temp.png" in lacking.reason) == (Verdict.ERROR, True)
    one = Recipe(bundle=boards_bundle, reference=ReferenceSettings(path=tmp_path / "b7_temp.png"))
    assert Inspector.load(one, device="cpu").judge([picture]).judgements[0].probabilities == found.probabilities
    with pytest.raises(ConfigError, match=r"compares with a reference: found no recipe.reference"):
        Inspector.load(Recipe(bundle=boards_bundle), device="cpu")


def test_evaluation_counts_the_defects_that_regions_cover(boards_bundle: Path, boards_set: Path) -> None:
    samples = read_labelled(boards_set).split("test")
    figures = evaluate(Bundle.load(boards_bundle), samples, methods=["cam"], device="cpu")
    cam = {name: figure.value for name, figure in figures.explanation["cam"].items()}
    covered = cam["covered"]
    assert covered is not None
    assert covered > 0.8
    assert figures.explanation["cam"]["covered"].n == sum(len(sample.boxes) for sample in samples)
    assert cam["named"] is not None
    assert cam["named"] > 0.8
    assert cam["false_regions"] is not None
    assert cam["false_regions"] < 0.5
