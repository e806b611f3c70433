"""The typed settings of the signal to the line's control."""

from __future__ import annotations

from typing import Annotated, Final, Literal, Self

from pydantic import Field, model_validator

from kizu_inspect.settings import Settings
from kizu_pipeline.broker_settings import BrokerSettings

__all__ = ["ControlSettings", "ModbusSignal", "MqttSignal", "SignalSettings"]

_LAST_REGISTER: Final = 65535


class ControlSettings(Settings):
    """How results and triggers go to and fro, whatever carries them."""

    poll_ms: float = Field(
        default=20.0, ge=1, le=1000, title="Poll", description="How often is looked for what the control asks, in milliseconds."
    )
    heartbeat_ms: float = Field(
        default=500.0, ge=20, le=60000, title="Heartbeat",
        description="How often the heartbeat counts up, in milliseconds. The control takes three times this in silence for NG.",
    )  # fmt: skip
    acknowledge_ms: float = Field(
        default=500.0, ge=10, le=60000, title="Acknowledge",
        description="How long a result waits to be acknowledged before the next one takes its place, in milliseconds.",
    )  # fmt: skip
    send_within_ms: float = Field(
        default=1000.0, ge=10, le=600000, title="Send within",
        description="An OK that could not be written so long after its verdict, in milliseconds, is not sent as OK any more.",
    )  # fmt: skip
    timeout_ms: float = Field(
        default=300.0, ge=10, le=10000, title="Time-out",
        description="A PLC or broker that does not answer for so long, in milliseconds, is away; it is connected to anew.",
    )  # fmt: skip


class ModbusSignal(ControlSettings):
    """OK or NG for each part, into the holding registers of a PLC. Kizu is the client, the PLC the server."""

    kind: Literal["modbus"] = Field(title="Kind", description="Modbus TCP.")
    host: str = Field(min_length=1, title="Host", description="Name or address of the PLC.")
    port: int = Field(default=502, ge=1, le=65535, title="Port", description="TCP port of the PLC's Modbus server.")
    unit: int = Field(default=1, ge=0, le=255, title="Unit", description="Unit identifier of the PLC.")
    results_address: int = Field(
        default=0, ge=0, le=_LAST_REGISTER, title="Results address",
        description="First holding register that Kizu writes, counted from 0 (40001 in the other way of counting).",
    )  # fmt: skip
    commands_address: int = Field(
        default=100, ge=0, le=_LAST_REGISTER, title="Commands address",
        description="First holding register that the PLC writes and Kizu reads, counted from 0.",
    )  # fmt: skip
    part_registers: int = Field(
        default=16, ge=4, le=64, title="Part registers", description="Registers for a part id, two ASCII characters each."
    )

    @model_validator(mode="after")
    def _blocks_stand_apart(self) -> Self:
        results, commands = self.results, self.commands
        if results.start < commands.stop and commands.start < results.stop:
            raise ValueError(
                f"the registers {results.start} to {results.stop - 1} of the results and {commands.start} to "
                f"{commands.stop - 1} of the commands overlap; move one of them"
            )
        if max(results.stop, commands.stop) - 1 > _LAST_REGISTER:
            raise ValueError(
                f"the last register would be {max(results.stop, commands.stop) - 1}; there are {_LAST_REGISTER + 1}"
            )
        return self

    @property
    def results(self) -> range:
        """The registers that Kizu writes."""
        return range(self.results_address, self.results_address + self.part_registers + 9)

    @property
    def commands(self) -> range:
        """The registers that the PLC writes."""
        return range(self.commands_address, self.commands_address + self.part_registers + 3)

    def shared_with(self, other: ModbusSignal) -> range | None:
        """The first registers that both have, of one PLC; None where there are none."""
        if (self.host.lower(), self.port, self.unit) != (other.host.lower(), other.port, other.unit):
            return None
        for mine in (self.results, self.commands):
            for theirs in (other.results, other.commands):
                if shared := range(max(mine.start, theirs.start), min(mine.stop, theirs.stop)):
                    return shared
        return None


class MqttSignal(ControlSettings, BrokerSettings):
    """OK or NG for each part, by an MQTT broker (version 5) to whatever controls the line."""

    kind: Literal["mqtt"] = Field(title="Kind", description="MQTT 5.")


SignalSettings = Annotated[ModbusSignal | MqttSignal, Field(discriminator="kind")]
