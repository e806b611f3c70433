"""Settings of a station: what is refused, and with what words."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from kizu_pipeline.line_signal.settings import ModbusSignal
from kizu_pipeline.settings import CameraSource, FolderSource, RuntimeSettings, StationSettings


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        pytest.param({"part_pattern": "(?P<part"}, "not a regular expression", id="broken pattern"),
        pytest.param({"part_pattern": ".+"}, r"no group \(\?P<part>", id="pattern without part"),
        pytest.param({"part_pattern": "(?P<part>.)(?P<batch>.)"}, r"unknown groups \['batch'\]", id="unknown group"),
        pytest.param({"temporary_suffixes": ("",)}, "would ignore every file", id="empty suffix"),
        pytest.param({"done": "incoming"}, "done .* must not be the watched folder", id="done is the folder"),
        pytest.param({"path": "done/incoming"}, "done .* nor hold it", id="done holds the folder"),
        pytest.param({"quarantine": "."}, "quarantine .* nor hold it", id="quarantine holds the folder"),
        pytest.param({"done": "incoming/done"}, "done .* must not lie in the watched folder", id="done in the folder"),
        pytest.param({"quarantine": "incoming/q/r"}, "quarantine .* must not lie in", id="quarantine in the folder"),
        pytest.param({"ignored": ("*",)}, "would ignore every picture", id="everything ignored"),
        pytest.param({"settle_s": -1}, "greater than or equal to 0", id="negative time"),
        pytest.param({"setle_s": 1}, "Extra inputs are not permitted", id="misspelt key"),
    ],
)
def test_folder_settings_refuse(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        FolderSource.model_validate({"path": "incoming", **changes})


@pytest.mark.parametrize(
    ("device", "message"), [(-1, "0 or more, not -1"), (" ", "device is empty")], ids=["negative", "empty"]
)
def test_camera_settings_refuse(device: object, message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        CameraSource.model_validate({"kind": "camera", "device": device})


def test_digits_are_a_camera_index() -> None:
    assert CameraSource(kind="camera", device="1").device == 1


def test_kind_chooses_the_source() -> None:
    station = StationSettings.model_validate(
        {"id": "press-3", "source": {"kind": "camera", "device": 0}, "recipe": {"bundle": "b"}}
    )
    assert isinstance(station.source, CameraSource)


@pytest.mark.parametrize("name", ["", "a/b", "a:b", " a", "a\n"])
def test_station_names_that_would_blur_a_record_are_refused(name: str) -> None:
    with pytest.raises(ValidationError, match="id"):
        StationSettings.model_validate({"id": name, "source": {"kind": "folder", "path": "i"}, "recipe": {"bundle": "b"}})


@pytest.mark.parametrize("settings", [FolderSource, CameraSource, StationSettings, RuntimeSettings])
def test_every_setting_says_what_it_is(settings: Any) -> None:
    for name, field in settings.model_fields.items():
        assert field.title, name
        assert field.description, name


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        pytest.param(
            {"commands_address": 24}, r"the registers 0 to 24 of the results and 24 to 42 of the commands overlap", id="overlap"
        ),
        pytest.param({"commands_address": 65520}, r"the last register would be 65538; there are 65536", id="beyond the end"),
        pytest.param({"host": ""}, "at least 1 character", id="no host"),
        pytest.param({"kind": "opcua"}, "Input should be 'modbus'", id="unknown kind"),
        pytest.param({"acknowledge": 5}, "Extra inputs are not permitted", id="misspelt key"),
    ],
)
def test_signal_settings_refuse(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        ModbusSignal.model_validate({"kind": "modbus", "host": "plc", **changes})


def test_register_blocks_may_touch() -> None:
    assert ModbusSignal(kind="modbus", host="plc", results_address=100, commands_address=81).part_registers == 16
