"""What the server answers: pictures by inspection id, nothing by path, nothing to strangers."""

from __future__ import annotations

import http.client
import io
import os
import re
import signal
import socket
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pytest
from PIL import Image

from dashboard_world import Plant, cookie_header, empty_plant, filled_plant
from kizu_dashboard import own_process
from kizu_dashboard.room import close_rooms
from kizu_dashboard.server import serve, streamlit_options
from kizu_dashboard.settings import DashboardConfig, DashboardSettings, PlantSettings
from kizu_db.settings import DatabaseSettings
from kizu_db.values import NewInspection
from kizu_inspect.errors import ConfigError, SchemaError
from kizu_inspect.picture.heatmap import upsample
from kizu_inspect.results import Judgement, Verdict

Answer = tuple[int, dict[str, str], bytes]


@pytest.fixture(scope="module")
def plant(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Plant]:
    with filled_plant(tmp_path_factory.mktemp("plant")) as plant:
        yield plant


@pytest.fixture(scope="module")
def cookie(plant: Plant) -> str:
    return cookie_header(plant.config, plant.session())


def cut_in_half(plant: Plant, kind: str) -> str:
    """An inspection whose picture had arrived cut; the store has it as it came."""
    file = io.BytesIO()
    noise = np.random.default_rng(1).integers(0, 255, (400, 600, 3), np.uint8)
    Image.fromarray(noise).save(file, kind)
    now = datetime.now(UTC)
    with plant.room.records.unit() as unit:
        return unit.inspections.add(
            NewInspection(
                source="camera", source_key=f"cut {kind}", station="press-3", part=kind, captured_at=now, judged_at=now,
                judgement=Judgement(Verdict.ERROR, "the picture is cut"), image_name="cut",
                image_sha256=plant.room.images.put(file.getvalue()[: len(file.getvalue()) // 2], suffix=f".{kind}"),
            )
        )  # fmt: skip


@pytest.mark.parametrize("kind", ["jpeg", "png"])
def test_a_picture_that_arrived_cut_is_not_sent_for_a_browser_would_show_half_as_if_whole(
    plant: Plant, address: str, cookie: str, kind: str
) -> None:
    status, _, body = get(address, f"/image/{cut_in_half(plant, kind)}", cookie=cookie)
    assert status == 404
    assert b"cannot be read" in body


def get(address: str, path: str, *, host: str | None = None, cookie: str = "") -> Answer:
    """Status, headers (lower-case) and body; `path` is sent as it is."""
    where = urlsplit(address)
    connection = http.client.HTTPConnection(where.hostname or "", where.port, timeout=20)
    try:
        connection.putrequest("GET", path, skip_host=host is not None)
        if host is not None:
            connection.putheader("Host", host)
        connection.putheader("Cookie", cookie)
        connection.endheaders()
        answer = connection.getresponse()
        return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()
    finally:
        connection.close()


def test_it_listens_on_this_machine_only_by_default(address: str) -> None:
    assert address.startswith("http://127.0.0.1:")
    assert get(address, "/_stcore/health")[::2] == (200, b"ok")


def test_the_photo_is_the_stored_file(plant: Plant, address: str, cookie: str) -> None:
    status, headers, body = get(address, f"/image/{plant.uids['P-1002']}", cookie=cookie)
    assert (status, headers["content-type"]) == (200, "image/png")
    sha256 = plant.record("P-1002").row.image_sha256
    assert sha256 is not None
    assert body == plant.room.images.get(sha256)


def test_the_heatmap_is_grey_on_the_fixed_scale(plant: Plant, address: str, cookie: str) -> None:
    status, _, body = get(address, f"/heatmap/{plant.uids['P-1002']}?method=grad-cam", cookie=cookie)
    picture = Image.open(io.BytesIO(body))
    assert (status, picture.mode, picture.size) == (200, "L", (320, 320))
    explanation = plant.record("P-1002").explanation
    assert explanation is not None
    np.testing.assert_array_equal(np.asarray(picture), np.rint(upsample(explanation.heatmap) * 255).astype(np.uint8))


def test_a_thumbnail_is_small(plant: Plant, address: str, cookie: str) -> None:
    status, headers, body = get(address, f"/thumbnail/{plant.uids['P-1001']}", cookie=cookie)
    assert (status, headers["content-type"]) == (200, "image/jpeg")
    assert Image.open(io.BytesIO(body)).size == (160, 160)


def test_a_gallerys_picture_is_large_and_shows_the_map_where_it_is_asked_for(plant: Plant, address: str, cookie: str) -> None:
    uid = plant.uids["P-1002"]
    plain, hot = (
        np.asarray(Image.open(io.BytesIO(get(address, f"/thumbnail/{uid}?size=large{more}", cookie=cookie)[2])), np.int16)
        for more in ("", "&heatmap=1")
    )
    assert plain.shape == hot.shape == (320, 320, 3)
    explanation = plant.record("P-1002").explanation
    assert explanation is not None
    warm = upsample(explanation.heatmap)
    changed = np.abs(hot - plain).max(axis=2)
    assert changed[warm > 0.5].min() > 30
    assert changed[warm < 0.001].mean() < 3  # but for what the compression makes of it
    no_map = plant.uids["P-1001"]
    same = [get(address, f"/thumbnail/{no_map}?size=large{more}", cookie=cookie)[2] for more in ("", "&heatmap=1")]
    assert same[0] == same[1]


def test_what_a_part_is_compared_with_is_for_who_is_signed_in_and_kept_for_minutes(
    plant: Plant, address: str, cookie: str
) -> None:
    path = f"/beside/{plant.uids['P-1002']}?with={plant.uids['P-1001']}"
    status, headers, body = get(address, path, cookie=cookie)
    assert (status, headers["content-type"], headers["cache-control"]) == (200, "image/jpeg", "private, max-age=600")
    assert Image.open(io.BytesIO(body)).size == (320, 320)
    assert get(address, path)[0] in (303, 401)
    for wanted in ("golden", "reference", "../kizu.db", plant.uids["P-1010"]):
        assert get(address, f"/beside/{plant.uids['P-1002']}?with={wanted}", cookie=cookie)[0] == 404


@pytest.mark.parametrize("kind", ["image", "thumbnail", "heatmap"])
def test_the_browser_keeps_pictures_and_proxies_do_not(plant: Plant, address: str, kind: str, cookie: str) -> None:
    _, headers, _ = get(address, f"/{kind}/{plant.uids['P-1002']}", cookie=cookie)
    assert headers["cache-control"] == "private, max-age=31536000, immutable"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["cross-origin-resource-policy"] == "same-origin"


@pytest.mark.parametrize(
    "path",
    [
        "/image/01890000-0000-7000-8000-000000000000",
        "/image/1",
        "/image/kizu.db",
        "/image/..%2Fkizu.db",
        "/image/%2Fetc%2Fpasswd",
        "/heatmap/' OR 1=1 --".replace(" ", "%20"),
    ],
)
def test_only_an_inspections_id_leads_to_a_picture(address: str, path: str, cookie: str) -> None:
    status, headers, body = get(address, path, cookie=cookie)
    assert status in (400, 404)
    assert b"SQLite" not in body
    assert b"root:" not in body
    assert headers.get("cache-control") in (None, "no-store")


@pytest.mark.parametrize(
    ("kind", "part", "why"),
    [
        ("heatmap", "P-1007", b"this inspection has no such picture"),
        ("heatmap", "P-1001", b"this inspection has no such picture"),
        ("image", "P-1010", b"this inspection has no such picture"),
    ],
)
def test_what_is_not_there_is_not_cached(plant: Plant, address: str, kind: str, part: str, why: bytes, cookie: str) -> None:
    status, headers, body = get(address, f"/{kind}/{plant.uids[part]}", cookie=cookie)
    assert (status, headers["cache-control"], body) == (404, "no-store", why)


def test_a_picture_lost_from_the_store_is_said_without_its_path(plant: Plant, address: str, cookie: str) -> None:
    sha256 = plant.record("P-1011").row.image_sha256
    assert sha256 is not None
    plant.room.images.path_of(sha256).unlink()
    status, _, body = get(address, f"/image/{plant.uids['P-1011']}", cookie=cookie)
    assert (status, body) == (404, b"the picture is missing from the image store or cannot be read")


def test_a_database_that_is_away_is_told_and_the_picture_comes_back(plant: Plant, address: str, cookie: str) -> None:
    file = plant.room.records.file
    assert file is not None
    away = file.rename(file.with_name("away.db"))
    try:
        status, headers, body = get(address, f"/image/{plant.uids['P-1001']}", cookie=cookie)
    finally:
        away.rename(file)
    assert (status, headers["cache-control"]) == (503, "no-store")
    assert body == b"The records cannot be had now. Try again in a moment."
    assert get(address, f"/image/{plant.uids['P-1001']}", cookie=cookie)[0] == 200


@pytest.mark.parametrize("path", ["/", "/image/{uid}", "/_stcore/health"])
def test_a_foreign_name_for_this_machine_is_refused(plant: Plant, address: str, path: str) -> None:
    assert get(address, path.format(uid=plant.uids["P-1002"]), host="evil.example")[0] == 400


def test_the_page_asks_for_nothing_from_elsewhere(address: str, cookie: str) -> None:
    body = get(address, "/", cookie=cookie)[2].decode()
    assert not re.findall(r"(?:src|href)=[\"']https?://", body)


def test_settings_are_the_safe_ones() -> None:
    options = streamlit_options(DashboardConfig(), 8501)
    wanted = {
        "server.address": "127.0.0.1",
        "server.headless": True,
        "server.fileWatcherType": "none",
        "server.enableStaticServing": False,
        "browser.gatherUsageStats": False,
        "client.showErrorDetails": "none",
        "client.toolbarMode": "minimal",
        "client.disableDataExport": True,
        "server.allowedHosts": ["127.0.0.1", "localhost"],
    }
    assert wanted.items() <= options.items()


@pytest.mark.parametrize(
    ("settings", "names"),
    [
        ({"host": "0.0.0.0"}, []),
        ({"host": "0.0.0.0", "names": ("kizu.example",)}, ["127.0.0.1", "localhost", "0.0.0.0", "kizu.example"]),
        ({"names": ("kizu.example",)}, ["127.0.0.1", "localhost", "kizu.example"]),
        ({"host": "127.0.0.2"}, ["127.0.0.1", "localhost", "127.0.0.2"]),
    ],
)
def test_it_answers_to_the_names_that_it_has(settings: dict[str, Any], names: list[str]) -> None:
    config = DashboardConfig(dashboard=DashboardSettings(**settings))
    assert streamlit_options(config, 8501)["server.allowedHosts"] == names


def test_a_taken_port_is_one_clear_line(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        config = empty_plant(tmp_path, port=taken.getsockname()[1])
        with pytest.raises(ConfigError, match=r"cannot listen: found 127\.0\.0\.1:\d+ is in use by another program"):
            serve(config)


def test_one_that_does_not_end_is_killed_and_nobody_waits_for_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(own_process, "ENDS_WITHIN_S", 0.5)
    with pytest.raises(subprocess.TimeoutExpired), own_process.serving(empty_plant(tmp_path)) as it:
        os.kill(it.pid, signal.SIGSTOP)
    with pytest.raises(ProcessLookupError):
        os.kill(it.pid, 0)


def test_a_database_without_tables_is_told_before_serving(tmp_path: Path) -> None:
    config = DashboardConfig(
        database=DatabaseSettings(url=f"sqlite:///{tmp_path / 'kizu.db'}"), dashboard=DashboardSettings(port=0)
    )
    try:
        with pytest.raises(SchemaError):
            serve(config)
    finally:
        close_rooms()


def test_an_unknown_time_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="unknown time zone 'Asia/Soul'"):
        PlantSettings(timezone="Asia/Soul")
