"""File events, to look sooner than the next rescan."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import structlog
from watchfiles import Change, watch

__all__ = ["watch_folder"]

_PAUSE_S = 1.0
_TOGETHER_MS = 2
"""What happens within so short a time is told at once; the library's 50 ms would be half of a verdict's way."""

_log = structlog.get_logger("kizu.intake")


@contextmanager
def watch_folder(folder: Path, *, changed: threading.Event) -> Iterator[None]:
    """Within the `with` block, `changed` is set whenever something below the folder is created, moved in or modified.

    Runs in a thread of its own. Where events cannot be had (network drives, exhausted inotify watches) the rescan alone
    does the work, a little later.
    """
    closing = threading.Event()

    def run() -> None:
        told = False
        while not closing.is_set():
            try:
                for _ in watch(
                    folder,
                    watch_filter=lambda change, path: change is not Change.deleted and not Path(path).name.startswith("."),
                    stop_event=closing,
                    raise_interrupt=False,
                    debounce=_TOGETHER_MS,
                    step=_TOGETHER_MS,
                    ignore_permission_denied=True,
                ):
                    changed.set()
            except Exception as error:  # noqa: BLE001 - this thread only saves time; a name that is no UTF-8 ends the library's
                if not told:
                    _log.warning(
                        "file events failed; the rescan goes on", folder=str(folder), error=f"{type(error).__name__}: {error}"
                    )
                told = True
                changed.set()
                closing.wait(_PAUSE_S)

    thread = threading.Thread(target=run, name="kizu-watch", daemon=True)
    thread.start()
    try:
        yield
    finally:
        closing.set()
        thread.join(timeout=5.0)
