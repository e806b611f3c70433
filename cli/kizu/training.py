"""What a person sees of a training under way, how they end it, and what is left of one that breaks off."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Event
from types import FrameType
from typing import TYPE_CHECKING, Final

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from kizu.candidates import LEAST_STEPS

if TYPE_CHECKING:
    from kizu_inspect.training.fit import History, Standing
    from kizu_inspect.training.plan import Plan
    from kizu_inspect.training.train import Trained

__all__ = ["TrainingShown", "drawn_report", "steps_taken", "training_shown"]

ERROR_STREAM: Final = 2
ENDING: Final = (
    b"\nThe training ends: with its best model so far, which is calibrated and written, or where there is none yet with a "
    b"checkpoint to go on from. Ctrl-C once more leaves at once.\n"
)


class TrainingShown:
    """A bar on a terminal, else a line for each look at the validation pictures."""

    def __init__(self, bar: Progress, say: Callable[[str], None], out: Path) -> None:
        self.stop: Final = Event()
        """Set once somebody has asked for the end."""
        self._bar, self._say, self._out = bar, say, out
        self._task = bar.add_task("Training", total=1.0, note="")
        self._validation: tuple[float, float] | None = None
        self._unkept: str | None = None
        self._begun = False

    def begin(self, plan: Plan) -> None:
        """Another training begins."""
        self._begun = True
        self._validation = None
        self._bar.reset(self._task, total=1.0, note="")
        if plan.seconds is None or plan.seconds_a_step is None:
            return
        least_minutes = (plan.seconds_a_step * LEAST_STEPS + plan.ending_s) / 60
        if plan.steps < LEAST_STEPS:
            self._say(
                f"Only about {plan.steps} steps fit into the time, and with fewer than {LEAST_STEPS} a network has hardly "
                f"begun to learn: they would take {least_minutes:.1f} minutes."
            )
        elif plan.least_steps * plan.seconds_a_step > plan.seconds:
            self._say(f"The least steps take about {least_minutes:.1f} minutes here. --minutes says how long it may take.")

    def advance(self, standing: Standing) -> None:
        """A step was taken."""
        self._validation = standing.validation or self._validation
        stands = _stands(standing, self._validation)
        if standing.validation is not None and self._bar.disable:
            self._say(stands)
        if standing.unkept is not None and standing.unkept != self._unkept:
            self._unkept = standing.unkept
            self._say(f"No checkpoint can be written, and the training goes on without: {escape(standing.unkept)}")
        note = stands if standing.share < 1 else "calibrating, and setting limits and scales"
        self._bar.update(self._task, completed=standing.share, note=note)

    def ask(self, _number: int, _frame: FrameType | None) -> None:
        """A signal came: the first ends the training at its next step, another one, or one before the first step, all."""
        if self.stop.is_set() or not self._begun:
            raise KeyboardInterrupt
        self.stop.set()
        with suppress(OSError):  # nobody has to read it
            os.write(ERROR_STREAM, ENDING)  # print may be in the middle of another line

    def say_what_is_kept(self) -> None:
        """Says on the error stream where a training that broke off goes on from."""
        from kizu_inspect.training.checkpoints import folder_of

        folder = folder_of(self._out)
        if self._begun and folder.exists():
            typer.echo(
                f"The training up to its last checkpoint is kept in {folder}: the same command with --resume goes on.", err=True
            )


@contextmanager
def training_shown(out: Path, say: Callable[[str], None]) -> Iterator[TrainingShown]:
    """Shows the training of the bundle `out`, `say`ing what stays on the screen.

    Ctrl-C or SIGTERM ends it early with its best model so far; the second exits with 130.
    """
    bar = Progress(
        TextColumn("Training"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn(), TextColumn("{task.fields[note]}"),
        console=Console(stderr=True), disable=not sys.stderr.isatty(), transient=True,
    )  # fmt: skip
    with bar:
        shown = TrainingShown(bar, say, out)
        former = {one: signal.signal(one, shown.ask) for one in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield shown
        except KeyboardInterrupt:
            shown.say_what_is_kept()
            raise typer.Exit(130) from None
        except BaseException:  # whatever ends it, a person is told from where it goes on; it is raised again
            shown.say_what_is_kept()
            raise
        finally:
            for one, handler in former.items():
                signal.signal(one, handler)


def drawn_report(trained: Trained, out: Path) -> str:
    """Draws the report beside the bundle, and says where it lies; or why there is none: the bundle is whole without it.

    As rich's markup.
    """
    from kizu_inspect.training.report import write_report

    try:
        return escape(f"report {write_report(trained, out)}")
    except Exception as error:  # noqa: BLE001 - whatever a drawing fails of (a font, a full disk), a trained model is not lost
        with suppress(OSError):
            (out / "training.png").unlink()  # that of an older bundle would be taken for this one's
        return escape(f"no report could be drawn: {error}")


def _stands(standing: Standing, validation: tuple[float, float] | None) -> str:
    step, planned, loss = standing.step, standing.planned, standing.loss
    if validation is None:
        return f"step {step} of {planned}: loss {loss:.3f}"
    of_validation, accuracy = validation
    return f"step {step} of {planned}: loss {loss:.3f}, validation loss {of_validation:.3f}, accuracy {accuracy:.3f}"


def steps_taken(history: History) -> str:
    """How many of the planned steps were taken."""
    taken, planned, best = history.taken, history.planned, history.best_step
    if history.ended_early:
        return f"The training was ended early at step {taken} of {planned}; its best model is that of step {best}."
    return f"{taken} of {planned} steps were taken; the best model is that of step {best}."
