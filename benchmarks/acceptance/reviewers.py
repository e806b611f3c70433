"""Puts people at browsers: a real dashboard, each signed in by password, all reviewing at once until nothing waits.

    python benchmarks/acceptance/reviewers.py [--people 4] [--parts 100] [--minutes 0] [--pause 2] [--json FILE]

Each of `people` has a browser of their own, and so many `parts` a person wait. Everybody types a comment that names them and
the part, and presses a key: pressed twice, held, now and then with a reload in between. With --minutes they then go through the
pages for so long, while the server's memory is watched. Prints one JSON line. Exits 1 where a part has no decision or
two, one bears another name than its reviewer's, a comment is not whole, a part stays claimed, or the server grew by more
than 10 MB between the second quarter of the time and the last.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from playwright.sync_api import Page, sync_playwright

from kizu_dashboard.own_process import serving
from kizu_dashboard.settings import DashboardConfig, DashboardSettings
from kizu_dashboard.signing_in.passwords import hash_password
from kizu_db.image_store import ImageStore
from kizu_db.migrations import upgrade
from kizu_db.permissions import Role
from kizu_db.records import Records
from kizu_db.settings import DatabaseSettings, ImageStoreSettings
from kizu_db.values import NewInspection, Review
from kizu_inspect.picture.images import encode_png
from kizu_inspect.results import Judgement, ModelInfo, Verdict
from kizu_inspect.synth import KINDS, draw_part

PASSWORD: Final = "four browsers at once"
PAGES: Final = ("/", "/live", "/quality", "/agreement", "/reports", "/review")
GROWS_MOST_MB: Final = 10.0
MODEL: Final = ModelInfo(
    hash="ac" * 32, name="drawn", classes=KINDS, good=KINDS[0], path=Path("drawn"), spec={}, promise=None
)  # fmt: skip


def main(arguments: Sequence[str] | None = None) -> int:
    """Prints what was found; 1 where something is wrong."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--people", type=int, default=4)
    parser.add_argument("--parts", type=int, default=100, help="parts that wait, for each of the people")
    parser.add_argument("--minutes", type=float, default=0, help="how long they then go through the pages")
    parser.add_argument("--pause", type=float, default=2, help="the longest that they look at a page, in seconds")
    parser.add_argument("--json", type=Path, help="file for the figures (default: standard output)")
    given = parser.parse_args(arguments)
    names = [f"Reviewer {number}" for number in range(1, given.people + 1)]
    with tempfile.TemporaryDirectory(prefix="kizu-reviewers-") as folder:
        config, records = prepare(Path(folder), names, given.people * given.parts)
        with records, serving(config) as it:
            begun = time.monotonic()
            at_once(names, lambda name: _review(it.address, name))
            found: dict[str, Any] = judged(records) | {"seconds": round(time.monotonic() - begun)}
            if given.minutes:
                with watched(it.pid, given.minutes) as megabytes:
                    until = time.monotonic() + 60 * given.minutes
                    at_once(names, lambda name: _wander(it.address, name, until, given.pause))
                found |= {"minutes": given.minutes, "grew_mb": _growth(megabytes), "most_mb": round(max(megabytes))}
    wrong = found["undecided"] or found["decided_twice"] or found["wrong_names"] or found["comments_lost"] or found["claimed"]
    found["passed"] = not wrong and found.get("grew_mb", 0) <= GROWS_MOST_MB
    told = json.dumps(found)
    if given.json is not None:
        given.json.write_text(told + "\n", encoding="utf-8")
    print(told)
    return 0 if found["passed"] else 1


def prepare(folder: Path, names: Sequence[str], parts: int) -> tuple[DashboardConfig, Records]:
    """A plant whose parts all wait, and people with a password; its configuration and its records."""
    config = DashboardConfig(
        database=DatabaseSettings(url=f"sqlite:///{folder / 'kizu.db'}"),
        images=ImageStoreSettings(path=folder / "images"),
        dashboard=DashboardSettings(port=0),
    )
    upgrade(config.database)
    records, store = Records.open(config.database), ImageStore(config.images.path)
    pictures = [
        store.put(encode_png(draw_part(KINDS[number % len(KINDS)], number, size_px=320).image), suffix=".png")
        for number in range(20)
    ]
    with records.unit() as unit:
        unit.users.add("Ana", Role.ADMIN, by="Ana")
        for name in names:
            unit.users.add(name, Role.INSPECTOR, by="Ana", password_hash=hash_password(PASSWORD))
        unit.models.register(MODEL)
        recipe = unit.recipes.register("press-1", {"bundle": "drawn"}, MODEL.hash).id
        for number in range(parts):
            unit.inspections.add(_waiting(number, pictures[number % len(pictures)], recipe))
    return config, records


