"""The base of every typed setting: unknown keys are errors, values are frozen."""

from __future__ import annotations

import re

from pydantic import BaseModel, ConfigDict, ValidationError

__all__ = ["Settings", "describe_invalid"]

_PASSWORD = re.compile(r"(://[^:/@\s]*):[^@\s]*@")


class Settings(BaseModel):
    """A group of settings. An unknown key is an error, so that a misspelt one is never silently ignored."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def describe_invalid(error: ValidationError) -> str:
    """What settings have wrong, in one line: `key: reason (found …)`, the first three. Passwords in addresses are hidden."""
    found = [
        f"{'.'.join(str(part) for part in item['loc']) or 'file'}: {item['msg']} (found {_shown(item['input'])})"
        for item in error.errors()
    ]
    return "; ".join(found[:3]) + (f"; and {len(found) - 3} more" if len(found) > 3 else "")


def _shown(value: object) -> str:
    return _PASSWORD.sub(r"\1:…@", repr(value))[:60]
