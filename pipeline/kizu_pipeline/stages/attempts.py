"""What was in work when the program last ended: counted before each attempt, so that no picture ends it for ever."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

import structlog

__all__ = ["JOURNAL_NAME", "MAX_ATTEMPTS", "Attempts"]

JOURNAL_NAME: Final = ".kizu-in-work.json"
MAX_ATTEMPTS: Final = 3
"""A picture, or a map, in whose work the program ended so often is given up."""
_TURN_S: Final = 0.2

_log = structlog.get_logger("kizu.intake")


class Attempts:
    """How often the program ended while a piece of work was in work, by its key; kept in a file beside the pictures.

    It need not survive a power cut: that was no picture's doing.
    """

    def __init__(self, folder: Path | None) -> None:
        """Without a folder nothing is kept: frames of a camera do not come again."""
        self._path = None if folder is None else folder / JOURNAL_NAME
        self._length = 0
        """Of what the file holds, in bytes; spaces fill it up."""
        self._before = self._read()
        self._now: dict[str, int] = {}
        self._changed = threading.Condition()

    def of(self, key: str) -> int:
        """Attempts that the program did not outlive."""
        return self._before.get(key, 0)

    def begin(self, keys: Sequence[str]) -> None:
        """Count an attempt, before it is made."""
        with self._changed:
            self._now |= {key: self.of(key) + 1 for key in keys}
            self._write()

    def done(self, keys: Iterable[str]) -> None:
        """These have their rows, or are left."""
        with self._changed:
            for key in keys:
                self._now.pop(key, None)
                self._before.pop(key, None)
            if not self._now:
                self._write()  # a line that is killed while it has nothing to do leaves nothing to suspect
            self._changed.notify_all()

    def wait_until_none(self, stop: threading.Event) -> None:
        """Until nothing is in work, or the line is to stop."""
        with self._changed:
            while self._now and not stop.is_set():
                self._changed.wait(_TURN_S)

    def forgive(self) -> None:
        """What is in work waits for the records: where the program is ended meanwhile, that is no picture's doing."""
        with self._changed:
            self._now.clear()
            self._write()

    def close(self) -> None:
        """Nothing is in work any more."""
        with self._changed:
            self._write()

    def _read(self) -> dict[str, int]:
        if self._path is None:
            return {}
        try:
            text = self._path.read_bytes()
            self._length = len(text)
            found = json.loads(text)
            return {str(key): int(count) for key, count in found.items()}
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, AttributeError, TypeError) as error:
            _log.warning("attempts of the last run are not known", file=str(self._path), error=str(error))
            return {}

    def _write(self) -> None:
        if self._path is None:
            return
        text = json.dumps(self._before | self._now).encode()
        try:
            if text == b"{}":
                self._path.unlink(missing_ok=True)
                self._length = 0
                return
            # In place and in one write, over what was there: a rename would make the disk settle at every batch.
            descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o644)
            try:
                os.pwrite(descriptor, text.ljust(self._length), 0)
            finally:
                os.close(descriptor)
            self._length = max(self._length, len(text))
        except OSError as error:  # a line that judges goes on
            _log.warning("attempts cannot be kept", file=str(self._path), error=error.strerror)
