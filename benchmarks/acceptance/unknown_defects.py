"""A class that training never saw: is it flagged? Each defect class of a set is left out of training in turn.

    python benchmarks/acceptance/board_crops.py DEEPPCB crops --references --boards 1000 --test-boards 500
    python benchmarks/acceptance/unknown_defects.py crops WORK [--json FILE] [-- OPTIONS OF kizu train]

CROPS is a folder with a manifest.csv in which every picture has one class and a split. For each class a model is trained on
WORK/CLASS.csv, which lacks it. Then the test pictures of the class, and the good ones, are judged as the line would:
`flagged` is the share of the unknown defects that go to REVIEW or REJECT, `by_score` what the defect score alone flags,
`by_novelty` what novelty alone flags; `good_rejected` and `good_flagged` are what that costs.
"""

from __future__ import annotations

import argparse
import csv
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from labelled_pictures import at_dashes, kizu

from kizu_inspect.bundle import Bundle
from kizu_inspect.evaluation.figures import wilson
from kizu_inspect.inspector import Inspector
from kizu_inspect.labelled.dataset import Sample, read_labelled
from kizu_inspect.labelled.picture_files import read_picture
from kizu_inspect.network.devices import pick_device
from kizu_inspect.recipe import Recipe
from kizu_inspect.results import Judgement, Verdict

BATCH = 64


def without(data: Path, unknown: str, out: Path) -> None:
    """The manifest `out`: the set's without the pictures of one class."""
    with (data / "manifest.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    with out.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, rows[0].keys())
        writer.writeheader()
        for row in rows:
            if row["label"] != unknown:
                named = {column: str((data / row[column]).resolve()) for column in ("path", "reference") if row[column]}
                writer.writerow(row | named)


def judge_all(inspector: Inspector, samples: Sequence[Sample]) -> list[Judgement]:
    """What the line says of the pictures."""
    judged: list[Judgement] = []
    for start in range(0, len(samples), BATCH):
        some = samples[start : start + BATCH]
        references = [None if sample.reference is None else read_picture(sample.reference) for sample in some]
        judged += inspector.judge([read_picture(sample.path) for sample in some], references=references).judgements
    return judged


def measure(bundle: Path, known: Sequence[Sample], unknown: Sequence[Sample]) -> dict[str, Any]:
    """Shares of the unknown defects and of the good pictures."""
    inspector = Inspector(Bundle.load(bundle), Recipe(bundle=bundle), device=pick_device("auto"), max_batch=BATCH)
    limit = inspector.bundle.spec.novelty

    def share(judged: Sequence[Judgement], *, score: bool, novelty: bool) -> dict[str, Any]:
        flagged = [
            (score and (one.score is None or one.score >= inspector.pass_below))
            or (novelty and limit is not None and one.novelty is not None and one.novelty > limit.limit)
            for one in judged
        ]
        return wilson(sum(flagged), len(flagged)).as_json()

    strange, good = judge_all(inspector, unknown), judge_all(inspector, known)
    return {
        "flagged": share(strange, score=True, novelty=True),
        "by_score": share(strange, score=True, novelty=False),
        "by_novelty": share(strange, score=False, novelty=True),
        "good_flagged": share(good, score=True, novelty=True),
        "good_by_score": share(good, score=True, novelty=False),
        "good_by_novelty": share(good, score=False, novelty=True),
        "good_rejected": wilson(sum(one.verdict is Verdict.REJECT for one in good), len(good)).as_json(),
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Prints a line a class."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="folder with manifest.csv")
    parser.add_argument("work", type=Path, help="new folder for manifests and models")
    parser.add_argument("--json", type=Path)
    own, training = at_dashes(sys.argv[1:] if arguments is None else arguments)
    given = parser.parse_args(own)
    data = read_labelled(given.data)
    given.work.mkdir(parents=True)
    found: dict[str, dict[str, Any]] = {}
    for unknown in (name for name in data.classes if name != data.good):
        manifest, bundle = given.work / f"{unknown}.csv", given.work / unknown
        without(given.data, unknown, manifest)
        kizu("train", str(manifest), "--out", str(bundle), *training)
        test = {name: [one for one in data.split("test") if one.label == name] for name in (data.good, unknown)}
        found[unknown] = measure(bundle, test[data.good], test[unknown])
        shares = ", ".join(f"{name} {one['value']:.3f}" for name, one in found[unknown].items())
        print(f"{unknown:12} n {len(test[unknown])}: {shares}", flush=True)
        if given.json is not None:
            given.json.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
