"""What keeps a training that ends before its bundle is whole: checkpoints in a folder beside that bundle."""

from __future__ import annotations

import fcntl
import hashlib
import io
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import torch

from kizu_inspect.durable import make_folder, sync
from kizu_inspect.errors import ConfigError, DataError

__all__ = ["Checkpoint", "KeptTraining", "check_room", "folder_of", "kept_training"]

MAGIC: Final = b"kizu training 1\n"
HEADER: Final = len(MAGIC) + hashlib.sha256().digest_size
EVERY_S: Final = 10.0
LARGEST_SHARE: Final = 0.02
"""So much of the time is spent on checkpoints at most: what takes long to write is written less often."""
LOCK, ENDING, UNFINISHED = "lock", ".checkpoint", ".new"


@dataclass
class Checkpoint:
    """One training's file. It is written beside its place, is on the disk, and is then moved there: whole after any end."""

    path: Path
    identity: Mapping[str, Any]
    """What it is a training of, as plain values in groups: another one is not gone on with."""
    plan: dict[str, Any] = field(default_factory=dict)
    """What was made up before the first step, as plain values; kept with the state."""
    state: dict[str, Any] | None = None
    """What is to be gone on from."""
    every_s: float = EVERY_S
    _next: float = field(default=0.0, init=False)

    def __post_init__(self) -> None:
        self._next = time.monotonic() + self.every_s

    def save_if_due(self, state: Callable[[], dict[str, Any]]) -> str | None:
        """Writes the state where it is time to; the reason where that failed, since a training does not end for it."""
        begun = time.monotonic()
        if begun < self._next:
            return None
        unkept = self.save(state())
        taken = time.monotonic() - begun
        self._next = begun + taken + max(self.every_s, taken / LARGEST_SHARE)
        return unkept

    def save(self, state: dict[str, Any]) -> str | None:
        """Writes the state; the reason where it cannot be written."""
        unfinished = self.path.with_suffix(UNFINISHED)
        try:
            with unfinished.open("w+b") as file:
                file.write(bytes(HEADER))
                torch.save({"identity": dict(self.identity), "plan": self.plan, "state": state}, file)
                file.seek(HEADER)
                digest = hashlib.file_digest(file, "sha256").digest()
                file.seek(0)
                file.write(MAGIC + digest)
                file.flush()
                os.fsync(file.fileno())
            unfinished.replace(self.path)
            sync(self.path.parent)
        except (OSError, RuntimeError) as error:  # RuntimeError is torch's of a file that it cannot write to
            with suppress(OSError):
                unfinished.unlink(missing_ok=True)
            return " ".join(str(error).split())[:200]
        return None

    def load(self) -> None:
        """Reads `plan` and `state` where there is a file.

        Raises DataError where it is damaged, ConfigError where it is of another training.
        """
        if not self.path.exists():
            return
        anew = f"Remove {self.path.parent} to start anew."
        try:
            content = self.path.read_bytes()
        except OSError as error:
            raise DataError(f"checkpoint {self.path} cannot be read", found=str(error), next_step=anew) from None
        payload = content[HEADER:]
        if content[: len(MAGIC)] != MAGIC or content[len(MAGIC) : HEADER] != hashlib.sha256(payload).digest():
            raise DataError(
                f"checkpoint {self.path} is damaged", found=f"{len(content)} bytes with another SHA-256",
                expected="what was written", next_step=anew,
            )  # fmt: skip
        kept = torch.load(io.BytesIO(payload), map_location="cpu", weights_only=True)
        differing = _differing(kept["identity"], self.identity)
        if differing is not None and differing[0] == "data.hash":
            raise ConfigError(
                f"the training in {self.path.parent} is another one", found="other pictures, labels or places than it learned",
                expected="the same", next_step=f"Give --resume the set as it was. {anew}",
            )  # fmt: skip
        if differing is not None:
            name, found, expected = differing
            raise ConfigError(
                f"the training in {self.path.parent} is another one", found=f"{name} {found}", expected=expected,
                next_step=f"Give --resume the same pictures and options. {anew}",
            )  # fmt: skip
        self.plan, self.state = kept["plan"], kept["state"]


