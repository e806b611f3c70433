"""Finding the texts of the code and of the components' markup, for `make texts`; Babel itself finds those of JavaScript."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from html.parser import HTMLParser
from typing import IO, Any, Final

__all__ = ["html_texts", "python_texts"]

Found = tuple[int, str | None, str | tuple[str, ...], list[str]]
"""For Babel: line, function, text (or one and many), comments."""

TEXTS_OF: Final = {"say": 1, "marked": 1, "say_count": 2}
"""The functions that are given texts, and how many."""
ATTRIBUTES: Final = ("alt", "aria-label", "placeholder", "title")
"""What people read or hear of an element beside its text; speaking.js says the same ones."""
KEYS: Final = "kbd"
"""Names of keys stay as they are printed on the keyboard."""


def python_texts(fileobj: IO[bytes], keywords: object, comment_tags: object, options: dict[str, Any]) -> Iterator[Found]:  # noqa: ARG001
    """The texts of a Python file, also those inside of f-strings. Raises ValueError for one that is not written out."""
    for node in ast.walk(ast.parse(fileobj.read())):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name) or node.func.id not in TEXTS_OF:
            continue
        asked = TEXTS_OF[node.func.id]
        texts = [one.value for one in node.args[:asked] if isinstance(one, ast.Constant) and isinstance(one.value, str)]
        if len(texts) != asked:
            raise ValueError(f"expected the text itself in {node.func.id}(…), found {ast.unparse(node)} in line {node.lineno}")
        yield node.lineno, node.func.id, texts[0] if len(texts) == 1 else tuple(texts), []


def html_texts(fileobj: IO[bytes], keywords: object, comment_tags: object, options: dict[str, Any]) -> Iterator[Found]:  # noqa: ARG001
    """Each text and each attribute of a piece of HTML that people read."""
    texts = _Texts()
    texts.feed(fileobj.read().decode("utf-8"))
    texts.close()
    for line, text in texts.found:
        yield line, None, text, []


class _Texts(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[int, str]] = []
        self._inside = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._inside = tag
        self._add(*(value for name, value in attrs if name in ATTRIBUTES and value))

    def handle_endtag(self, _tag: str) -> None:
        self._inside = ""

    def handle_data(self, data: str) -> None:
        if self._inside != KEYS:
            self._add(data)

    def _add(self, *texts: str) -> None:
        line, _ = self.getpos()
        self.found += [(line, text.strip()) for text in texts if any(letter.isalpha() for letter in text)]
