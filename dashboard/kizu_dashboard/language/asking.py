"""Which language a browser is answered in: its reader's choice, else the plant's, else what the browser asks for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final
from urllib.parse import quote

from kizu_dashboard.language.speaking import ENGLISH, LANGUAGES
from kizu_dashboard.settings import DashboardSettings
from kizu_dashboard.signing_in.sessions import own_cookie

__all__ = ["CHOOSE", "COOKIE", "choose_address", "language_for"]

CHOOSE: Final = "/language/"
"""With a language's code behind it, where a choice is sent to."""
COOKIE: Final = "kizu-language"


def language_for(cookies: Mapping[str, str], accepted: str | None, settings: DashboardSettings) -> str:
    """One of LANGUAGES. `accepted` is the header Accept-Language, None where the browser sent none."""
    chosen = cookies.get(own_cookie(COOKIE, settings))
    if chosen in LANGUAGES:
        return chosen
    return settings.language or _best(accepted or "")


def choose_address(language: str, *, signing_in: str | None = None) -> str:
    """Where a form is sent that chooses this language; on the page for signing in with the path to go to afterwards."""
    return CHOOSE + language + ("" if signing_in is None else f"?next={quote(signing_in, safe='')}")


def _best(accepted: str) -> str:
    """The first language that there is, of those in the header by falling weight: `ko-KR,ko;q=0.9,en;q=0.8`."""
    asked = []
    for piece in accepted.split(","):
        name, _, weight = piece.partition(";")
        try:
            asked.append((float(weight.strip().removeprefix("q=")) if weight else 1.0, name.strip().lower().split("-")[0]))
        except ValueError:
            continue  # what cannot be read asks for nothing
    ranked = (name for weight, name in sorted(asked, key=lambda one: -one[0]) if weight > 0)
    return next((name for name in ranked if name in LANGUAGES), ENGLISH)
