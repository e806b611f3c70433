"""The base of every typed setting: unknown keys are errors, values are frozen."""

from __future__ import annotations

import re
from collections.abc import Sequence
from difflib import get_close_matches
from typing import Any, Final, get_args

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

__all__ = ["Settings", "describe_invalid", "read_yaml"]

MOST_NODES: Final = 100_000

_ADDRESS = re.compile(r"(\w+://).*", re.DOTALL)
"""Where a wrong address has its password, nobody can say: what follows its scheme is not shown."""


class Settings(BaseModel):
    """A group of settings. An unknown key is an error, so that a misspelt one is never silently ignored."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def read_yaml(text: str | bytes) -> Any:
    """The content of YAML text: plain values, lists and mappings. Raises yaml.YAMLError.

    Also for aliases that stand for more than 100,000 values in all, or for themselves: some lines of them can fill any memory;
    and for a key that stands twice, of which the last would silently win.
    """
    loader = yaml.SafeLoader(text)
    try:
        node = loader.get_single_node()
        if node is None:
            return None
        if _values(node, {}) > MOST_NODES:
            raise yaml.YAMLError(f"its aliases stand for more than {MOST_NODES:,} values")
        _check_keys(node)
        return loader.construct_document(node)
    except RecursionError:
        raise yaml.YAMLError("it is nested too deeply") from None
    except (ValueError, KeyError, AttributeError, TypeError, OverflowError) as error:  # of dates and numbers that are none
        raise yaml.YAMLError(f"a value that is none: {error}") from None
    finally:
        loader.dispose()


def _check_keys(root: yaml.Node) -> None:
    waiting, seen = [root], set[int]()
    while waiting:
        node = waiting.pop()
        if id(node) in seen or not isinstance(node, yaml.CollectionNode):
            continue
        seen.add(id(node))
        if isinstance(node, yaml.MappingNode):
            keys = [(key.tag, key.value) for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
            twice = next((key for key in keys if keys.count(key) > 1), None) if len(set(keys)) < len(keys) else None
            if twice is not None:
                raise yaml.YAMLError(f"the key {twice[1]} stands twice{node.start_mark}")
        waiting += [part for one in node.value for part in (one if isinstance(one, tuple) else (one,))]


def _values(node: yaml.Node, known: dict[int, int]) -> int:
    """How many values a node stands for with all its aliases written out; `known` of those that were counted."""
    if id(node) not in known:
        known[id(node)] = MOST_NODES + 1  # until it is counted: who meets itself has no end
        below = node.value if isinstance(node, yaml.CollectionNode) else []
        parts = [part for one in below for part in (one if isinstance(one, tuple) else (one,))]
        known[id(node)] = 1 + sum(_values(part, known) for part in parts)
    return known[id(node)]


def describe_invalid(error: ValidationError, of: type[BaseModel] | None = None) -> str:
    """What settings have wrong, in one line: `key: reason (found …)`, the first three. Of addresses the scheme alone.

    Where `of` says which settings they were meant for, an unknown key comes with the nearest one that there is, or with all.
    """
    found = [
        f"{'.'.join(str(part) for part in item['loc']) or 'file'}: {item['msg']}"
        f"{_known_keys(of, item['loc']) if item['type'] == 'extra_forbidden' else ''} (found {_shown(item['input'])})"
        for item in error.errors()
    ]
    return "; ".join(found[:3]) + (f"; and {len(found) - 3} more" if len(found) > 3 else "")


def _known_keys(settings: type[BaseModel] | None, place: Sequence[str | int]) -> str:
    for part in place[:-1]:
        field = None if settings is None else settings.model_fields.get(str(part))
        kinds = () if field is None else (field.annotation, *get_args(field.annotation))
        groups = [kind for kind in kinds if isinstance(kind, type) and issubclass(kind, BaseModel)]
        settings = groups[0] if len(groups) == 1 else None  # of several kinds nobody knows which was meant
    if settings is None:
        return ""
    near = get_close_matches(str(place[-1]), settings.model_fields, n=1)
    return f", the nearest key is {near[0]}" if near else f", the keys are {', '.join(settings.model_fields)}"


def _shown(value: object) -> str:
    return _ADDRESS.sub(r"\1…", repr(value))[:60]
