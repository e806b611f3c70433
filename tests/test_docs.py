"""README and docs are true: what they name is there, where they lead is somewhere, every block of commands is accounted for."""

from __future__ import annotations

import re
import shlex
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml

from docs_world import HOUSE, PAGES, Block, anchors_of, blocks_of, calls_in, leaf_of, links_of, named_in, prose_of
from kizu.config import KizuConfig
from kizu_inspect.recipe import Recipe
from whole_cli import app

REASONS = {
    "minutes": "what a newcomer sees first; `make test` and the tests of the demo run it",
    "hours": "it trains or measures for longer than a test may take",
    "broken-off": "it needs a training that was killed, as test_cli_training_kept.py has",
    "published-data": "it needs a published set of pictures",
    "system": "it installs packages, or asks for devices of this machine",
}
"""Why a block of commands is not run by test_docs_commands.py; its commands and options are read here all the same."""
LANGUAGES = {"sh", "yaml", "json", "ini", "nginx", "text"}
OURS = {"kizu.yaml", "data.yaml", "bundle.yaml", "backup.yaml", "training.yaml", "dashboard/kizu_dashboard/language/CODE.po"}
"""Files that Kizu or its users make."""
SOURCES = {
    f"/{file.relative_to(HOUSE)}"
    for room in ("benchmarks", "cli", "configs", "dashboard", "db", "docs", "inspect", "pipeline", "tests")
    for file in (HOUSE / room).rglob("*.*")
}
BLOCKS = [block for page in PAGES for block in blocks_of(page)]
UsageError: type[Exception] = typer.BadParameter.__mro__[1]
"""What a command raises for a call that it does not understand; typer names only this kind of it."""
root: Any = typer.main.get_command(app)


def by_name(block: Block) -> str:
    return f"{block.page.name}:{block.line}"


def leaves(command: Any = root, path: tuple[str, ...] = ()) -> Iterator[tuple[str, Any]]:
    """Each command with its name, `db prune`."""
    for name, below in getattr(command, "commands", {}).items():
        yield from leaves(below, (*path, name))
    if not hasattr(command, "commands"):
        yield " ".join(path), command


def options_of(command: Any) -> set[str]:
    return {"--help", *(name for one in command.params for name in (*one.opts, *one.secondary_opts) if name.startswith("--"))}


EVERY_OPTION = {option for _, command in leaves() for option in options_of(command)}


def options_in(text: str) -> set[str]:
    return set(re.findall(r"(?<![\w-])--[a-z][\w-]*", text))


def taken_by(script: Path) -> set[str]:
    """The options of a script that reads them by argparse."""
    return options_in(" ".join(re.findall(r'"(--[\w-]+)"', script.read_text(encoding="utf-8"))))


