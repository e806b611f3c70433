"""A PLC for the tests of the signal: a real Modbus TCP server in a thread, with the program of docs/signal.md."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from pymodbus.constants import ExcCodes
from pymodbus.server import ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice

from kizu_pipeline.line_signal.base import Code, Result
from kizu_pipeline.line_signal.registers import STATE_WORDS, RegisterMap

PARTS = 16
RESULTS, COMMANDS = 0, 100
MAP = RegisterMap(PARTS)
PATIENCE_S = 20.0
READY, BUSY, FAULT = 1, 2, 4


class Plc:
    """The PLC's registers, and what its program took. It acknowledges each result unless told not to."""

    def __init__(self) -> None:
        self.port = 0
        self.taken: list[Result] = []
        """Each result that the program took, in order."""
        self.states: list[tuple[int, int, int]] = []
        """Each heartbeat, bits and trigger that were written."""
        self.writes: list[tuple[int, list[int]]] = []
        """Each write as it came."""
        self.acknowledges = True
        self.on_result: Callable[[Result], object] = lambda _: None
        self._last = 0
        self._changed = threading.Condition()
        self._commands = [0] * MAP.command_words
        self._loop: asyncio.AbstractEventLoop | None = None
        self._server: ModbusTcpServer | None = None
        self._thread: threading.Thread | None = None
        self._registers: list[int] = []

    async def _action(
        self, code: int, start: int, address: int, _count: int, registers: list[int], values: Sequence[int | bool] | None
    ) -> ExcCodes | None:
        with self._changed:
            self._registers = registers
            registers[COMMANDS - start : COMMANDS - start + len(self._commands)] = self._commands
            if values is not None:
                assert code == 16
                words = [int(word) for word in values]
                self.writes.append((address, words))
                if address == RESULTS:
                    self.states.append((words[0], words[1], words[2]))
                else:
                    self._scan(words)
            self._changed.notify_all()
        return None

    def _scan(self, words: list[int]) -> None:
        """The program of docs/signal.md, once the words are there."""
        result = MAP.read_result(words)
        if result is None or result.sequence == self._last:
            return
        self._last = result.sequence
        self.taken.append(result)
        if self.acknowledges:
            self._commands[1:3] = [result.sequence >> 16, result.sequence & 0xFFFF]
        self.on_result(result)

    def trigger(self, number: int, part: str) -> None:
        """The part first, then the number."""
        with self._changed:
            self._commands[3:] = MAP.part(part)
            self._commands[0] = number

    def forget(self) -> None:
        """Lose the registers, as at a cold start; only the program's own variables outlive it."""
        with self._changed:
            self._commands = [0] * MAP.command_words
            self._registers[:] = [0] * len(self._registers)

    def until(self, done: Callable[[], Any]) -> None:
        """Wait for a write after which this holds."""
        with self._changed:
            assert self._changed.wait_for(done, PATIENCE_S), (self.taken, self.states[-3:], self.writes[-3:])

    @property
    def heartbeat(self) -> int | None:
        """The last one written."""
        return self.states[-1][0] if self.states else None

    def heartbeat_within(self, seconds: float) -> bool:
        """The PLC's own watchdog: whether the heartbeat moves within this time."""
        with self._changed:
            before = self.heartbeat
            return bool(self._changed.wait_for(lambda: self.heartbeat != before, seconds))

    def codes(self) -> list[tuple[str, str]]:
        """Part and code of each result taken."""
        return [(result.part, result.code.name) for result in self.taken]

    @property
    def shows_ok(self) -> bool:
        """Whether an OK stands in the registers now."""
        return next((words[2] == Code.OK for address, words in reversed(self.writes) if address != RESULTS), False)

    def start(self) -> None:
        """Power on, on the same port as before; the registers are empty."""
        ready = threading.Event()

        async def serve() -> None:
            data = SimData(0, count=200, values=0, datatype=DataType.REGISTERS)
            device = SimDevice(1, simdata=[data], action=self._action)
            self._server = ModbusTcpServer(device, address=("127.0.0.1", self.port))
            self._loop = asyncio.get_running_loop()
            await self._server.serve_forever(background=True)
            self.port = self._server.transport.sockets[0].getsockname()[1]
            ready.set()
            await self._server.serving

        self._thread = threading.Thread(target=lambda: asyncio.run(serve()), name="plc", daemon=True)
        self._thread.start()
        assert ready.wait(PATIENCE_S)

    def stop(self) -> None:
        """Power off: connections break."""
        assert self._loop is not None
        assert self._server is not None
        assert self._thread is not None
        asyncio.run_coroutine_threadsafe(self._server.shutdown(), self._loop).result(PATIENCE_S)
        self._thread.join(PATIENCE_S)
        assert not self._thread.is_alive()

    def settings(self, **changes: object) -> dict[str, object]:
        """station.signal for this PLC."""
        plain = {"kind": "modbus", "host": "127.0.0.1", "port": self.port, "poll_ms": 5, "heartbeat_ms": 30, "timeout_ms": 1000}
        return {**plain, "acknowledge_ms": 5000, "send_within_ms": 10_000, **changes}


@contextmanager
def running_plc() -> Iterator[Plc]:
    """A PLC with power."""
    plc = Plc()
    plc.start()
    try:
        yield plc
    finally:
        plc.stop()


__all__ = ["BUSY", "COMMANDS", "FAULT", "MAP", "READY", "RESULTS", "STATE_WORDS", "Plc", "running_plc"]
