"""Saying a text in the reader's language. English stands in the code; what a catalogue lacks is said in English.

Which language that is belongs to one request or one browser window, never to the process: two readers may look at once.
"""

from __future__ import annotations

import gettext
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final, TypeVar

from kizu_dashboard.language.catalogues import translations_of

__all__ = ["ENGLISH", "LANGUAGES", "ask_sessions", "known", "language_now", "marked", "say", "say_count", "speaking"]

ENGLISH: Final = "en"
LANGUAGES: Final = {ENGLISH: "English", "ko": "한국어"}
"""Each by its code, as its own readers call it."""

Text = TypeVar("Text", bound=str)

_chosen: ContextVar[str | None] = ContextVar("kizu-language", default=None)
_of_session: Callable[[], str | None] = lambda: None  # noqa: E731 - it is replaced, not called by this name


def ask_sessions(of_session: Callable[[], str | None]) -> None:
    """From now on `of_session` tells the language where nobody set one: it knows which browser a script is run for.

    Scripts, their fragments and callbacks run in threads of the server, each for one browser and without a beginning that
    they share. So they are asked whom they speak to, instead of being told at each of their beginnings.
    """
    global _of_session
    _of_session = of_session


@contextmanager
def speaking(language: str) -> Iterator[None]:
    """What is said inside is said in this language. Raises ValueError for one that is none of LANGUAGES."""
    if language not in LANGUAGES:
        raise ValueError(f"expected one of {', '.join(LANGUAGES)}, found {language!r}")
    token = _chosen.set(language)
    try:
        yield
    finally:
        _chosen.reset(token)


def language_now() -> str:
    """The language in which this very thread or request speaks: one of LANGUAGES."""
    language = _chosen.get()
    if language is None:
        language = _of_session()
        if language is not None:
            _chosen.set(language)  # a script's thread serves one browser, and ends with the run
    return language or ENGLISH


def say(text: str, **named: object) -> str:
    """The text in the reader's language, with what belongs into its {named} places.

    Write the text itself into the call: `make texts` finds it there.
    """
    return _now().gettext(text).format(**named)


def say_count(one: str, many: str, count: int, **named: object) -> str:
    """The same of a text that depends on a number, which is {count} in it."""
    return _now().ngettext(one, many, count).format(count=count, **named)


def marked(text: Text) -> Text:
    """The text itself, which the catalogues have from here on: to be said by `known` where it is shown."""
    return text


def known(text: str) -> str:
    """A text that is a value: in the reader's language where it is one of ours, else letter by letter."""
    return _now().gettext(text) if text else text


def _now() -> gettext.NullTranslations:
    return translations_of(language_now())
