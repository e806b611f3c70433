"""Commands at a terminal of their own, where a person types what is asked for."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress

__all__ = ["typed"]

# The terminal becomes the one that the process belongs to, as a shell's: passwords are asked for there, whatever stdin is.
AT_ITS_TERMINAL = "import fcntl, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); from kizu.main import main; main()"
QUESTIONS = (b"Password: ", b"PIN: ", b"Badge: ", b"The same again: ")


def typed(*words: str, lines: Sequence[str]) -> tuple[int, str]:
    """`kizu WORDS`, where a line is typed at each question; its exit code and all that is shown."""
    ours, its = os.openpty()
    command = [sys.executable, "-c", AT_ITS_TERMINAL, *words]
    with subprocess.Popen(command, stdin=its, stdout=its, stderr=its, start_new_session=True) as process:
        os.close(its)
        shown = b""
        with suppress(OSError):  # the terminal's other end is closed with the process, also before all was asked
            for line in lines:
                asked = len(shown)
                while not shown[asked:].endswith(QUESTIONS):
                    shown += os.read(ours, 1)
                os.write(ours, line.encode() + b"\n")
            while piece := os.read(ours, 4096):
                shown += piece
    os.close(ours)
    return process.returncode, shown.decode()
