"""The settings files that the project ships, and those that are wrong."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import yaml

from kizu.config import load_config
from kizu_inspect.bundle import Bundle
from kizu_inspect.errors import BundleError, ConfigError
from kizu_inspect.settings import read_yaml

HOUSE = Path(__file__).parent.parent
TRAINING = HOUSE / "configs" / "training.yaml"
CONFIGS = sorted(path for path in TRAINING.parent.glob("*.yaml") if path != TRAINING)


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.name)
def test_every_shipped_file_loads(path: Path) -> None:
    config = load_config(path)
    assert config.every_station
    assert config.dashboard.host == "127.0.0.1"


def test_every_kind_is_there() -> None:
    kinds = {"camera", "folder", "genicam", "mqtt-signal", "plc", "postgresql", "stream", "two-stations"}
    assert {path.stem for path in CONFIGS} == kinds


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("plnt: {}", r"plnt: Extra inputs are not permitted, the nearest key is plant \(found"),
        (
            "runtime: {http: {prot: 80}}",
            r"runtime\.http\.prot: Extra inputs are not permitted, the nearest key is port \(found",
        ),
        (
            "station: {source: {kind: folder, pth: in}}",
            r"station\.source\.folder\.pth: .*, the nearest key is path \(found 'in'\)",
        ),
        ("stations: [{id: a, recip: {}}]", r"found stations\.0\.recip: .*, the nearest key is recipe \(found"),
        ("station: {recipe: {classes: {dent: {severty: minor}}}}", r"classes\.dent\.severty: .*, the nearest key is severity"),
        ("plant: {colour: red}", r"plant\.colour: Extra inputs are not permitted, the keys are name, .*timezone.* \(found"),
        ("[]", r"file: Input should be a valid dictionary"),
        ("dashboard: {port: 99999}", r"dashboard\.port: Input should be less than or equal to 65535"),
        ("plant: [", r"is not YAML"),
    ],
    ids=[
        "unknown key",
        "unknown key below",
        "key of one kind",
        "key in a list",
        "key below a name",
        "key like no other",
        "a list",
        "out of range",
        "no YAML",
    ],
)
def test_a_mistake_is_named(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "kizu.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match=said):
        load_config(path)


def test_a_missing_file_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="configuration is not there: found no file"):
        load_config(tmp_path / "kizu.yaml")


def test_a_password_in_an_address_is_not_repeated(tmp_path: Path) -> None:
    path = tmp_path / "kizu.yaml"
    path.write_text("plant: 'rtsp://line:secret@camera/1'", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"found 'rtsp://…") as raised:
        load_config(path)
    assert "secret" not in str(raised.value)


BOMB = "a0: &a0 [x, x]\n" + "\n".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 30))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (BOMB, "more than 100,000 values"),
        ("a: &a [*a]", "more than 100,000 values"),
        ("a: " + "[" * 20_000, "nested too deeply"),
        ("a: 2024-02-30", "a value that is none"),
        ("a: !!bool perhaps", "a value that is none"),
    ],
    ids=["bomb", "endless", "deep", "no date", "no bool"],
)
def test_yaml_that_cannot_be_is_refused(text: str, said: str, tmp_path: Path, tiny_bundle: Path) -> None:
    path = tmp_path / "kizu.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match=f"is not YAML: found .*{said}"):
        load_config(path)
    shutil.copytree(tiny_bundle, tmp_path / "bundle")
    (tmp_path / "bundle" / "bundle.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(BundleError, match=f"is not YAML: found .*{said}"):
        Bundle.load(tmp_path / "bundle")


def test_aliases_are_fine_where_they_save_writing() -> None:
    text = "plant: &p {name: One, timezone: UTC}\nagain: [*p, {<<: *p, name: Two}]"
    assert read_yaml(text) == yaml.safe_load(text)
    assert read_yaml("") is None