def make_knows(*targets: str) -> bool:
    """Read, not asked by `make -n`: that runs what calls make again."""
    return set(targets) <= set(re.findall(r"^([\w-]+):", (HOUSE / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))


def lost_links(page: Path) -> list[str]:
    """Links of a page that lead nowhere."""
    lost = []
    for link in links_of(page):
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        if not target.is_file() or (anchor and anchor not in anchors_of(target)):
            lost.append(link)
    return lost


def unknown_in(page: Path) -> list[str]:
    """Commands, options, targets of make and files that a page's prose names, and that are not there."""
    scripts = {HOUSE / name for name in re.findall(r"benchmarks/[\w/]+\.py", page.read_text(encoding="utf-8"))}
    unknown = []
    for name in named_in(page):
        words = name.split()
        if words[0].removeprefix(".venv/bin/") == "kizu" and words[1:2] and words[1] != "COMMAND":
            try:
                command, _ = leaf_of(root, words[1:])
                known = options_in(name) <= options_of(command)
            except LookupError:
                known = False
        elif words[0] == "make":
            known = make_knows(*words[1:])
        elif words[0].startswith("--"):
            known = options_in(name) <= EVERY_OPTION.union(*(taken_by(script) for script in scripts if script.is_file()))
        elif re.fullmatch(r"[\w./-]+\.(py|yaml|po|md)", words[0]):
            known = words[0] in OURS or any(file.endswith(f"/{words[0]}") for file in SOURCES)
        else:
            continue
        if not known:
            unknown.append(name)
    return unknown


def not_understood(block: Block) -> list[str]:
    """Lines of commands that cannot be given: no such command, script or target, or options or values that it refuses."""
    refused = []
    for line in block.commands:
        words = shlex.split(line, comments=True)
        try:
            for call in calls_in(words):
                command, rest = leaf_of(root, call)
                command.make_context(" ".join(call), rest)
            if words[0] == "make":
                assert make_knows(*words[1:])
            if words[0] == "python":
                own, _, training = (part.split() for part in " ".join(words[2:]).partition(" -- "))
                assert options_in(" ".join(own)) <= taken_by(HOUSE / words[1])
                leaf_of(root, ["train"])[0].make_context("train", ["DATA", "--out", "BUNDLE", *training])
        except (AssertionError, LookupError, OSError, UsageError):
            refused.append(line)
    return refused


@pytest.mark.parametrize("page", [*PAGES, HOUSE / "CHANGELOG.md"], ids=lambda page: page.name)
def test_every_link_leads_somewhere(page: Path) -> None:
    assert lost_links(page) == []


def test_every_page_is_reached_from_the_readme() -> None:
    reached = {(HOUSE / link).resolve() for link in links_of(HOUSE / "README.md")}
    assert set(PAGES[1:]) <= reached


@pytest.mark.parametrize("page", [*PAGES, *sorted((HOUSE / "configs").glob("*.yaml"))], ids=lambda page: page.name)
def test_everything_that_is_named_is_there(page: Path) -> None:
    assert unknown_in(page) == []


@pytest.mark.parametrize("block", BLOCKS, ids=by_name)
def test_every_block_says_what_it_is_and_why_it_is_not_run(block: Block) -> None:
    assert block.language in LANGUAGES
    assert block.not_run is None or (block.language == "sh" and block.not_run in REASONS), block.not_run


@pytest.mark.parametrize("block", [block for block in BLOCKS if block.language == "sh"], ids=by_name)
def test_every_command_of_a_block_can_be_given(block: Block) -> None:
    assert not_understood(block) == []


@pytest.mark.parametrize(("name", "command"), [*leaves()], ids=lambda given: given if isinstance(given, str) else "")
def test_the_example_in_a_command_s_help_can_be_given(name: str, command: Any) -> None:
    examples = command.help.partition("Example: ")[2].split(", then ")
    assert all(example.startswith(f"kizu {name}") for example in examples)
    assert not_understood(Block(HOUSE, 0, "sh", None, "\n".join(examples))) == []


BROKEN = """# One page

[here](#one-page), [not here](#another), [away](away.md), ![lost](lost.png), [web](https://kizu.example/lost)
`kizu run --once`, `kizu run --twice`, `kizu walk`, `kizu db
prune --apply`, `make test`, `make tea`, `--compare`, `--tile 128`, `--cells 4`, `tests/conftest.py`, `tests/lost.py`

```sh not-run=hours
kizu train DATA --out B   # --cells 4
kizu train DATA --out B --cells 4
kizu train DATA
kizu train DATA --out B --promise 2
cd work && kizu db prune --appl
make tea
python benchmarks/acceptance/kill_nine.py --kills 20 \\
    --lives 9
python benchmarks/acceptance/unknown_defects.py crops work -- --cells 4
python benchmarks/acceptance/lost.py
```
"""


def test_what_is_wrong_with_a_page_is_found(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(BROKEN, encoding="utf-8")
    assert lost_links(page) == ["#another", "away.md", "lost.png"]
    assert unknown_in(page) == ["kizu run --twice", "kizu walk", "make tea", "--cells 4", "tests/lost.py"]
    (block,) = blocks_of(page)
    assert (block.line, block.language, block.not_run) == (7, "sh", "hours")
    assert not_understood(block) == block.commands[1:]


def test_every_page_that_the_code_names_is_there() -> None:
    named = {
        page
        for file in SOURCES
        if file.endswith((".py", ".yaml", ".js"))
        for page in re.findall(r"docs/[\w-]+\.md", (HOUSE / file[1:]).read_text(encoding="utf-8"))
    }
    assert len(named) > 3
    assert {page for page in named if not (HOUSE / page).is_file()} == set()


def test_the_table_of_commands_has_each_command_once() -> None:
    rows = re.findall(r"^\| `kizu ([^`]+)` \|", prose_of(HOUSE / "docs" / "commands.md"), re.MULTILINE)
    told = [" ".join(word for word in row.split() if re.fullmatch(r"[a-z][a-z-]*", word)) for row in rows]
    assert sorted(told) == sorted(name for name, _ in leaves())


def test_the_table_of_the_recipe_has_each_key_once() -> None:
    rows = re.findall(r"^\| (`[^|]+`) \|", prose_of(HOUSE / "docs" / "recipe.md"), re.MULTILINE)
    assert sorted(key for row in rows for key in re.findall(r"`(\w+)`", row)) == sorted(Recipe.model_fields)


def test_what_is_to_be_installed_beside_it_is_an_extra_of_the_project() -> None:
    extras = tomllib.loads((HOUSE / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    named = {extra for page in PAGES for extra in re.findall(r"kizu\[(\w+)\]", page.read_text(encoding="utf-8"))}
    assert named
    assert named <= set(extras)


STATION = {"id": "press-3", "source": {"kind": "folder", "path": "incoming"}, "recipe": {"bundle": "bundles/plates"}}


@pytest.mark.parametrize("block", [block for block in BLOCKS if block.language == "yaml"], ids=by_name)
def test_every_setting_that_is_shown_is_one(block: Block) -> None:
    """Of what is not shown the least stands beside it; what belongs to a station may be shown without it."""
    shown = yaml.safe_load(block.text)
    whole = shown if set(shown) <= set(KizuConfig.model_fields) else {"station": shown}
    KizuConfig.model_validate({**whole, "station": STATION | whole.get("station", {})})