def _waiting(number: int, picture: str, recipe: int) -> NewInspection:
    now = datetime.now(UTC)
    target = KINDS[1 + number % (len(KINDS) - 1)]
    probabilities = dict.fromkeys(KINDS, 0.02) | {target: 1 - 0.02 * (len(KINDS) - 1)}
    score = 1 - probabilities[KINDS[0]]
    return NewInspection(
        source="acceptance", source_key=str(number), station="press-1", part=f"P-{number:04}", captured_at=now, judged_at=now,
        judgement=Judgement(Verdict.REJECT, "drawn", probabilities, target, target, score, 320, 320), image_sha256=picture,
        image_name=f"{number}.png", model_hash=MODEL.hash, recipe_id=recipe, device="cpu",
    )  # fmt: skip


def at_once(names: Sequence[str], work: Any) -> None:
    """Everybody in a thread of their own, as the browser's driver asks. Raises what the first of them raised."""
    failed: list[BaseException] = []

    def run(name: str) -> None:
        try:
            work(name)
        except BaseException as error:  # noqa: BLE001 - handed to the main thread
            failed.append(error)

    threads = [threading.Thread(target=run, args=(name,)) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failed:
        raise failed[0]


@contextmanager
def _at_browser(address: str, name: str) -> Iterator[Page]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        page = browser.new_page(base_url=address, viewport={"width": 1280, "height": 800})
        page.set_default_timeout(120_000)
        page.goto("/signin?next=/review")
        page.get_by_label("Name").fill(name)
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Sign in").click()
        page.wait_for_url("**/review*")
        yield page
        browser.close()


def _review(address: str, name: str) -> None:
    """Until nothing waits for this person."""
    draw = random.Random(name)
    with _at_browser(address, name) as page:
        last = ""
        while True:
            page.wait_for_selector(f".answers:not([data-awake='']):not([data-awake='{last}']), .kz-empty")
            if page.locator(".kz-empty").count():
                return
            now = page.locator(".answers").get_attribute("data-awake")
            if not now or now == last:  # drawn anew in between
                continue
            last = now
            page.locator(".comment").fill(f"{name} saw {last}\n<b>=1+1</b>")
            if draw.random() < 0.05:
                page.reload()  # what was typed is gone, and nothing was decided
                last = ""
                continue
            page.keyboard.press("Escape")
            for _ in range(draw.randint(1, 5)):  # a key that is held repeats itself
                page.keyboard.down("c")
            page.keyboard.up("c")
            page.keyboard.press("c")


def _wander(address: str, name: str, until: float, pause_s: float) -> None:
    """From page to page, as people do who look for something."""
    draw = random.Random(name)
    with _at_browser(address, name) as page:
        while time.monotonic() < until:
            page.goto(draw.choice(PAGES))
            page.wait_for_selector("[data-testid=stApp][data-test-script-state=notRunning]")
            page.wait_for_timeout(draw.uniform(100, 1000) * pause_s)


def judged(records: Records) -> dict[str, Any]:
    """What the records hold of it."""
    with records.unit(read_only=True) as unit:
        rows = unit.inspections.latest(limit=100_000)
        reviews: dict[str, list[Review]] = {row.uid: unit.reviews.of(row.uid) for row in rows}
        claimed = len(unit.queue.claims())
    made = [review for of_one in reviews.values() for review in of_one]
    whole = [review for review in made if review.reason == f"{review.reviewer} saw {review.uid_inspection}\n<b>=1+1</b>"]
    return {
        "parts": len(rows),
        "decisions": len(made),
        "undecided": sum(not of_one for of_one in reviews.values()),
        "decided_twice": sum(len(of_one) > 1 for of_one in reviews.values()),
        "wrong_names": sum(not review.reason.startswith(f"{review.reviewer} saw ") for review in made),
        "comments_lost": len(made) - len(whole),
        "claimed": claimed,
        "people": len({review.reviewer for review in made}),
    }


@contextmanager
def watched(pid: int, minutes: float) -> Iterator[list[float]]:
    """The server's resident memory in MB, asked a hundred times."""
    found: list[float] = []
    over = threading.Event()

    def watch() -> None:
        while not over.wait(0.6 * minutes):
            pages = int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1])
            found.append(pages * 4096 / 1e6)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield found
    finally:
        over.set()
        watcher.join()


def _growth(megabytes: Sequence[float]) -> float:
    """From the second quarter, when every page was seen, to the last."""
    quarter = len(megabytes) // 4
    return round(statistics.median(megabytes[-quarter:]) - statistics.median(megabytes[quarter : 2 * quarter]), 1)


if __name__ == "__main__":
    raise SystemExit(main())
