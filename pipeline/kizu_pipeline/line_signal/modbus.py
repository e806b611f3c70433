"""The signal over Modbus TCP: Kizu writes and reads the PLC's holding registers."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, NoReturn, TypeVar

from kizu_inspect.errors import ConfigError, SignalAway
from kizu_pipeline.line_signal.base import Commands, LineState, Result
from kizu_pipeline.line_signal.registers import STATE_WORDS, RegisterMap
from kizu_pipeline.line_signal.settings import ModbusSignal

if TYPE_CHECKING:
    from pymodbus.client import ModbusTcpClient

__all__ = ["ModbusLink"]

T = TypeVar("T")


class ModbusLink:
    """One PLC."""

    def __init__(self, settings: ModbusSignal) -> None:
        """Connects to nobody yet. Raises ConfigError where pymodbus is not installed."""
        try:
            from pymodbus.client import ModbusTcpClient
        except ImportError as error:
            raise ConfigError(
                "station.signal needs a package that is not installed", found="no pymodbus", expected="kizu[modbus]",
                next_step="Run `pip install 'kizu[modbus]'`.",
            ) from error  # fmt: skip
        logging.getLogger("pymodbus").setLevel(logging.CRITICAL + 1)  # each failure is told here, in one event
        self._settings = settings
        self._map = RegisterMap(settings.part_registers)
        self._client: ModbusTcpClient = ModbusTcpClient(
            settings.host, port=settings.port, timeout=settings.timeout_ms / 1000, retries=0, name="kizu"
        )

    @property
    def name(self) -> str:
        """Where the PLC is."""
        return f"modbus {self._settings.host}:{self._settings.port} unit {self._settings.unit}"

    def connect(self) -> frozenset[int]:
        """Make the connection, and take back whatever result is still shown. The sequence numbers that the PLC knows."""
        self.close()
        if not self._tried(self._client.connect):
            self._lost("no connection")
        before = self._read(self._results, self._map.result_words)
        known = {before[0] << 16 | before[1], before[-2] << 16 | before[-1], self.read().acknowledged}
        self.show(None)
        return frozenset(known)

    def read(self) -> Commands:
        """What the PLC asks now."""
        return self._map.commands(self._read(self._settings.commands_address, self._map.command_words))

    def tell(self, state: LineState) -> None:
        """Show this state."""
        self._write(self._settings.results_address, self._map.state(state))

    def show(self, result: Result | None) -> None:
        """Show this result and no other, in one write."""
        self._write(self._results, self._map.result(result))

    def close(self) -> None:
        """End the connection."""
        self._client.close()  # type: ignore[no-untyped-call]

    @property
    def _results(self) -> int:
        return self._settings.results_address + STATE_WORDS

    def _read(self, address: int, count: int) -> list[int]:
        unit = self._settings.unit
        answer = self._tried(lambda: self._client.read_holding_registers(address, count=count, device_id=unit))
        if answer.isError() or len(answer.registers) != count:
            self._lost(f"{answer} to a read of the holding registers {address} to {address + count - 1}")
        return list(answer.registers)

    def _write(self, address: int, words: list[int]) -> None:
        answer = self._tried(lambda: self._client.write_registers(address, words, device_id=self._settings.unit))
        if answer.isError():
            self._lost(f"{answer} to a write of the holding registers {address} to {address + len(words) - 1}")

    def _tried(self, act: Callable[[], T]) -> T:
        """What `act` gives. A connection on which anything failed is not used again: answers would be mixed up."""
        from pymodbus.exceptions import ModbusException

        try:
            return act()
        except (ModbusException, OSError) as error:
            self._lost(str(error) or type(error).__name__)

    def _lost(self, found: str) -> NoReturn:
        self.close()
        raise SignalAway(
            f"the PLC ({self.name}) is away", found=found, expected="answers to reads and writes of holding registers",
            next_step="Check its power, network, Modbus server, and the addresses of station.signal.",
        ) from None  # fmt: skip
