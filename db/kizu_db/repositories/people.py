"""What the repositories of people share: how a name finds its person, and how a secret is kept."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from typing import Final

from sqlalchemy import case, select
from sqlalchemy.orm import Session

from kizu_db.tables import UserTable
from kizu_inspect.errors import RecordError

__all__ = ["find_person", "folded", "person_named", "secret_sha256", "tidy", "unseen"]

# Letters and marks by Unicode, for which nothing is drawn: fillers of Hangul, the joiner of graphemes, vowels of Khmer,
# variations, and Braille without a dot.
_DRAWN_AS_NOTHING: Final = re.compile("[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\ufe00-\ufe0f\U000e0100-\U000e01ef]")


def find_person(session: Session, name: str, *, hold: bool = False) -> UserTable | None:
    """The person of this name, however it is spelt. With `hold` nobody changes them until this unit ends."""
    # Who was entered before names were folded whole is still found by the name as it was entered.
    same, entered_before = folded(name), name.strip().casefold()
    query = select(UserTable).where(UserTable.name_folded.in_((same, entered_before)))
    query = query.order_by(case((UserTable.name_folded == same, 0), else_=1)).limit(1)
    return session.scalar(query.with_for_update(read=True) if hold else query)


def person_named(session: Session, name: str) -> UserTable:
    """The same. Raises RecordError where there is none."""
    found = find_person(session, name)
    if found is None:
        raise RecordError("There is no such user", found=repr(name), next_step="Enter one with `kizu user add`.")
    return found


def folded(name: str) -> str:
    """What all spellings of one name have in common: without capitals, Unicode's forms (NFKC) and surplus blanks."""
    return unicodedata.normalize("NFKC", tidy(name).casefold())


def tidy(name: str) -> str:
    """The name as it is kept and shown."""
    return " ".join(unicodedata.normalize("NFKC", name).split())


def unseen(name: str) -> str:
    """The characters of a tidy name that nobody sees: with one of them two people would read the same."""
    return "".join(one for one in name if not one.isprintable() or _DRAWN_AS_NOTHING.match(one))


def secret_sha256(secret: str) -> str:
    """What is kept of a secret that nobody can guess, 64 hexadecimal digits."""
    return hashlib.sha256(secret.encode("utf-8", "backslashreplace")).hexdigest()
