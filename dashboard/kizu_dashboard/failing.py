"""What people read when something fails: a sentence and a next step. Addresses and the system's own words go to the log."""

from __future__ import annotations

from typing import Final

import structlog

from kizu_dashboard.language.speaking import known, marked, say
from kizu_inspect.errors import KizuError, RecordError, RecordsAway

__all__ = ["AWAY_SENTENCE", "OF_THE_RECORDS", "error_text", "failure_text"]

AWAY_SENTENCE: Final = marked("The records cannot be reached at the moment.")

OF_THE_RECORDS: Final = (
    marked("A user needs a name"),
    marked("That name is taken"),
    marked("The name holds a character that nobody sees"),
    marked("letters, digits, signs and blanks"),
    marked("another one, in upper or lower case"),
    marked("There is no such user"),
    marked("Make somebody else an admin first."),
    marked("The first user must manage the others"),
    marked("Enter an admin first."),
    marked("Ask an admin: `kizu user list` shows who is one."),
    marked("There is no such lot"),
    marked("a lot of which a part was inspected"),
    marked("The part is not yours any more"),
    marked("The review to be corrected does not belong to this inspection"),
    marked("Reload the page and decide again."),
    marked("Reload the page to see the newer review, then decide."),
)
"""What the records say to people on pages, which know no other language there."""

_log = structlog.get_logger("kizu.dashboard")


def failure_text(error: KizuError) -> str:
    """The sentence for the page; the whole error is told in the log."""
    _log.warning("failed", error=str(error), kind=type(error).__name__)
    if isinstance(error, RecordsAway):
        return say("The records cannot be reached at the moment. Nothing of this step was stored; try again.")
    if isinstance(error, RecordError) and "://" in str(error):  # a database's own words name its address
        return say("The records refused this step, and nothing of it was stored. The dashboard's log says why.")
    return error_text(error)


def error_text(error: KizuError) -> str:
    """What it says, in the reader's language as far as its texts are ours; what was found stays letter by letter."""
    what, found, expected = known(error.what), error.found, error.expected
    if isinstance(found, str):
        found = known(found)
    if isinstance(expected, str):
        expected = known(expected)
    if found is not None and expected is not None:
        said = say("{what}: found {found}; expected {expected}", what=what, found=found, expected=expected)
    elif found is not None:
        said = say("{what}: found {found}", what=what, found=found)
    elif expected is not None:
        said = say("{what}: expected {expected}", what=what, expected=expected)
    else:
        said = what
    if error.next_step is not None:
        said = f"{said.rstrip('.')}. {known(error.next_step)}"
    return " ".join(said.split())
