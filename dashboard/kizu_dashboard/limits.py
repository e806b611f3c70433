"""Choosing limits for a station: why not, by which figures, and what they mean for the model's promise."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final
from zoneinfo import ZoneInfo

from kizu_dashboard.agreement import Agreed, at_limits
from kizu_dashboard.language.speaking import known, marked, say
from kizu_dashboard.room import Room
from kizu_dashboard.thresholds import Limits, Standing
from kizu_dashboard.wording import moment
from kizu_db.repositories.limits import ChosenBy
from kizu_db.values import RecipeRow
from kizu_inspect.sums.audit_sample import Estimate
from kizu_inspect.sums.outcomes import Outcomes, outcomes
from kizu_inspect.sums.scores import probability_text

__all__ = [
    "choose_limits", "chosen_by", "hindrance", "limits_text", "recipe_lines", "seen_by", "seen_text", "standing_text",
]  # fmt: skip

FILE: Final = "kizu.yaml"
OWN: Final = marked("the model")
LIMITS: Final = marked("PASS below {low}, REJECT from {high}")
SEVERAL: Final = marked("Choose a station above to save limits for it.")
NO_RECIPE: Final = marked("There are no limits to change: no line has run here with a recipe.")
NO_GOOD: Final = marked("No class of this model is good: it rejects every part, whatever the limits.")
FILE_WINS: Final = marked(
    "The kizu.yaml of {station} sets its limits itself, and wins: its line takes no others. Change these lines there, or take "
    "both out so that limits can be saved here; then start the line again."
)
OTHER_MODEL: Final = marked(
    "{station} has another model since {since}: the scores of parts before that say nothing of it. Choose a period that begins "
    "then or later to save limits."
)
STANDS: Final = marked("{station} is to judge by version {version} of its recipe, limits of {who}: {limits}.")
UNTAKEN: Final = marked("No part of it is on record yet that was judged by this version.")
SEEN: Final = marked(
    "Miss rate {miss}, overkill {overkill}, sent to review {review}; of {inspections:,} inspections, by {reviewed:,} reviewed "
    "ones, {audited:,} of the audit sample"
)
AGAIN: Final = marked("As in version {version}")
TAKEN: Final = marked(
    "Saved as version {version} of the recipe of {station}: {limits}. A running line takes it within a minute."
)


def hindrance(agreed: Agreed, zone: ZoneInfo) -> str | None:
    """Why no limits can be saved of what is looked at; None where they can."""
    standing, since = agreed.standing, agreed.period.since
    if standing is None:
        return known(SEVERAL)
    if standing.model is None:
        return known(NO_RECIPE)
    if standing.model.good is None:
        return known(NO_GOOD)
    station = standing.recipe.station
    if standing.recipe.set_by_file:
        return known(FILE_WINS).format(station=station)
    if standing.model_since is not None and (since is None or since < standing.model_since):
        return known(OTHER_MODEL).format(station=station, since=moment(standing.model_since, zone))
    return None


def standing_text(agreed: Agreed) -> str:
    """By what the station judges, or will once its line takes it; empty where that is not on record."""
    standing = agreed.standing
    if standing is None or standing.limits is None:
        return ""
    recipe = standing.recipe
    said = known(STANDS).format(
        station=recipe.station, version=recipe.version, who=chosen_by(recipe), limits=limits_text(standing.limits)
    )
    return said if agreed.newest_recipe == recipe.id else f"{said} {known(UNTAKEN)}"


def chosen_by(recipe: RecipeRow) -> str:
    """Whose the limits of this version are."""
    return recipe.chosen.by if recipe.chosen is not None else FILE if recipe.set_by_file else known(OWN)


def limits_text(limits: Limits | None) -> str:
    """Both in words; a dash where they are not on record."""
    if limits is None:
        return "–"
    return known(LIMITS).format(low=probability_text(limits.pass_below), high=probability_text(limits.reject_from))


def recipe_lines(limits: Limits) -> str:
    """The lines of kizu.yaml that set them."""
    return f"recipe:\n  pass_below: {limits.pass_below:.10g}\n  reject_from: {limits.reject_from:.10g}"


def seen_by(agreed: Agreed, found: Outcomes) -> dict[str, Any]:
    """The figures at these limits with what they rest on, as plain JSON, to be kept with the choice."""
    period = agreed.period
    return {
        "since": None if period.since is None else period.since.isoformat(),
        "until": None if period.until is None else period.until.isoformat(),
        "inspections": found.parts,
        "reviewed": len(agreed.parts),
        "audited": sum(one.reviewed for one in agreed.strata),
        "miss_rate": _figure(found.miss_rate),
        "overkill_rate": _figure(found.overkill_rate),
        "review_rate": _figure(found.review_rate),
    }


def _figure(rate: Estimate) -> dict[str, float | None]:
    return {"value": rate.value, "upper": rate.upper}


def seen_text(seen: Mapping[str, Any]) -> str:
    """What limits were chosen by."""
    if "again" in seen:
        return known(AGAIN).format(version=seen["again"])
    if "miss_rate" not in seen:
        return "–"
    miss, overkill, review = (_told(seen[name]) for name in ("miss_rate", "overkill_rate", "review_rate"))
    counts = {name: int(seen[name]) for name in ("inspections", "reviewed", "audited")}
    return known(SEEN).format(miss=miss, overkill=overkill, review=review, **counts)


def _told(rate: Mapping[str, float | None]) -> str:
    value, upper = (100 * (rate[name] or 0) for name in ("value", "upper"))
    if rate["value"] is None:
        return say("unknown (at most {upper:.1f} %)", upper=upper)
    return say("{value:.2f} % (at most {upper:.1f} %)", value=value, upper=upper)


def choose_limits(room: Room, agreed: Agreed, standing: Standing, limits: Limits, *, by: str, reason: str) -> str:
    """Saves them under this name; what was done, in a sentence. Raises NotAllowed and RecordError like the records."""
    seen = seen_by(agreed, outcomes(at_limits(agreed, limits)))
    recipe = standing.recipe
    with room.records.unit() as unit:
        new = unit.limits.choose(
            recipe.station, limits.pass_below, limits.reject_from,
            by=ChosenBy(by, reason, recipe.version), model_hash=recipe.model_hash or "", seen=seen,
        )  # fmt: skip
    return known(TAKEN).format(version=new.version, station=recipe.station, limits=limits_text(limits))
