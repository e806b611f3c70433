"""What the events for other programs say: the published schemas, explained field by field."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from db_examples import explanation, inspection
from kizu_db.uid import new_uid
from kizu_db.values import OutboxEvent
from kizu_inspect.results import Region, Verdict
from kizu_pipeline.publishing.events import explanation_payload, inspection_payload, message_of, read_schema


def test_regions_are_told_as_they_are_recorded() -> None:
    made = explanation()
    payload = explanation_payload(new_uid(), made)
    event = OutboxEvent(new_uid(), "press-3", 1, "explanation", payload, datetime.now(UTC), 0)
    message = json.loads(message_of(event))
    Draft202012Validator(read_schema("explanation", 1)).validate(message)
    told = [Region(**{**one, "contour": tuple(map(tuple, one["contour"]))}) for one in message["regions"]]
    assert told == list(made.regions)


@pytest.mark.parametrize("kind", ["inspection", "explanation", "part"])
def test_every_field_is_explained(kind: str) -> None:
    told = (Path(__file__).parents[1] / "docs" / "events.md").read_text(encoding="utf-8")
    assert [name for name in read_schema(kind, 1)["properties"] if f"`{name}`" not in told] == []


@pytest.mark.parametrize("verdict", list(Verdict))
@pytest.mark.parametrize("review_signal", ["NG", "OK"])
def test_only_pass_means_ok_and_review_where_the_station_says_so(verdict: Verdict, review_signal: Any) -> None:
    payload = inspection_payload("uid", inspection(verdict), review_signal=review_signal)
    expected = verdict is Verdict.PASS or (verdict is Verdict.REVIEW and review_signal == "OK")
    assert payload["signal"] == ("OK" if expected else "NG")
