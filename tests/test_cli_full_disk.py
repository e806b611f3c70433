"""Disks that take no more: a command says so in one line, and leaves nothing that looks whole."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from formats_world import picture

LIMITED = """
import resource, signal, sys
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]), int(sys.argv[1])))
del sys.argv[1]
{do}
"""
COMMAND = LIMITED.format(do="from kizu.main import main; main()")
SAVE = LIMITED.format(
    do="""
from kizu_inspect.bundle import Bundle, BundleSpec
from kizu_inspect.errors import KizuError
from pathlib import Path
whole = Bundle.load(Path(sys.argv[1]))
try:
    Bundle.save(Path(sys.argv[2]), whole.spec, whole.model)
except KizuError as error:
    print(error)
"""
)


def _limited(code: str, limit_bytes: int, *arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", code, str(limit_bytes), *map(str, arguments)]
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment)


def _parts(root: Path) -> Path:
    for number in range(16):
        picture(root / ("good" if number % 2 else "dent") / f"{number:02}.png", number)
    return root


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["data", "convert", "parts", "out/new.csv"], 2, "manifest out/new.csv cannot be written: found [Errno 27]"),
        (["data", "check", "parts", "--html", "out/page.html"], 2, "file cannot be written: found [Errno 27]"),
        (["data", "check", "parts", "--json", "/dev/full"], 2, "file cannot be written: found [Errno 28]"),
        (["synth", "out/plates", "--count", "12"], 1, "the disk takes no more: found [Errno 27] File too large"),
    ],
)  # fmt: skip
def test_a_full_disk_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], code: int, said: str
) -> None:
    _parts(tmp_path / "parts")
    (tmp_path / "out").mkdir()
    monkeypatch.chdir(tmp_path)
    done = _limited(COMMAND, 300, *arguments)
    assert "Traceback" not in done.stderr
    last = done.stderr.splitlines()[-1]
    assert (done.returncode, last.startswith(f"kizu: {said}")) == (code, True), done.stderr
    if arguments[1] == "convert":
        assert list((tmp_path / "out").iterdir()) == []  # and so the same call is taken again
        assert _limited(COMMAND, 10_000, *arguments).returncode == 0


def test_a_place_that_is_none_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    done = _limited(COMMAND, 10_000, "synth", tmp_path / "file" / "plates", "--count", "12")
    assert done.returncode == 1
    assert done.stderr.startswith("kizu: a file or folder cannot be used: found [Errno 20] Not a directory")
    assert len(done.stderr.splitlines()) == 1


def test_weights_that_do_not_fit_leave_no_bundle(tiny_bundle: Path, tmp_path: Path) -> None:
    done = _limited(SAVE, 20_000, tiny_bundle, tmp_path / "bundle")
    assert f"weights of the bundle {tmp_path / 'bundle'} cannot be written: found" in done.stdout, done.stderr
    assert "File too large" in done.stdout
    assert list((tmp_path / "bundle").iterdir()) == []
