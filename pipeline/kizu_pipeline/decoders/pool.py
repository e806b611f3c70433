"""The line's side of the decoders: as many processes as are wanted, each with a memory limit, replaced when they die."""

from __future__ import annotations

import os
import queue
import resource
import select
import subprocess
import sys
import time
from types import TracebackType
from typing import Final, Protocol, Self

import numpy as np
import structlog

from kizu_inspect.errors import ImageError, KizuError
from kizu_inspect.recipe import Bits
from kizu_inspect.results import ImageRGB
from kizu_pipeline.decoders.worker import ANSWER, REQUEST

__all__ = ["Decode", "DecoderPool", "memory_mb_for"]

_START_S: Final = 60.0
_STARTS: Final = 3
_TRIES: Final = 2
_BASE_MB, _MB_A_MEGAPIXEL = 700, 14
"""What the libraries map, and what decoding takes at its worst a pixel: 4 channels of 16 bits, and 3 bytes twice."""
_KEPT_BYTES: Final = 64_000_000
"""Shared memory beyond this is given back after the picture that needed it."""

_log = structlog.get_logger("kizu.decode")


class Decode(Protocol):
    """From a picture's bytes to its pixels (H, W, 3) uint8 RGB. Raises ImageError."""

    def __call__(self, data: bytes, *, max_megapixels: float, bits: Bits | None) -> ImageRGB: ...


def memory_mb_for(max_megapixels: float) -> int:
    """How much memory a decoder may take by default, in MB, where pictures may have so many megapixels."""
    return _BASE_MB + round(_MB_A_MEGAPIXEL * max_megapixels)


class DecoderPool:
    """Decoder processes, for as many threads as want to decode. Their lives end with the `with` block, or with this process."""

    def __init__(self, count: int, *, memory_mb: int, longest_s: float = 60.0) -> None:
        self._memory_mb = memory_mb
        self._longest_s = longest_s
        self._workers = [_Worker(memory_mb) for _ in range(count)]  # which start while the model is loaded
        self._free: queue.SimpleQueue[_Worker] = queue.SimpleQueue()
        for worker in self._workers:
            self._free.put(worker)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None) -> None:
        for worker in self._workers:
            worker.end()

    @property
    def process_ids(self) -> list[int]:
        """Of the processes that decode."""
        return [worker.process.pid for worker in self._workers]

    def decode(self, data: bytes, *, max_megapixels: float, bits: Bits | None = None) -> ImageRGB:
        """As `decode_image`, in a process of its own. A picture whose decoder dies is tried once more.

        Raises ImageError, also where it takes longer or more memory than it may, or ends its decoder twice; KizuError where no
        decoder starts: that is no picture's doing.
        """
        worker = self._free.get()
        try:
            died, not_started = 0, 0
            while True:
                try:
                    return worker.decode(data, max_megapixels, bits, longest_s=self._longest_s)
                except TimeoutError:
                    worker.restart()
                    raise ImageError(
                        "picture takes too long to decode", found=f"more than {self._longest_s:g} s",
                        expected="a common picture", next_step="Look whether its file is damaged.",
                    ) from None  # fmt: skip
                except _NotStartedError:
                    how, not_started = worker.how_it_ended(), not_started + 1
                except EOFError:
                    how, died = worker.how_it_ended(), died + 1
                _log.error("decoder died; another one takes its place", ended_by=how, picture_bytes=len(data))
                worker.restart()
                if died == _TRIES:
                    raise ImageError(
                        "picture ends its decoder", found=f"twice {how}", expected="a whole picture", next_step="Take it again."
                    )
                if not_started == _STARTS:
                    raise KizuError(
                        "a decoder does not start", found=f"{_STARTS} that ended {how}", expected="a process that decodes",
                        next_step="Raise runtime.decoder_mb, or repair the installation.",
                    )  # fmt: skip
        finally:
            self._free.put(worker)


class _NotStartedError(Exception):
    """The process ended, or said nothing, before there was a picture."""


class _Worker:
    """One process and the memory it shares with us."""

    def __init__(self, memory_mb: int) -> None:
        self._memory_mb = memory_mb
        self._shared = os.memfd_create("kizu-picture")
        self._ready = False
        self.process = self._started()

    def _started(self) -> subprocess.Popen[bytes]:
        self._ready = False
        self._answers, answers = os.pipe()
        try:
            process = subprocess.Popen(
                # -P: nothing that lies in the folder of the service is taken for a module.
                [sys.executable, "-P", "-m", "kizu_pipeline.decoders.worker", str(self._shared), str(answers)],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                bufsize=0,
                pass_fds=(self._shared, answers),
                start_new_session=True,  # a Ctrl+C is for the service
                env=os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
            )
        finally:
            os.close(answers)
        most = self._memory_mb * 1_000_000
        resource.prlimit(process.pid, resource.RLIMIT_AS, (most, most))
        return process

    def decode(self, data: bytes, max_megapixels: float, bits: Bits | None, *, longest_s: float) -> ImageRGB:
        """Raises ImageError, EOFError where the process is gone, TimeoutError where it does not answer, _NotStartedError."""
        if not self._ready:
            try:
                self._answer(_START_S)
            except (EOFError, TimeoutError):
                raise _NotStartedError from None
            self._ready = True
        try:
            _write(self._shared, data)
            assert self.process.stdin is not None
            try:
                self.process.stdin.write(REQUEST.pack(len(data), max_megapixels, bits or 0))
            except BrokenPipeError:
                raise EOFError from None
            height, width, error_bytes = self._answer(longest_s)
            if error_bytes:
                raise ImageError(_read(self._shared, error_bytes).decode("utf-8"))
            image = np.empty((height, width, 3), np.uint8)
            _read_into(self._shared, memoryview(image.data).cast("B"))
        finally:
            if os.fstat(self._shared).st_size > _KEPT_BYTES:
                os.ftruncate(self._shared, 0)
        return image

    def _answer(self, longest_s: float) -> tuple[int, int, int]:
        got, until = b"", time.monotonic() + longest_s
        while len(got) < ANSWER.size:
            if not select.select([self._answers], [], [], max(0.0, until - time.monotonic()))[0]:
                raise TimeoutError
            some = os.read(self._answers, ANSWER.size - len(got))
            if not some:
                raise EOFError
            got += some
        height, width, error_bytes = ANSWER.unpack(got)
        return height, width, error_bytes

    def how_it_ended(self) -> str:
        """In words: by which signal, or with which exit code."""
        try:
            code = self.process.wait(timeout=1.0)
        except subprocess.TimeoutExpired:
            return "not at all"
        return f"by signal {-code}" if code < 0 else f"with exit code {code}"

    def restart(self) -> None:
        """Another process in the place of this one."""
        self._stop()
        self.process = self._started()

    def end(self) -> None:
        """Stop the process and give its memory back."""
        self._stop()
        os.close(self._shared)

    def _stop(self) -> None:
        self.process.kill()
        self.process.wait()
        assert self.process.stdin is not None
        self.process.stdin.close()
        os.close(self._answers)


def _write(shared: int, data: bytes) -> None:
    view, at = memoryview(data), 0
    while at < len(view):
        at += os.pwrite(shared, view[at:], at)


def _read(shared: int, size: int) -> bytes:
    data = bytearray(size)
    _read_into(shared, memoryview(data))
    return bytes(data)


def _read_into(shared: int, view: memoryview) -> None:
    at = 0
    while at < len(view) and (count := os.preadv(shared, [view[at:]], at)) > 0:
        at += count
