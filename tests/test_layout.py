"""The house keeps its shape."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
ROOMS = {"inspect": "kizu_inspect", "db": "kizu_db", "pipeline": "kizu_pipeline", "dashboard": "kizu_dashboard", "cli": "kizu"}


@pytest.mark.parametrize(("folder", "package"), ROOMS.items())
def test_a_source_root_holds_one_package_and_no_loose_module(folder: str, package: str) -> None:
    """An __init__.py in `inspect/` would replace Python's own module for whatever runs from there."""
    names = {path.name for path in (ROOT / folder).iterdir() if path.name != "__pycache__"}
    assert names == {package}


@pytest.mark.parametrize("module", ["kizu_inspect.results", "kizu_inspect.recipe", "kizu_db.records"])
def test_the_plain_rooms_need_no_torch(module: str) -> None:
    code = f"import sys, {module}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=60).returncode == 0


def test_the_compose_file_keeps_to_the_compose_schema() -> None:
    check = Path(sys.executable).with_name("check-jsonschema")
    command = [check, "--builtin-schema", "vendor.compose-spec", ROOT / "docker-compose.yml"]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr


def test_no_command_waits_for_torch_that_does_not_judge() -> None:
    code = "import sys, kizu.main; print(sorted({'torch', 'torchvision', 'streamlit', 'matplotlib'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
