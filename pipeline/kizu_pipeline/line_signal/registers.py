"""Results, states and commands as 16-bit registers: see "Over Modbus TCP" in docs/signal.md.

In two registers the high word comes first, of two characters in a register the first is the high byte.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from kizu_pipeline.line_signal.base import Code, Commands, LineState, Result

__all__ = ["STATE_WORDS", "RegisterMap"]

STATE_WORDS: Final = 3
_READY, _BUSY, _FAULT = 1, 2, 4
_DIGEST: Final = 6


@dataclass(frozen=True)
class RegisterMap:
    """How many registers a part id has, and what follows from it."""

    part_registers: int

    @property
    def result_words(self) -> int:
        """Registers of one result."""
        return self.part_registers + 6

    @property
    def command_words(self) -> int:
        """Registers of what the control writes."""
        return self.part_registers + 3

    def state(self, state: LineState) -> list[int]:
        """Heartbeat, bits, trigger taken."""
        return [state.heartbeat & 0xFFFF, state.ready * _READY | state.busy * _BUSY | state.fault * _FAULT, state.trigger]

    def result(self, result: Result | None) -> list[int]:
        """Sequence, code, trigger, part, sequence; all 0 for none.

        The sequence stands at both ends, and a result is only ever written over zeros: a reader who finds the same number
        at both ends while the words arrive finds the code of this number, or 0, and never that of another result.
        """
        if result is None:
            return [0] * self.result_words
        sequence = [result.sequence >> 16, result.sequence & 0xFFFF]
        return [*sequence, int(result.code), result.trigger, *self.part(result.part), *sequence]

    def read_result(self, words: Sequence[int]) -> Result | None:
        """A result as the control is to read it; None where none is there, or only half of one."""
        head, tail = _double(words, 0), _double(words, self.result_words - 2)
        if head == 0 or head != tail or words[2] not in (Code.OK, Code.NG):
            return None
        return Result(head, Code(words[2]), words[3], _text(words[4 : 4 + self.part_registers]))

    def commands(self, words: Sequence[int]) -> Commands:
        """Trigger, acknowledged sequence, part."""
        return Commands(words[0], _text(words[3:]), _double(words, 1))

    def part(self, part: str) -> list[int]:
        """A part id as registers, filled up with zeros.

        One that is too long or not ASCII ends in "~" and figures of its SHA-256: two parts never look the same here.
        """
        room = 2 * self.part_registers
        data = part.encode("ascii", "replace")
        if len(data) > room or not part.isascii() or not part.isprintable():
            digest = hashlib.sha256(part.encode("utf-8", "backslashreplace")).hexdigest()[:_DIGEST]
            plain = bytes(byte if 0x20 <= byte < 0x7F else 0x3F for byte in data)
            data = plain[: room - _DIGEST - 1] + b"~" + digest.encode()
        data = data.ljust(room, b"\0")
        return [data[index] << 8 | data[index + 1] for index in range(0, room, 2)]


def _double(words: Sequence[int], at: int) -> int:
    return words[at] << 16 | words[at + 1]


def _text(words: Sequence[int]) -> str:
    """The characters up to the first 0, without spaces around them; what is no printable ASCII becomes a question mark."""
    data = b"".join(word.to_bytes(2, "big") for word in words).split(b"\0", 1)[0]
    return "".join(chr(byte) if 0x20 <= byte < 0x7F else "?" for byte in data).strip()
