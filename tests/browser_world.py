"""A real browser for the journeys."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from dashboard_world import come_in
from kept import keep_page, watched
from kizu_dashboard.settings import DashboardConfig

WAIT_MS = 30_000
KEY_MS = 60
"""How long a key is down."""
expect.set_options(timeout=WAIT_MS)


@contextmanager
def chromium() -> Iterator[Browser]:
    """The browser's program."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        with watched(browser):
            yield browser
        browser.close()


def browser_of(
    program: Browser, config: DashboardConfig, address: str, name: str, *, width: int = 1440, height: int = 900
) -> BrowserContext:
    """This person's browser, signed in."""
    context = program.new_context(base_url=address, viewport={"width": width, "height": height})
    come_in(context, config, address, name)
    return context


@contextmanager
def window(browser: BrowserContext, address: str) -> Iterator[Page]:
    """A new window; at the end nothing may have failed in it, and nothing may have been asked of another server."""
    page = browser.new_page()
    page.set_default_timeout(WAIT_MS)
    # As a person does: the dashboard takes keys that follow each other at once for a scanner's.
    page.keyboard.press = partial(page.keyboard.press, delay=KEY_MS)  # type: ignore[method-assign]
    strangers, errors = [], []
    page.on("request", lambda asked: asked.url.startswith((address, "data:", "blob:")) or strangers.append(asked.url))
    page.on("pageerror", lambda error: errors.append(str(error)))
    try:
        yield page
    finally:
        keep_page(page)
        page.close()
    assert strangers == []
    assert errors == []


def until_settled(page: Page) -> None:
    """The page's script has run to its end, and what changes gradually, as a colour with its theme, has changed."""
    page.wait_for_selector("[data-testid=stApp][data-test-script-state=notRunning]")
    page.wait_for_selector("[data-stale=true]", state="detached")  # faded until it is drawn anew
    page.evaluate(
        """() => Promise.all(document.getAnimations()
            .filter((one) => one.effect.getComputedTiming().iterations !== Infinity)
            .map((one) => one.finished.catch(() => null)))"""
    )
