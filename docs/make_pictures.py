"""Makes the pictures of README and docs anew, from what `kizu demo` left.

    python docs/make_pictures.py DEMO

DEMO is the demo's folder. Its dashboard is served for the time, with who is its admin signed in, and looked at by the browser
that the tests use. The pictures are written beside this file, in images/.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final

from playwright.sync_api import Page, sync_playwright

from kizu.config import load_config
from kizu_dashboard.own_process import serving
from kizu_dashboard.room import close_rooms, open_room
from kizu_dashboard.settings import DashboardSettings
from kizu_dashboard.signing_in.sessions import cookie_name
from kizu_db.permissions import Role
from kizu_inspect.results import Verdict

IMAGES: Final = Path(__file__).parent / "images"
DRAWN: Final = "[data-testid=stApp][data-test-script-state=notRunning]"


def main(demo: str) -> None:
    """Writes the pictures."""
    given = load_config(Path(demo) / "kizu.yaml").for_dashboard
    config = given.model_copy(update={"dashboard": DashboardSettings(port=0)})
    room = open_room(config.model_dump_json())
    with room.records.unit() as unit:
        if unit.users.nobody():
            unit.users.add("Ana", Role.ADMIN, by="Ana")
        name = next(user.name for user in unit.users.list() if user.role is Role.ADMIN and user.active)
        rejected = unit.inspections.latest(verdicts=[Verdict.REJECT], limit=1)[0].uid
    with serving(config) as it, sync_playwright() as playwright:
        program = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        browser = program.new_context(base_url=it.address, viewport={"width": 1280, "height": 860}, color_scheme="light")
        browser.add_cookies([{"name": cookie_name(config.dashboard), "value": room.sessions.begin(name), "url": it.address}])
        page = browser.new_page()
        _shoot(page, "/", "search", "tbody tr img")
        _shoot(page, "/?view=Gallery&heat=true", "gallery", ".tile[data-seen] img")
        _shoot(page, f"/part?uid={rejected}", "part", ".stage[data-map=drawn]", height=1100)
        _shoot(page, "/live", "live", "a.part img")
        _shoot(page, "/quality", "quality", ".st-key-pareto canvas, .st-key-pareto svg")
        page.goto("/review")
        page.wait_for_selector(".answers:not([data-awake=''])")
        page.keyboard.press("h")
        page.wait_for_selector(".show-map:checked")
        page.wait_for_selector(".stage[data-map=drawn]")
        page.screenshot(path=IMAGES / "review.png")
        program.close()
    close_rooms()


def _shoot(page: Page, address: str, name: str, there: str, *, height: int = 860) -> None:
    """The page, when it is drawn with its pictures."""
    page.set_viewport_size({"width": 1280, "height": height})
    page.goto(address)
    page.wait_for_selector(there)
    page.wait_for_selector(DRAWN)
    page.wait_for_function("Array.from(document.images).every((image) => image.complete)")
    page.wait_for_timeout(500)  # charts fade in
    page.screenshot(path=IMAGES / f"{name}.png")
    page.set_viewport_size({"width": 1280, "height": 860})


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(sys.argv[1])
