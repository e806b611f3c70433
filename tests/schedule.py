"""In which order files are given to the processes that run them: a long one that comes last is waited for by all."""

from __future__ import annotations

from pathlib import Path

import pytest

__all__ = ["pytest_collection_modifyitems"]

LONGEST_FIRST = (
    "test_dashboard_review_journeys", "test_benchmarks", "test_dashboard_looks_journeys", "test_dashboard_language_journeys",
    "test_cli_stations", "test_pipeline_limits", "test_dashboard_gallery_journeys", "test_dashboard_scan_journeys",
    "test_dashboard_search", "test_dashboard_ways_in_journeys",
    "test_db_backup_killed", "test_dashboard_signing_in_journeys", "test_cli", "test_dashboard_signing_in",
    "test_pipeline_publishing", "test_pipeline_supervising", "test_pipeline_observing", "test_pipeline_spool",
    "test_cli_training_kept", "test_inspect_checkpoints", "test_inspect_compare_kept",
    "test_inspect_adopt", "test_inspect_tiled", "test_inspect_fit", "test_pipeline_service", "test_dashboard_pages",
    "test_dashboard_reviewing", "test_dashboard_drawing_journeys", "test_dashboard_live", "test_dashboard_journeys",
    "test_docs_commands",
)  # fmt: skip
"""Those that take a worker longer than half a minute. Where one is missing here the run is no worse than a little slower."""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files that take long first, all others as they come; each file's tests stay as they are."""
    items.sort(key=lambda item: _place(item.path))


def _place(file: Path) -> int:
    return LONGEST_FIRST.index(file.stem) if file.stem in LONGEST_FIRST else len(LONGEST_FIRST)
