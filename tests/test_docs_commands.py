"""Every command that README and docs show is given, in the order of its page; blocks that are not run say why.

README begins with pictures alone. On the other pages there is a plant: a model, and a line that has judged some parts.
"""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest
import torch
import typer
import yaml
from torchvision.models import resnet18
from typer.testing import CliRunner

from docs_world import HOUSE, PAGES, Block, blocks_of, calls_in, leaf_of
from kizu_inspect.picture.images import encode_png
from kizu_inspect.synth import draw_part, write_set
from terminal_world import typed
from whole_cli import app

RUN = {page: [block for block in blocks_of(page) if block.language == "sh" and block.not_run is None] for page in PAGES}
QUICKLY = {
    "train": "--steps 2 --size 32 --profile part --device cpu --settings quick.yaml",
    "adopt": "--size 64 --device cpu",
    "calibrate": "--device cpu",
    "evaluate": "--faithful 0 --checked 0 --device cpu",
    "inspect": "--device cpu",
}
"""What is added to a command, so that it takes seconds."""
TYPED = {
    "user add": ["correct horse 7"] * 2, "user password": ["correct horse 7"] * 2, "user pin": ["4739"] * 2,
    "user badge": ["badge-4711"],
}  # fmt: skip
"""What a person types at a command that asks."""
WRITES = ("out", "html", "sheet", "json")
"""Parameters that name what a command writes."""
root: Any = typer.main.get_command(app)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `pictures/`, and what makes training quick."""
    folder = tmp_path_factory.mktemp("begun")
    write_set(folder / "pictures", count=100, seed=1, size_px=64)
    shutil.copytree(HOUSE / "configs", folder / "configs")
    (folder / "quick.yaml").write_text("fit: {batch_size: 8, precision: float32}\nnetwork: {branch: false}\n", encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def plant(pictures: Path, tiny_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same with a model and a line: three parts of lot L7 are judged, a file lies in quarantine, two are entered."""
    folder = tmp_path_factory.mktemp("plant") / "plant"
    shutil.copytree(pictures, folder)
    shutil.copytree(tiny_bundle, folder / "bundles" / "plates")
    torch.save(resnet18(num_classes=5).state_dict(), folder / "net.pth")
    (folder / "part.png").write_bytes(encode_png(draw_part("scratch", 9, size_px=64).image))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        (folder / "incoming").mkdir()
        shutil.copy("configs/folder.yaml", "kizu.yaml")
        edit(folder)
        give("run", "--once")
        give("user", "add", "root", "--role", "admin", "--no-password", "--by", "root")
        give("user", "add", "Kim", "--role", "engineer", "--no-password", "--by", "root")
    settings = yaml.safe_load((folder / "kizu.yaml").read_text(encoding="utf-8"))
    settings["database"]["url"] = "sqlite:///data/elsewhere.db"
    (folder / "elsewhere.yaml").write_text(yaml.safe_dump(settings), encoding="utf-8")
    return folder


def edit(folder: Path) -> None:
    """What the reader does with a copy of configs/folder.yaml; and some parts arrive."""
    path = folder / "kizu.yaml"
    settings = yaml.safe_load(path.read_text(encoding="utf-8"))
    station = settings["station"]
    station["source"] |= {"settle_s": 0, "part_pattern": "(?:(?P<lot>[^_]+)_)?(?P<part>[^_]+)_(?P<view>[^_]+)"}
    station["recipe"]["allow_no_promise"] = True
    settings["runtime"] |= {"device": "cpu", "http": None}
    settings["dashboard"]["port"] = 0
    path.write_text(yaml.safe_dump(settings), encoding="utf-8")
    for seed, kind in enumerate(("good", "stain", "missing_hole")):
        picture = encode_png(draw_part(kind, seed, size_px=64).image)
        (folder / "incoming" / f"L7_P{seed}_top.png").write_bytes(picture)
    (folder / "incoming" / "P17.png").write_bytes(b"no picture")


def give(*words: str) -> str:
    """What the command prints. It must end well, and leave what it is told to write."""
    command, rest = leaf_of(root, list(words))
    name = " ".join(words[: len(words) - len(rest)])
    added = QUICKLY.get(name, "").split()
    if name in TYPED and "--no-password" not in words:
        code, shown = typed(*words, lines=TYPED[name])
        assert code == 0, f"kizu {' '.join(words)}: {shown}"
        return shown
    done = CliRunner().invoke(app, [*words, *added])
    assert done.exit_code == 0, f"kizu {' '.join(words)}: {done.exception!r}\n{done.output}"
    given = command.make_context(name, [*rest, *added]).params
    for one in WRITES:
        if isinstance(path := given.get(one), Path) and str(path) != "-":
            assert path.exists(), f"kizu {' '.join(words)} has not written {path}"
    return done.stdout


def serve(*words: str) -> None:
    """A command that serves pages, up to where the address that it prints answers."""
    program = [sys.executable, "-c", "from kizu.main import main; main()", *words]
    with subprocess.Popen(program, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            said = process.stdout.readline()
            address = re.search(r"http://127\.0\.0\.1:\d+", said)
            assert address, said
            with urlopen(f"{address.group()}/signin", timeout=60) as answer:
                assert answer.status == 200
        finally:
            process.terminate()


def filled_in(words: list[str]) -> Iterator[str]:
    """The words with the uid of the file in quarantine for UID."""
    for word in words:
        if word == "UID":
            (file,) = json.loads(give("quarantine", "list", "--json", "-"))["files"]
            yield file["inspection"]
        else:
            yield word


def follow(block: Block) -> None:
    """Gives each line of a block, as a shell would."""
    for line in block.commands:
        calls = list(calls_in(shlex.split(line, comments=True)))
        if not calls:
            subprocess.run(["bash", "-ec", line], check=True, timeout=60)
            if "configs/folder.yaml" in line:
                edit(Path.cwd())
        for call in calls:
            (serve if call == ["dashboard"] else give)(*filled_in(call))


def test_the_six_commands_of_the_readme_are_among_them() -> None:
    (block,) = RUN[HOUSE / "README.md"]
    assert len(block.commands) == 6


@pytest.mark.parametrize("page", [page for page in PAGES if RUN[page]], ids=lambda page: page.name)
def test_every_command_of_a_page_does_its_work(
    page: Path, request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: Path = request.getfixturevalue("pictures" if page.name == "README.md" else "plant")
    shutil.copytree(begun, tmp_path / "here")
    monkeypatch.chdir(tmp_path / "here")
    for block in RUN[page]:
        follow(block)


def test_a_line_that_cannot_be_followed_is_told(pictures: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(pictures)
    with pytest.raises(AssertionError, match=r"kizu data check nowhere: DataError"):
        follow(Block(HOUSE / "README.md", 1, "sh", None, "kizu data check pictures\nkizu data check nowhere\n"))
    with pytest.raises(AssertionError, match=r"kizu user pin nobody: kizu: configuration is not there"):
        follow(Block(HOUSE / "README.md", 1, "sh", None, "kizu user pin nobody\n"))
    with pytest.raises(subprocess.CalledProcessError):
        follow(Block(HOUSE / "README.md", 1, "sh", None, "cp nothing somewhere\n"))
