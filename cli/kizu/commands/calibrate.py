"""kizu calibrate: other limits for a trained model."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape
from rich.table import Table

from kizu.console import JsonOption, progress_bar, screen, write_json
from kizu.labelled_set import UnlabelledOption, tell, unlabelled_choice
from kizu.new_bundle import ReplaceOption, check_new_bundle
from kizu_inspect.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kizu_inspect.training.thresholds import TradeOff

__all__ = ["calibrate_command", "trade_off_table"]


def calibrate_command(
    bundle: Annotated[Path, typer.Argument(help="Folder of the trained model.")],
    data: Annotated[
        Path, typer.Argument(help="The set that it was trained from, or pictures like the line's, with a val split.")
    ],
    out: Annotated[Path, typer.Option(help="Folder of the new bundle.")],
    promise: Annotated[float, typer.Option(help="Miss rate that the PASS limit promises.", min=0.0001, max=0.9999)] = 0.05,
    overkill: Annotated[float, typer.Option(help="Overkill that the REJECT limit keeps.", min=0, max=1)] = 0.01,
    replace: ReplaceOption = False,
    unlabelled: UnlabelledOption = "refuse",
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    json: JsonOption = None,
) -> None:
    """Set other limits, and see what they cost. Example: kizu calibrate plates parts --promise 0.02 --out strict"""
    from kizu_inspect.bundle import Bundle
    from kizu_inspect.labelled.dataset import read_as_trained, shared_out_anew
    from kizu_inspect.training.calibrate import halves_of
    from kizu_inspect.training.draw_limits import write_trade_off
    from kizu_inspect.training.picture_rows import limiting_pictures
    from kizu_inspect.training.thresholds import choose_thresholds, judge_samples, novelty_limit, trade_off

    loaded = Bundle.load(bundle)
    if loaded.spec.good is None:
        raise ConfigError("no class of this model is good", found=str(bundle), expected="a model with limits to set")
    if out.resolve() == bundle.resolve():
        raise ConfigError(
            "the new bundle would overwrite the old one", found=str(out), expected="another folder",
            next_step="Records name a model by its bundle: keep both.",
        )  # fmt: skip
    check_new_bundle(out, replace=replace)
    labelled = read_as_trained(data, loaded.spec, unlabelled=unlabelled_choice(unlabelled))
    tell([*labelled.warnings, *shared_out_anew(labelled, loaded.spec)], labelled.left_out)
    samples = labelled.split("val")
    # The other half chose the weights and the temperature: on it the model looks better than it is.
    halves = halves_of(samples, seed=loaded.spec.provenance.seed)
    chosen = [samples[row] for row in halves.limiting]
    with progress_bar("Judging", len(chosen)) as bar:
        scored = judge_samples(
            loaded, chosen, device, progress=lambda done: bar.update(bar.task_ids[0], completed=done)  # type: ignore[arg-type]  # pick_device refuses other words
        )  # fmt: skip
    scored = dataclasses.replace(scored, apart=halves.apart)
    choice = choose_thresholds(scored, promised_miss_rate=promise, overkill_limit=overkill)
    rows = trade_off(scored, overkill_limit=overkill)
    limits = {"thresholds": choice.thresholds, "novelty": novelty_limit(scored)}
    made = Bundle.save(out, loaded.spec.model_copy(update=limits), loaded.model)
    limiting = limiting_pictures(choice.supports, chosen, scored.scores)
    write_trade_off(out / "trade_off.png", scored, choice.thresholds, limiting, loaded.spec.input.bits)
    if json is not None:
        write_json(
            json,
            {
                "model": made.hash,
                "thresholds": choice.thresholds.model_dump(),
                "cautions": list(choice.cautions),
                "rests_on": [
                    {"limit": support.limit, "picture": str(chosen[one.picture].path), "without": one.without}
                    for support in choice.supports
                    for one in support.named
                ],
                "trade_off": [
                    {
                        "promise": row.promised_miss_rate,
                        "needed": row.needed,
                        "thresholds": None if row.chosen is None else row.chosen.model_dump(),
                        "reviewed": row.reviewed,
                        "rejected": row.rejected,
                    }
                    for row in rows
                ],
            },
        )
    if str(json) == "-":
        return
    screen.print(trade_off_table(rows))
    screen.print(escape(choice.lines))
    screen.print(f"bundle {out} ({made.hash[:12]}), drawn in {out / 'trade_off.png'}")


def trade_off_table(rows: Sequence[TradeOff]) -> Table:
    """What each promise costs, a row each."""
    table = Table(
        "promise", "PASS below", "REJECT from", "missed", "bound", "good to REVIEW", "good rejected", box=None,
        caption="* too few defective pictures, or too many missed: so many without a miss are needed", caption_justify="left",
    )  # fmt: skip
    for row in rows:
        if row.chosen is None or row.chosen.promise is None or row.reviewed is None or row.rejected is None:
            table.add_row(f"{row.promised_miss_rate:.1%}", "–", "–", f"needs {row.needed}*", "–", "–", "–")
            continue
        promise = row.chosen.promise
        table.add_row(
            f"{row.promised_miss_rate:.1%}", f"{row.chosen.pass_below:.3f}", f"{row.chosen.reject_from:.3f}",
            f"{promise.missed} of {promise.defective_parts}", f"{promise.bound:.2%}",
            f"{row.reviewed:.1%}", f"{row.rejected:.1%}",
        )  # fmt: skip
    return table
