"""How quick the dashboard is in a real browser, over a million inspections, beside a line that writes.

    python benchmarks/review.py [--inspections 1000000] [--decisions 200] [--writes 50] [--folder DIR] [--json FILE]

Fills an SQLite database from a seed (kept in --folder, if given, for the next run), gives what waits a picture, serves the
dashboard and signs a reviewer in. All times are the browser's own, from the key or click: `key_to_picture_ms` to the next photo
decoded on the screen, over the decisions; `first_page_ms` a warm load of each page and `page_change_ms` a change within the
open window, the slowest page of each (`pages` has them all); `heatmap_change_ms` from a slider to the second frame after it.
`keys_per_confirm` counts the keys that were pressed for what was confirmed. `quiet` is the same without the line. Browser,
server and line share this machine.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import multiprocessing.synchronize
import statistics
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from playwright.sync_api import BrowserContext, Page, sync_playwright
from records import WRITES_PER_S, folder_for, write_one
from records_fill import STATIONS, fill
from sqlalchemy import text

from kizu_dashboard.own_process import serving
from kizu_dashboard.room import close_rooms, open_room
from kizu_dashboard.settings import DashboardConfig, DashboardSettings
from kizu_dashboard.signing_in.sessions import cookie_name
from kizu_db.engine import make_engine
from kizu_db.image_store import ImageStore
from kizu_db.migrations import current_version, upgrade
from kizu_db.permissions import Role
from kizu_db.records import Records
from kizu_db.settings import DatabaseSettings, ImageStoreSettings
from kizu_inspect.picture.images import encode_png
from kizu_inspect.synth import KINDS, draw_part

PICTURES: Final = 64
PAGES: Final = {
    "Inspections": ("/", "tbody tr"), "Review": ("/review", ".answers button"), "Live": ("/live", ".kz-station, .kz-empty"),
    "Quality": ("/quality", "h1"), "Agreement": ("/agreement", "h1"),
}  # fmt: skip
"""Address, and what stands on the page when it is drawn."""
DONE: Final = "[data-testid=stApp][data-test-script-state=notRunning]"
SLIDERS: Final = {".opacity": 100, ".threshold": 95}
LISTEN: Final = """() => {
    window.took = []
    let pressed = null
    window.addEventListener("keydown", (event) => { if (event.isTrusted) pressed = performance.now() }, true)
    document.addEventListener("kizu-picture", () => {
        if (pressed !== null) window.took.push(performance.now() - pressed)
        pressed = null
    })
}"""
SLIDE: Final = """async (slider, most) => {
    const frame = () => new Promise((resolve) => requestAnimationFrame(resolve))
    const took = []
    for (let i = 0; i < 40; i++) {
        const begun = performance.now()
        slider.value = most * (i % 20) / 20
        slider.dispatchEvent(new Event("input", { bubbles: true }))
        await frame()
        await frame()
        took.push(performance.now() - begun)
    }
    return took
}"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Prints the figures as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--inspections", type=int, default=1_000_000)
    parser.add_argument("--decisions", type=int, default=200)
    parser.add_argument("--writes", type=int, default=WRITES_PER_S, help="inspections a second that the line writes meanwhile")
    parser.add_argument("--folder", type=Path, help="keep the filled database here")
    parser.add_argument("--json", type=Path, help="file for the figures (default: standard output)")
    given = parser.parse_args(arguments)
    with folder_for(given.folder) as folder:
        config = prepare(folder, given.inspections)
        figures = {"inspections": given.inspections} | measure(config, given.decisions, given.writes)
    told = json.dumps(figures, indent=2)
    if given.json is not None:
        given.json.write_text(told + "\n", encoding="utf-8")
    else:
        print(told)
    return 0


def prepare(folder: Path, inspections: int) -> DashboardConfig:
    """The plant: records, a picture of each part that waits, and people."""
    database = DatabaseSettings(url=f"sqlite:///{folder / 'kizu.db'}")
    config = DashboardConfig(
        database=database, images=ImageStoreSettings(path=folder / "images"), dashboard=DashboardSettings(port=0)
    )
    new = current_version(database) is None
    upgrade(database)
    if new:
        fill(database, inspections)
        _give_pictures(database, ImageStore(folder / "images"))
        with Records.open(database) as records, records.unit() as unit:
            for name, role in (("Ana", Role.ADMIN), ("Kim", Role.INSPECTOR)):
                unit.users.add(name, role, by="Ana")
    return config


