"""Lets a PostgreSQL server hang: its processes are stopped, and the kernel goes on taking what is sent to them."""

from __future__ import annotations

import os
import signal
from pathlib import Path

__all__ = ["freeze", "thaw"]


def freeze(postmaster: int) -> list[int]:
    """Stop every process of the server with this first one, those of its connections too; which ones, for `thaw`."""
    os.kill(postmaster, signal.SIGSTOP)  # before the others: from now on there are no new ones
    children = Path(f"/proc/{postmaster}/task/{postmaster}/children").read_text()
    processes = [postmaster, *map(int, children.split())]
    for process in processes[1:]:
        os.kill(process, signal.SIGSTOP)
    return processes


def thaw(processes: list[int]) -> None:
    """Let them go on; the first one last: until then none of the others is quite gone."""
    for process in reversed(processes):
        os.kill(process, signal.SIGCONT)