@dataclass(frozen=True)
class KeptTraining:
    """The folder of one command's checkpoints."""

    folder: Path
    resume: bool
    every_s: float

    def checkpoint(self, name: str, identity: Mapping[str, Any]) -> Checkpoint:
        """The checkpoint of that name, read where it is to be gone on from. Raises DataError, ConfigError."""
        made = Checkpoint(self.folder / f"{name}{ENDING}", identity, every_s=self.every_s)
        if self.resume:
            made.load()
        return made


def folder_of(out: Path) -> Path:
    """Where the training of the bundle `out` is kept: beside it, for all to see, and no bundle itself."""
    whole = Path(os.path.abspath(out))
    return whole.with_name(whole.name + ".training")


@contextmanager
def kept_training(out: Path, names: Sequence[str], *, resume: bool, every_s: float = EVERY_S) -> Iterator[KeptTraining]:
    """The checkpoints of these `names` for the bundle `out`; they are gone once all is done, and stay after any other end.

    Raises ConfigError where `out` cannot be written, another process trains for it, checkpoints are there that nobody asked to
    go on with, or none are there to go on with.
    """
    folder = folder_of(out)
    try:
        make_folder(folder)
        _try_to_write(folder)
        if out.exists():
            _try_to_write(out)
        lock = (folder / LOCK).open("a")
    except OSError as error:
        raise ConfigError(
            f"the bundle {out} cannot be written", found=str(error), expected="a folder that can be written to",
            next_step="Name another with --out.",
        ) from None  # fmt: skip
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise ConfigError(
                f"another training for {out} is running", found=f"its lock on {lock.name}", expected="one at a time",
                next_step="Wait for it, or name another bundle with --out.",
            ) from None  # fmt: skip
        try:
            _check_asked(folder, names, resume=resume)
            yield KeptTraining(folder, resume, every_s)
            shutil.rmtree(folder)
        finally:
            if folder.exists() and not _kept(folder):
                shutil.rmtree(folder)


def check_room(folder: Path, needed: int) -> None:
    """Raises ConfigError where the disk of `folder` has fewer than `needed` bytes left."""
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise ConfigError(
            "too little room on the disk for the bundle and its checkpoints", found=f"{free / 1e6:.0f} MB free at {folder}",
            expected=f"{needed / 1e6:.0f} MB", next_step="Make room, or name another bundle with --out.",
        )  # fmt: skip


def _kept(folder: Path) -> list[str]:
    return sorted(path.name.removesuffix(ENDING) for path in folder.glob(f"*{ENDING}"))


def _check_asked(folder: Path, names: Sequence[str], *, resume: bool) -> None:
    kept = _kept(folder)
    if kept and not resume:
        raise ConfigError(
            "a training for this bundle was broken off", found=f"its checkpoint in {folder}", expected="no checkpoint",
            next_step=f"Go on with it by --resume, or remove {folder} to start anew.",
        )  # fmt: skip
    if resume and not set(kept) & set(names):
        raise ConfigError(
            "there is nothing to resume", found=", ".join(kept) or f"no checkpoint in {folder}",
            expected="the checkpoint of a training that broke off",
            next_step="Leave --resume out to train anew." if not kept else "Give --resume the same options as before.",
        )  # fmt: skip


def _differing(kept: Mapping[str, Any], asked: Mapping[str, Any], prefix: str = "") -> tuple[str, Any, Any] | None:
    """The first value that is another one: its name, as kept, as asked."""
    for name in (*asked, *(name for name in kept if name not in asked)):
        before, now = kept.get(name), asked.get(name)
        if isinstance(before, Mapping) and isinstance(now, Mapping):
            if (found := _differing(before, now, f"{prefix}{name}.")) is not None:
                return found
        elif before != now:
            return prefix + name, before, now
    return None


def _try_to_write(folder: Path) -> None:
    with tempfile.TemporaryFile(dir=folder) as file:
        file.write(b"\0")
