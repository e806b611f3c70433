"""The words under a map."""

from __future__ import annotations

from dataclasses import replace

import pytest

from db_examples import explanation
from kizu_dashboard.wording import map_subject
from kizu_inspect.results import MapStatus


@pytest.mark.parametrize(
    ("method", "status", "said"),
    [
        ("grad-cam", MapStatus.OK, "evidence for scratch"),
        ("grad-cam++", MapStatus.SIGNED_ACTIVATIONS, "evidence for scratch (channels with negative activations left out)"),
        ("lfi-cam", MapStatus.OK, "where the network looked, whatever the class"),
    ],
)
def test_a_map_says_what_it_shows(method: str, status: MapStatus, said: str) -> None:
    assert map_subject(replace(explanation(method).heatmap, target="scratch", status=status)) == said
