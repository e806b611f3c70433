"""The dashboard in a process of its own, for programs that look at it as a browser does: tests, measurements, pictures."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, Any, Final

from kizu_dashboard.server import serve
from kizu_dashboard.settings import DashboardConfig

__all__ = ["Served", "serving"]

READY: Final = "ready"
ENDS_WITHIN_S: Final = 20.0


@dataclass(frozen=True)
class Served:
    """A dashboard that answers."""

    address: str
    link: str
    """For signing in once; empty where it gave none."""
    pid: int


@contextmanager
def serving(config: DashboardConfig, *, link_for: str | None = None, said: IO[str] | None = None) -> Iterator[Served]:
    """The dashboard until the end of the block, when it is ended as a supervisor would.

    `said` is a file that takes all its words. Raises RuntimeError where it ends before it answers, and TimeoutExpired where
    it does not end as it is told to: it is killed then.
    """
    command = [sys.executable, "-m", "kizu_dashboard.own_process"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=said, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            # The settings may hold passwords: not on a command line, which everybody on the machine may read.
            json.dump({"config": config.model_dump(mode="json"), "link_for": link_for}, process.stdin)
            process.stdin.close()
            word, _, told = process.stdout.readline().strip().partition(" ")
            if word != READY:
                raise RuntimeError("the dashboard ended before it answered")
            address, _, link = told.partition(" ")
            yield Served(address, link, process.pid)
        finally:
            process.terminate()
            try:
                process.wait(ENDS_WITHIN_S)
            except subprocess.TimeoutExpired:
                process.kill()  # else the block's end would wait for it for ever
                raise


def main() -> None:
    """Serves what standard input asks for, and says on standard output when it answers; all else goes to standard error."""
    asked: dict[str, Any] = json.load(sys.stdin)
    with os.fdopen(os.dup(1), "w", encoding="utf-8") as caller:
        os.dup2(2, 1)  # nobody reads on after the first line: a log there would stand still once the pipe is full

        def tell(address: str, link: str | None) -> None:
            caller.write(f"{READY} {address} {link or ''}\n")
            caller.flush()

        serve(DashboardConfig.model_validate(asked["config"]), on_ready=tell, link_for=asked["link_for"])


if __name__ == "__main__":
    main()
