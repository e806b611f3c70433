"""The pictures that records name: listed and copied into a backup, compared and copied back."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import tee
from pathlib import Path
from typing import Literal

from kizu_db.backup.description import IMAGES, PICTURES, Pictures
from kizu_db.backup.files import Report, writer
from kizu_db.image_store import ImageStore
from kizu_inspect.errors import RecordError

__all__ = ["Finding", "compare_pictures", "list_pictures"]

_COLUMNS = ("sha256", "bytes", "path")
_EVERY = 1000


@dataclass(frozen=True)
class Finding:
    """A picture that the image store of a restored database does not hold as the backup lists it, or did not."""

    sha256: str
    state: Literal["missing", "missing before", "other size", "copied"]
    """`missing before`: it was missing already when the backup was made."""
    bytes: int | None
    """As the backup lists it; None where it was missing then."""
    found_bytes: int | None
    """In the image store; None where it is missing there."""


def list_pictures(names: Iterable[str], count: int, store: ImageStore, backup: Path, copy: bool, report: Report) -> Pictures:
    """Write images.csv of `count` pictures, and with `copy` also the pictures themselves, each checked by its hash.

    Raises OSError where the disk refuses.
    """
    present = size_sum = taken = changed = 0
    with (backup / PICTURES).open("x", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(_COLUMNS)
        for number, (sha256, path, size) in enumerate(store.look_up(names), 1):
            if path is None:
                writer.writerow((sha256, "", ""))
            else:
                place = path.relative_to(store.path)
                writer.writerow((sha256, size, place.as_posix()))
                present += 1
                size_sum += size
                if copy:
                    kept = _copy(store, sha256, backup / IMAGES / place)
                    taken += kept
                    changed += not kept
            if number % _EVERY == 0 or number == count:
                report("copying the pictures" if copy else "listing the pictures", number, count)
    return Pictures(named=count, missing=count - present, bytes=size_sum, copied=taken if copy else None, changed=changed)


def compare_pictures(backup: Path, count: int, store: ImageStore, report: Report) -> Iterator[Finding]:
    """Every picture of the backup's list that the store lacks or has in another size.

    Where the backup has the picture it is put into the store, and found as `copied`. Raises RecordError where the store's
    disk refuses.
    """
    kept = ImageStore(backup / IMAGES)
    has_kept = kept.path.is_dir()
    with (backup / PICTURES).open(encoding="utf-8", newline="") as file:
        rows, again = tee(csv.DictReader(file))
        for number, (row, (sha256, path, size)) in enumerate(
            zip(rows, store.look_up(row["sha256"] for row in again), strict=True), 1
        ):
            expected = int(row["bytes"]) if row["bytes"] else None
            found = None if path is None else size
            if found is None or expected not in (None, found):
                state: Literal["missing", "missing before", "other size", "copied"] = "other size"
                if has_kept and _put(kept, sha256, store):
                    state = "copied"
                elif found is None:
                    state = "missing before" if expected is None else "missing"
                yield Finding(sha256, state, expected, found)
            if number % _EVERY == 0 or number == count:
                report("comparing the pictures", number, count)


def _copy(store: ImageStore, sha256: str, target: Path) -> bool:
    """Whether the store gave the picture as its name promises; then it is copied. Raises OSError."""
    try:
        data = store.get(sha256)
    except RecordError:
        return False
    target.parent.mkdir(parents=True, exist_ok=True)
    with target.open("xb") as file:
        writer(file)(data)
    return True


def _put(kept: ImageStore, sha256: str, store: ImageStore) -> bool:
    """Whether the backup has the picture whole; then the store has it too."""
    try:
        data, suffix = kept.get(sha256), kept.path_of(sha256).suffix
    except RecordError:
        return False
    store.put(data, suffix=suffix)
    return True
