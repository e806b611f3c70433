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

    Unknown keys come first: a misspelt key also makes its right name a missing one.
    Where `of` says which settings they were meant for, an unknown key comes with the nearest one that there is, or with all.
    """
    items = sorted(error.errors(), key=lambda item: item["type"] != "extra_forbidden")
    found = [
        f"{'.'.join(str(part) for part in item['loc']) or 'file'}: {item['msg']}"
        f"{_known_keys(of, item['loc']) if item['type'] == 'extra_forbidden' else ''} (found {_shown(item['input'])})"
        for item in items
    ]
    return "; ".join(found[:3]) + (f"; and {len(found) - 3} more" if len(found) > 3 else "")


def _known_keys(settings: type[BaseModel] | None, place: Sequence[str | int]) -> str:
    """What may stand where the unknown key `place[-1]` stands; empty where nobody knows which settings were meant."""
    groups = [] if settings is None else [settings]
    for part in place[:-1]:
        fields = [group.model_fields[part] for group in groups if part in group.model_fields]
        if fields:
            groups = [below for field in fields for below in _groups_in(field.annotation)]
        else:  # the name of one of several kinds, or what a list or mapping numbers or names
            groups = [group for group in groups if _has_kind(group, part)] or groups
    keys = list(dict.fromkeys(key for group in groups for key in group.model_fields))
    near = get_close_matches(str(place[-1]), keys, n=1)
    return f", the nearest key is {near[0]}" if near else f", the keys are {', '.join(keys)}" if keys else ""


def _groups_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [group for part in get_args(annotation) for group in _groups_in(part)]


def _has_kind(settings: type[BaseModel], name: str | int) -> bool:
    return any(name in get_args(field.annotation) for field in settings.model_fields.values())


def _shown(value: object) -> str:
    return _ADDRESS.sub(r"\1…", repr(value))[:60]
