"""A real PostgreSQL server that hangs: its processes are stopped, and the kernel goes on taking what is sent to them."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import psycopg

__all__ = ["frozen"]


@contextmanager
def frozen(url: str) -> Iterator[None]:
    """Every process of the server at this address is stopped within the block, those of its connections too."""
    with closing(psycopg.connect(url)) as connection:
        backend = connection.info.backend_pid
        postmaster = _parent(backend)
    stopped: list[int] = []

    def stop(process: int) -> None:
        os.kill(process, signal.SIGSTOP)
        stopped.append(process)

    try:
        stop(postmaster)  # first: from now on there are no new ones
        for process in _children(postmaster):
            stop(process)
        yield
    finally:
        for process in reversed(stopped):  # the postmaster last: until then none of its processes is quite gone
            os.kill(process, signal.SIGCONT)


def _parent(process: int) -> int:
    return int(Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[1])


def _children(process: int) -> list[int]:
    children = Path(f"/proc/{process}/task/{process}/children").read_text()
    return [int(child) for child in children.split()]
