"""README and docs as a reader has them before their eyes: pages, their blocks of commands, what they name, where they lead."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ["HOUSE", "PAGES", "Block", "anchors_of", "blocks_of", "calls_in", "leaf_of", "links_of", "named_in", "prose_of"]

HOUSE = Path(__file__).parent.parent
PAGES = (HOUSE / "README.md", HOUSE / "CONTRIBUTING.md", *sorted((HOUSE / "docs").glob("*.md")))
_FENCED = re.compile(r"^ *```(?P<info>[^\n]*)\n(?P<text>.*?)^ *```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Block:
    """A fenced block: its language, why it is not run by a test (None: it is), and its lines as a shell has them."""

    page: Path
    line: int
    language: str
    not_run: str | None
    text: str

    @property
    def commands(self) -> list[str]:
        """Whole lines: what a backslash continues is one."""
        return [line for line in self.text.replace("\\\n", " ").splitlines() if line.strip()]


def blocks_of(page: Path) -> list[Block]:
    """All fenced blocks of a page, in order."""
    text = page.read_text(encoding="utf-8")
    found = []
    for one in _FENCED.finditer(text):
        language, _, rest = one["info"].partition(" ")
        reason = rest.removeprefix("not-run=") if rest else None
        found.append(Block(page, text.count("\n", 0, one.start()) + 1, language, reason, one["text"]))
    return found


def prose_of(page: Path) -> str:
    """A page without its fenced blocks."""
    return _FENCED.sub("", page.read_text(encoding="utf-8"))


def named_in(page: Path) -> list[str]:
    """What stands between backticks in the prose, each on one line."""
    return [" ".join(one.split()) for one in re.findall(r"`([^`]+)`", prose_of(page))]


def links_of(page: Path) -> list[str]:
    """Targets of the links and pictures in the prose, but for other sites."""
    return [one for one in re.findall(r"\]\(([^)\s]+)\)", prose_of(page)) if "://" not in one]


def anchors_of(page: Path) -> set[str]:
    """What a link to a part of the page may say behind its #, as GitHub names its headings."""
    found: set[str] = set()
    for heading in re.findall(r"^#+ (.+)$", prose_of(page), re.MULTILINE):
        name = re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")
        count = sum(1 for one in found if re.fullmatch(rf"{re.escape(name)}(-\d+)?", one))
        found.add(f"{name}-{count}" if count else name)
    return found


def calls_in(words: list[str]) -> Iterator[list[str]]:
    """The calls of `kizu` in a line's words, each without its first word; && and ; stand between two calls."""
    call: list[str] | None = None
    for word in [*words, ";"]:
        if word in ("&&", ";", "|"):
            if call is not None:
                yield call
            call = None
        elif call is not None:
            call.append(word)
        elif word.removeprefix(".venv/bin/") == "kizu":
            call = []


def leaf_of(root: Any, words: list[str]) -> tuple[Any, list[str]]:
    """The command that the words name, and the words behind its name. Raises LookupError for one that is not there."""
    command, rest = root, list(words)
    while rest and (below := getattr(command, "commands", None)) is not None and not rest[0].startswith("-"):
        if rest[0] not in below:
            raise LookupError(f"kizu {' '.join(words)}: {rest[0]} is none of {', '.join(below)}")
        command = below[rest.pop(0)]
    return command, rest
