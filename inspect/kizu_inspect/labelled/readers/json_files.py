"""JSON, as annotation files have it: a key that stands twice in an object is a mistake, and not the last one's."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from kizu_inspect.labelled.findings import Finding, Report
from kizu_inspect.labelled.readers.files import is_picture

__all__ = ["json_alone", "parse_json", "peek_json", "read_json"]


def parse_json(file: Path) -> Any:
    """What the file says. Raises OSError and ValueError."""
    try:
        return json.loads(file.read_bytes(), object_pairs_hook=_once)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    content = dict(pairs)
    if len(content) < len(pairs):
        keys = [key for key, _ in pairs]
        raise ValueError(f"the key {next(key for key in keys if keys.count(key) > 1)} stands twice in one object")
    return content


def peek_json(file: Path) -> Any:
    """What the file says, for who only looks what it is; None where it cannot be read, which is not reported."""
    try:
        return parse_json(file)
    except (OSError, ValueError):
        return None


def json_alone(files: Sequence[Path], folder: Path) -> list[Path]:
    """The JSON files in a folder itself, of `files` those below it, but those called like a picture beside them."""
    pictures = {file.with_suffix("") for file in files if is_picture(file)}
    own = [file for file in files if file.parent == folder and file.suffix.lower() == ".json"]
    return [file for file in own if file.with_suffix("") not in pictures]


def read_json(file: Path, expected: str, report: Report) -> Any:
    """What the file says; None where it cannot be read, which is reported."""
    try:
        return parse_json(file)
    except (OSError, ValueError) as error:
        report(Finding("annotation", f"{file} cannot be read", found=str(error), expected=expected, pictures=(file,)))
        return None
