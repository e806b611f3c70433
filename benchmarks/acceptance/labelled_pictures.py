"""The whole way on real pictures: trains on a labelled set, runs the line over its test pictures, and measures from the rows.

    python benchmarks/acceptance/labelled_pictures.py DATA [--bundle BUNDLE] [--json FILE] [-- OPTIONS OF kizu train]
    python benchmarks/acceptance/labelled_pictures.py tiles/split.csv -- --good Free --profile plain --minutes 5

DATA is what `kizu train` takes. Copies of the test split's pictures go into a watched folder, `kizu run --once` judges them,
and the figures are summed from the rows of its database: accuracy, AUROC of good against defect, misses and overkill with
intervals, pictures a second. `by_group` draws whole groups (parts, exposures) for its intervals, since pictures of one
group are no independent observations: the AUROC, and the misses where 5 % of the good pictures are rejected. With `--bundle`
that model judges, nothing is trained. Exits 1 unless every file has exactly one row, was judged and left the folder; how good
the model is decides nothing here.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import yaml
from sklearn.metrics import roc_auc_score

from kizu_db.records import Records
from kizu_db.settings import DatabaseSettings
from kizu_inspect.bundle import Bundle
from kizu_inspect.evaluation.classification import classification_figures
from kizu_inspect.evaluation.figures import Figure, bootstrap
from kizu_inspect.labelled.dataset import read_as_trained
from kizu_inspect.results import Judgement, Verdict


def kizu(*arguments: str) -> None:
    """Runs the command as a user would; SystemExit where it fails."""
    done = subprocess.run([sys.executable, "-c", "from kizu.main import main; main()", *arguments], check=False)
    if done.returncode != 0:
        raise SystemExit(f"kizu {arguments[0]} ended with exit code {done.returncode}")


def inspect_all(work: Path, data: Path, bundle: Path) -> dict[str, Any]:
    """Runs the line over the test split and sums its rows."""
    spec = Bundle.load(bundle).spec
    samples = read_as_trained(data, spec).split("test")
    incoming = work / "incoming"
    incoming.mkdir()
    label_of, group_of = {}, {}
    for number, sample in enumerate(samples):
        copy = incoming / f"{number:06d}{sample.path.suffix}"
        shutil.copyfile(sample.path, copy)
        label_of[copy.name] = sample.label
        group_of[copy.name] = sample.group
    settings = {
        "database": {"url": f"sqlite:///{work / 'kizu.db'}"},
        "images": {"path": str(work / "images")},
        "station": {
            "id": "acceptance",
            "source": {"kind": "folder", "path": str(incoming), "done": str(work / "done"),
                       "quarantine": str(work / "quarantine"), "settle_s": 0.2},
            "recipe": {"bundle": str(bundle.resolve()), "allow_no_promise": True},
        },
    }  # fmt: skip
    config = work / "kizu.yaml"
    config.write_text(yaml.safe_dump(settings), encoding="utf-8")
    kizu("run", "--once", "--config", str(config), "--json", str(work / "run.json"))
    run = json.loads((work / "run.json").read_text(encoding="utf-8"))
    with Records.open(DatabaseSettings(url=f"sqlite:///{work / 'kizu.db'}")) as records, records.unit(read_only=True) as unit:
        found = [unit.inspections.get(row.uid) for row in unit.inspections.latest(limit=len(samples) * 2 + 10)]
    rows = [one for one in found if one is not None]
    per_file = Counter(row.image_name for row in rows)
    judgements = [
        Judgement(row.row.verdict, row.row.reason, row.probabilities, row.row.predicted, row.row.target, row.row.score)
        for row in rows
    ]
    figures = classification_figures(judgements, [label_of[row.image_name] for row in rows], spec.good)
    left = sum(1 for _ in incoming.glob("[0-9]*"))
    errors = sum(row.row.verdict is Verdict.ERROR for row in rows)
    return {
        "files": len(samples),
        "rows": len(rows),
        "files_left": left,
        "errors": errors,
        "pictures_per_s": run["pictures_per_s"],
        "device": run["device"],
        "verdicts": run["verdicts"],
        "by_group": {}
        if spec.good is None
        else {
            name: figure.as_json()
            for name, figure in by_group(
                np.array([row.row.score for row in rows], np.float64),
                np.array([label_of[row.image_name] != spec.good for row in rows]),
                [group_of[row.image_name] for row in rows],
            ).items()
        },
        "classification": {name: figure.as_json() for name, figure in figures.items()},
        "passed": set(per_file) == set(label_of) and set(per_file.values()) <= {1} and left == 0 and errors == 0,
    }


def by_group(scores: npt.NDArray[np.float64], defective: npt.NDArray[np.bool_], groups: Sequence[str]) -> dict[str, Figure]:
    """`auroc` and `miss_at_5_overkill` with intervals over whole groups."""
    pictures_of: dict[str, list[int]] = {}
    for index, group in enumerate(groups):
        pictures_of.setdefault(group, []).append(index)
    members = [np.array(one) for one in pictures_of.values()]

    def drawn(rows: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        return np.concatenate([members[row] for row in rows])

    def auroc(rows: npt.NDArray[np.int64]) -> float:
        chosen = drawn(rows)
        return float(roc_auc_score(defective[chosen], scores[chosen]))

    def missed(rows: npt.NDArray[np.int64]) -> float:
        chosen = drawn(rows)
        bad, good = scores[chosen][defective[chosen]], scores[chosen][~defective[chosen]]
        return float((bad <= np.quantile(good, 0.95)).mean())

    return {"auroc": bootstrap(len(members), auroc), "miss_at_5_overkill": bootstrap(len(members), missed)}


def at_dashes(arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    """The script's own arguments, and after `--` those of kizu train."""
    where = arguments.index("--") if "--" in arguments else len(arguments)
    return list(arguments[:where]), list(arguments[where + 1 :])


def main(arguments: Sequence[str] | None = None) -> int:
    """Prints the figures as JSON; 0 when every picture has exactly one row and left the folder."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="folder of class folders, or a manifest CSV")
    parser.add_argument("--bundle", type=Path, help="a trained bundle (default: one is trained)")
    parser.add_argument("--json", type=Path, help="file for the figures (default: standard output)")
    own, training = at_dashes(sys.argv[1:] if arguments is None else arguments)
    given = parser.parse_args(own)
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        bundle, begun = given.bundle, time.monotonic()
        if bundle is None:
            bundle = work / "bundle"
            kizu("train", str(given.data), "--out", str(bundle), *training)
        outcome = {
            "training": training,
            "training_s": round(time.monotonic() - begun),
            "steps": Bundle.load(bundle).spec.provenance.steps,
            **inspect_all(work, given.data, bundle),
        }
    text = json.dumps(outcome, indent=2)
    if given.json is not None:
        given.json.write_text(text + "\n", encoding="utf-8")
    print(text)
    return 0 if outcome["passed"] else 1


if __name__ == "__main__":
    raise SystemExit(main())