def measure(config: DashboardConfig, decisions: int, writes: int) -> dict[str, Any]:
    """All figures, with the line and without it."""
    room = open_room(config.model_dump_json())
    secret = room.sessions.begin("Kim")
    with serving(config) as it, sync_playwright() as playwright:
        program = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        browser = program.new_context(base_url=it.address, viewport={"width": 1280, "height": 800})
        browser.add_cookies([{"name": cookie_name(config.dashboard), "value": secret, "url": it.address}])
        _pages(browser, rounds=1)  # the first look of all compiles and fills caches
        quiet = _decisions(browser, decisions // 2)["key_to_picture_ms"]
        with _line(config.database, writes):
            firsts, changes = _pages(browser, rounds=5)
            found = _decisions(browser, decisions)
        browser.close()
        program.close()
    close_rooms()
    return found | {
        "first_page_ms": max(firsts.values()),
        "page_change_ms": max(changes.values()),
        "pages": {name: {"first_ms": firsts[name], "change_ms": changes[name]} for name in PAGES},
        "quiet": {"key_to_picture_ms": quiet},
        "writes_per_s": writes,
    }


def _pages(browser: BrowserContext, *, rounds: int) -> tuple[dict[str, float], dict[str, float]]:
    """Median times of warm first loads and of changes within the window, in milliseconds by page."""
    firsts: dict[str, list[float]] = {name: [] for name in PAGES}
    changes: dict[str, list[float]] = {name: [] for name in PAGES}
    for _ in range(rounds):
        page = browser.new_page()
        for name, (address, _) in PAGES.items():
            begun = time.perf_counter()
            page.goto(address)
            _until_drawn(page, name)
            firsts[name].append(1000 * (time.perf_counter() - begun))
        for name in PAGES:
            begun = time.perf_counter()
            page.get_by_role("link", name=name, exact=True).first.click()
            page.wait_for_url(lambda url, to=PAGES[name][0]: url.split("?")[0].endswith(to))
            _until_drawn(page, name)
            changes[name].append(1000 * (time.perf_counter() - begun))
        page.close()
    return ({name: round(statistics.median(took)) for name, took in one.items()} for one in (firsts, changes))  # type: ignore[return-value]


def _until_drawn(page: Page, name: str) -> None:
    """The script has run, and what it drew stands on the page."""
    page.wait_for_selector(PAGES[name][1])
    page.wait_for_selector(DONE)


def _decisions(browser: BrowserContext, count: int) -> dict[str, Any]:
    page = browser.new_page()
    page.add_init_script(f"({LISTEN})()")  # before the page's own listeners, which keep a key back for a moment
    page.goto("/review")
    page.wait_for_selector(".answers:not([data-awake=''])")
    last, keys, confirmed = "", 0, 0
    for _ in range(count):
        page.wait_for_selector(f".answers:not([data-awake='']):not([data-awake='{last}'])")
        last = page.locator(".answers").get_attribute("data-awake") or ""
        confirms = page.locator("button.to-confirm").count() == 1
        page.keyboard.press("c" if confirms else "g")
        keys, confirmed = keys + confirms, confirmed + confirms
    page.wait_for_selector(f".answers:not([data-awake='']):not([data-awake='{last}'])")
    took = sorted(page.evaluate("window.took"))
    slid = [took for name, most in SLIDERS.items() for took in page.locator(name).evaluate(SLIDE, most)]
    page.close()
    return {
        "decisions": len(took),
        "key_to_picture_ms": {"p50": round(statistics.median(took)), "p95": round(took[int(0.95 * (len(took) - 1))])},
        "heatmap_change_ms": round(statistics.median(slid)),
        "keys_per_confirm": round(keys / confirmed, 2) if confirmed else None,
    }


def _give_pictures(database: DatabaseSettings, store: ImageStore) -> None:
    """Drawn parts for all that waits; a few of them, over and over."""
    names = [
        store.put(encode_png(draw_part(KINDS[number % len(KINDS)], number, size_px=640).image[:480]), suffix=".png")
        for number in range(PICTURES)
    ]
    engine = make_engine(database)
    try:
        with engine.begin() as connection:
            for number, name in enumerate(names):
                connection.execute(
                    text(
                        "UPDATE inspection SET image_sha256 = :name WHERE id % :all = :number"
                        " AND id IN (SELECT inspection_id FROM review_queue)"
                    ),
                    {"name": name, "all": PICTURES, "number": number},
                )
    finally:
        engine.dispose()


@contextmanager
def _line(database: DatabaseSettings, per_s: int) -> Iterator[None]:
    """A process that records so many inspections a second."""
    context = multiprocessing.get_context("spawn")
    begun, stop = context.Event(), context.Event()
    process = context.Process(target=_write, args=(database.model_dump(), per_s, begun, stop))
    process.start()
    begun.wait(60)
    try:
        yield
    finally:
        stop.set()
        process.join()


def _write(
    settings: dict[str, Any], per_s: int, begun: multiprocessing.synchronize.Event, stop: multiprocessing.synchronize.Event
) -> None:
    with Records.open(DatabaseSettings(**settings)) as records:
        write_one(records, STATIONS[0])
        begun.set()
        due = time.monotonic()
        while not stop.wait(max(0.0, due - time.monotonic())):
            write_one(records, STATIONS[0])
            due += 1 / per_s


if __name__ == "__main__":
    raise SystemExit(main())
