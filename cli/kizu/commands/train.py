"""kizu train: from labelled pictures to a bundle."""

from __future__ import annotations

import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape

from kizu.candidates import Asked, backbones_for, candidates_for
from kizu.commands.calibrate import trade_off_table
from kizu.console import screen, write_json
from kizu.labelled_set import (
    BitsOption,
    GoodOption,
    GroupOption,
    SetArgument,
    UnlabelledOption,
    bit_depth,
    tell,
    unlabelled_choice,
)
from kizu.new_bundle import ReplaceOption, check_new_bundle
from kizu.train_options import (
    BackboneOption,
    CompareOption,
    ComparisonOption,
    DeviceOption,
    HeadOption,
    LabelsOption,
    MinutesOption,
    NameOption,
    OutOption,
    PlacesOption,
    ProfileOption,
    PromiseOption,
    ResumeOption,
    SeedOption,
    SettingsOption,
    SizeOption,
    StepsOption,
    TileOption,
    WeightsOption,
)
from kizu.training import drawn_report, steps_taken, training_shown
from kizu_inspect.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from kizu_inspect.comparing.compare import Comparison
    from kizu_inspect.labelled.dataset import LabelledSet
    from kizu_inspect.training.plan import Plan
    from kizu_inspect.training.settings import TrainingSettings
    from kizu_inspect.training.train import Trained

__all__ = ["train_command"]


def train_command(
    data: SetArgument,
    out: OutOption,
    replace: ReplaceOption = False,
    name: NameOption = None,
    good: GoodOption = None,
    labels: LabelsOption = "one",
    unlabelled: UnlabelledOption = "refuse",
    group_pattern: GroupOption = None,
    bits: BitsOption = None,
    steps: StepsOption = None,
    minutes: MinutesOption = None,
    resume: ResumeOption = False,
    profile: ProfileOption = None,
    size: SizeOption = None,
    tile: TileOption = None,
    backbone: BackboneOption = None,
    weights: WeightsOption = None,
    compare: CompareOption = False,
    promise: PromiseOption = 0.05,
    places: PlacesOption = True,
    head: HeadOption = "evidence",
    settings: SettingsOption = None,
    seed: SeedOption = 0,
    device: DeviceOption = "auto",
    json: ComparisonOption = None,
) -> None:
    """Train, calibrate and set thresholds. Example: kizu train parts --out bundles/plates"""
    begun = time.monotonic()
    from kizu.squeezing import tiling_for
    from kizu.training_file import load_training_file
    from kizu_inspect.labelled.checking.near_twins import near_twins_of
    from kizu_inspect.labelled.dataset import learned_as_first, read_labelled
    from kizu_inspect.training.likely_profiles import likely_profiles
    from kizu_inspect.training.settings import COARSE_PX

    check_new_bundle(out, replace=replace)
    rest = load_training_file(settings)
    backbones = backbones_for(backbone or (), compare=compare)
    depth = bit_depth(bits)
    labelled = read_labelled(data, good=good, group_pattern=group_pattern, seed=seed, unlabelled=unlabelled_choice(unlabelled))
    tell([*labelled.warnings, *near_twins_of(labelled, depth)], labelled.left_out)
    say = (Console(stderr=True, highlight=False, soft_wrap=True) if str(json) == "-" else screen).print
    profiles: tuple[str, ...] = tuple(dict.fromkeys(profile or ["auto"]))
    tiling = tiling_for(
        labelled, tile=tile, size=size, places=places, profiles=profiles, cell_px=rest.network.cell_px or COARSE_PX
    )
    alone = labels == "one" and tiling.tile_px is None  # tiles tell of every class that a picture shows
    tell([*tiling.warnings, *(learned_as_first(labelled.samples) if alone else ())], None)
    for line in tiling.said:
        say(line)
    if "auto" in profiles:
        profiles = likely_profiles(labelled, tiled=tiling.tile_px is not None, bits=depth)
    asked = Asked(
        name=name or out.name, backbones=backbones, profiles=profiles, compare=compare, steps=steps, minutes=minutes, size=size,
        tile=tiling.tile_px, bits=depth, places=places, head=head, labels=labels, promise=promise, weights=weights, seed=seed,
        device=device, rest=rest,
    )  # fmt: skip
    several = len(asked.names) > 1
    if json is not None and not several:
        raise ConfigError(
            "nothing is compared that could be written", found="--json", next_step="Add --compare, or leave it out."
        )
    candidates = candidates_for(asked, labelled)
    counts = ", ".join(f"{len(labelled.split(split))} {split}" for split in ("train", "val", "test"))
    say(f"{len(labelled.classes)} classes ({', '.join(labelled.classes)}), good: {labelled.good}; pictures: {counts}")
    trained, comparison = _train(labelled, out, candidates, say, begun=begun, resume=resume)
    _tell_result(trained, comparison, out, say, overkill_limit=next(iter(candidates.values())).overkill_limit)
    if comparison is not None and json is not None:
        write_json(json, comparison.as_json())
    if several:
        say(f"These pictures chose it and flatter it: kizu evaluate {out} {data} says what it is worth on others.")


def _train(
    labelled: LabelledSet,
    out: Path,
    candidates: Mapping[str, TrainingSettings],
    say: Callable[[str], None],
    *,
    begun: float,
    resume: bool,
) -> tuple[Trained, Comparison | None]:
    """The bundle `out` of the only candidate, or of the one that a comparison of several recommends."""
    from kizu_inspect.training.train import train

    with training_shown(out, say) as shown:

        def begin(one: str, plan: Plan) -> None:
            height, width = candidates[one].input.size_px
            each = "" if plan.seconds_a_step is None else f" of {plan.seconds_a_step:.3f} s"
            say(f"{one}: {plan.steps} steps{each}, input {height} × {width} px")
            shown.begin(plan)

        if len(candidates) > 1:
            from kizu_inspect.comparing.compare import compare  # it evaluates too: seconds that one training need not wait

            return compare(
                labelled, out, candidates, begun=begun, resume=resume, stop=shown.stop, on_plan=begin, progress=shown.advance,
                on_failed=lambda one, reason: say(f"{one} left out: {reason}"),
            )  # fmt: skip
        ((only, settings),) = candidates.items()
        trained = train(
            labelled, out, settings, begun=begun, resume=resume, stop=shown.stop, on_plan=partial(begin, only),
            progress=shown.advance,
        )  # fmt: skip
        return trained, None


def _tell_result(
    trained: Trained, comparison: Comparison | None, out: Path, say: Callable[[object], None], *, overkill_limit: float
) -> None:
    from kizu.comparison import cautions, comparison_table
    from kizu_inspect.training.contradictions import said_of
    from kizu_inspect.training.thresholds import trade_off

    spec = trained.bundle.spec
    report = drawn_report(trained, out)
    say(steps_taken(trained.history))
    if comparison is None:
        figures = spec.provenance.figures
        say(f"validation accuracy {figures['validation_accuracy']:.3f}, loss {figures['validation_loss']:.3f}")
    else:
        write_json(out / "comparison.json", comparison.as_json())
        say(comparison_table(comparison))
        for caution in cautions(comparison):
            say(caution)
    if trained.scored is not None:
        say(trade_off_table(trade_off(trained.scored, overkill_limit=overkill_limit)))
    say(escape(trained.said))
    say(escape(said_of(trained.contradicted)))
    if spec.refine == "pixels":
        say("no places of defects were learned: maps are refined to pixels (explanation.refine: none stops it)")
    say(f"bundle {out} ({trained.bundle.hash[:12]}, profile {spec.input.profile}), {report}")
