"""Versions as provenance: told where they can be, and never a reason to fail."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path

import pytest

from kizu_inspect.versions import version_of


def test_a_package_without_metadata_or_version_is_unknown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert version_of("torch") == version("torch")
    assert version_of("kizu-of-nowhere") == "unknown"
    broken = tmp_path / "half_installed-1.0.dist-info"
    broken.mkdir()
    (broken / "METADATA").write_text("Metadata-Version: 2.1\nName: half_installed\n", encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert version_of("half_installed") == "unknown"
