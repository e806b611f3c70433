"""What a part is compared with by eye: the picture that the model had beside it, or the last good part, laid over its photo."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlencode

import cv2
from pydantic import ValidationError
from starlette.datastructures import QueryParams

from kizu_dashboard.language.speaking import say
from kizu_dashboard.pictures import Picture, parse_uid, shrink, stored_image
from kizu_dashboard.room import Room
from kizu_db.values import InspectionRecord
from kizu_inspect.errors import ImageError
from kizu_inspect.picture.golden import golden_over, read_golden
from kizu_inspect.picture.inputs import InputSettings
from kizu_inspect.picture.reference import References, lay_over
from kizu_inspect.recipe import AlignmentSettings
from kizu_inspect.results import ImageRGB

__all__ = ["Beside", "beside_of", "beside_picture"]

SMALL_PX: Final = 800
_QUALITY: Final = 95
"""Of the JPEG: for eyes, at the photo's own size."""


@dataclass(frozen=True)
class Beside:
    """A picture to compare with, under its address, and what it is, in words."""

    address: str
    words: str

    @property
    def small(self) -> str:
        """The address of the same with less pixels."""
        return f"{self.address}&small=yes"


def beside_of(room: Room, record: InspectionRecord) -> list[Beside]:
    """What this part can be compared with, the best first; a later one stands in where one before it cannot be had.

    First what the model compared it with, the recipe's reference or else the model's golden picture, then the last good part.
    Nothing of it tells the part's own verdict.
    """
    if record.row.kept_image is None:
        return []
    found, address = [], f"/beside/{record.row.uid}"
    if _compares(record) and _recipe(record).get("reference"):
        found.append(Beside(f"{address}?{urlencode({'with': 'reference'})}", say("Reference of the recipe")))
    if _knows_golden(record):
        words = say("Golden picture of the model: the mean of the good pictures that it learned from")
        found.append(Beside(f"{address}?{urlencode({'with': 'golden'})}", words))
    with room.records.unit(read_only=True) as unit:
        good = unit.neighbours.last_good(record.row.uid)
    if good is not None:
        words = (
            say("Last good part {part} (reviewed good)", part=good.part)
            if good.disposition == "good"
            else say("Last good part {part} (passed, not reviewed)", part=good.part)
        )
        found.append(Beside(f"{address}?{urlencode({'with': good.uid})}", words))
    return found


def beside_picture(room: Room, record: InspectionRecord, asked: QueryParams) -> Picture | None:
    """The picture that `with` asks for, laid over the inspection's photo, as JPEG of the photo's size; None where it has none.

    With `small=yes` its longer side is SMALL_PX at most. `with` is `reference`, `golden`, or the uid of another inspection.
    Raises RecordError where a picture is missing from the image store, ImageError and BundleError where one cannot be read or
    is of another size, ConfigError where the recipe of then is not understood or its reference is gone.
    """
    photo = stored_image(room, record)
    laid = None if photo is None else _laid(room, record, photo, asked.get("with", ""))
    if laid is None:
        return None
    if asked.get("small") == "yes":
        laid = shrink(laid, SMALL_PX)
    done, data = cv2.imencode(".jpg", cv2.cvtColor(laid, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
    if not done:
        raise ImageError("picture cannot be encoded", found=f"shape {laid.shape}", expected="sides of at most 65,535 px")
    return Picture(bytes(data), "image/jpeg")


def _laid(room: Room, record: InspectionRecord, photo: ImageRGB, asked: str) -> ImageRGB | None:
    inputs = _inputs(record)
    if asked == "reference":
        recipe = record.recipe_then if _compares(record) else None
        if recipe is None or recipe.reference is None or inputs is None:
            return None
        references = References(
            recipe.reference, inputs.alignment, max_megapixels=recipe.max_megapixels, bits=recipe.bits or inputs.bits
        )
        return references.laid_over(photo, record.image_name)
    if asked == "golden":
        if record.model is None or inputs is None or not _knows_golden(record):
            return None
        golden = read_golden(record.model.path, weights_sha256=str(record.model.spec.get("weights_sha256")))
        return golden_over(photo, golden, inputs, record.recipe_then.region_of_interest)
    uid = parse_uid(asked)
    if uid is None:
        return None
    with room.records.unit(read_only=True) as unit:
        other = unit.inspections.get(uid)
    good = None if other is None else stored_image(room, other)
    return None if good is None else lay_over(photo, good, inputs.alignment if inputs is not None else AlignmentSettings())


def _recipe(record: InspectionRecord) -> dict[str, Any]:
    return dict(record.recipe.content) if record.recipe is not None else {}


def _compares(record: InspectionRecord) -> bool:
    inputs = _inputs(record)
    return inputs is not None and inputs.profile == "reference"


def _knows_golden(record: InspectionRecord) -> bool:
    inputs = _inputs(record)
    return inputs is not None and inputs.profile == "part"


def _inputs(record: InspectionRecord) -> InputSettings | None:
    """What the model was given; None where the record does not tell, or in words that this version does not know."""
    told = record.model.spec.get("input") if record.model is not None else None
    try:
        return None if told is None else InputSettings.model_validate(told)
    except ValidationError:
        return None
