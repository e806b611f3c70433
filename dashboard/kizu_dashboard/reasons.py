"""A verdict's reason, which the line wrote in English, in the reader's language: sentence by sentence, where all are known."""

from __future__ import annotations

import re
from typing import Final

from kizu_dashboard.language.speaking import known, marked

__all__ = ["reason_said"]

_PARTS: Final = (
    marked("{named}: defect score {score} ≥ reject limit {limit}"),
    marked("{named}: defect score {score} between pass limit {low} and reject limit {high}"),
    marked("defect score {score} < pass limit {limit}"),
    marked("no class is good"),
    marked("most probable: {named} ({score})"),
    marked("unlike the training pictures: novelty {score} > limit {limit}"),
    marked("critical: {named}"),
    marked("minor: {named}"),
)
"""What `kizu_inspect.decide` writes, with `; ` between."""
_NUMBER: Final = r"[0-9.e+-]+"


def _pattern(part: str) -> re.Pattern[str]:
    """What this part looks like in a record: names hold neither the mark between parts nor that before the score."""
    pieces = re.split(r"\{(\w+)\}", part)
    places = [f"(?P<{name}>{'[^;:]+' if name == 'named' else _NUMBER})" for name in pieces[1::2]]
    texts = [re.escape(text) for text in pieces[::2]]
    return re.compile("".join(one + other for one, other in zip(texts, [*places, ""], strict=True)))


_PATTERNS: Final = {part: _pattern(part) for part in _PARTS}


def reason_said(reason: str) -> str:
    """The reason; letter by letter as the line wrote it where a part of it is not known."""
    said = [_part_said(part) for part in reason.split("; ")]
    return "; ".join(part for part in said if part is not None) if None not in said else reason


def _part_said(text: str) -> str | None:
    for part, pattern in _PATTERNS.items():
        found = pattern.fullmatch(text)
        if found is not None:
            return known(part).format(**found.groupdict())
    return None
