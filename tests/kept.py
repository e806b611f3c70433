"""What a browser test leaves behind: the pages as they were at its end and, where it failed, what its servers said.

Below `test-results/`, or the folder that KIZU_TEST_RESULTS names, each test has a folder; it is made anew with each run.
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
import threading
from collections.abc import Generator, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

RESULTS = Path(os.environ.get("KIZU_TEST_RESULTS") or Path(__file__).parent.parent / "test-results")
PATIENCE_MS = 10_000

_browsers: list[tuple[int, Browser]] = []
"""Those that are open, each with the thread that alone may ask it."""
_logs: list[Path] = []
"""Of the servers that run."""
_begun: set[Path] = set()
_pictured: set[Page] = set()
"""By the running test."""


def _place() -> Path:
    test, _, _ = os.environ["PYTEST_CURRENT_TEST"].rpartition(" (")
    file, _, name = test.partition("::")
    return RESULTS / Path(file).stem / re.sub(r"[^\w.,=\[\]-]+", "-", name)[:150]


def _folder() -> Path:
    """The running test's, empty at its first use."""
    found = _place()
    if found not in _begun:
        _begun.add(found)
        _pictured.clear()
        shutil.rmtree(found, ignore_errors=True)
        found.mkdir(parents=True)
    return found


@contextmanager
def watched(browser: Browser) -> Iterator[Browser]:
    """Its pages are among those that a test leaves."""
    entry = (threading.get_ident(), browser)
    _browsers.append(entry)
    try:
        yield browser
    finally:
        _browsers.remove(entry)


def keep_page(page: Page) -> None:
    """A picture of it, unless the test is over: then there is one already."""
    from playwright.sync_api import Error

    if os.environ["PYTEST_CURRENT_TEST"].endswith("(teardown)"):
        return
    here = _folder()
    if page in _pictured:
        return
    _pictured.add(page)
    file = here / f"page-{len(_pictured)}.png"
    try:
        page.screenshot(path=file, timeout=PATIENCE_MS)
    except Error as error:  # a page that hangs or broke is what the test tells of; it shall not be hidden behind this
        file.with_suffix(".txt").write_text(f"{page.url} cannot be pictured: {error.message}\n", encoding="utf-8")


def keep_pages() -> None:
    """Pictures of all that are open in this thread's browsers."""
    for thread, browser in tuple(_browsers):
        if thread == threading.get_ident():
            for page in [page for context in browser.contexts for page in context.pages]:
                keep_page(page)


@contextmanager
def server_log(own: IO[str] | None = None) -> Iterator[IO[str]]:
    """Where a server writes what it says, if not in the test's own file. A test that fails meanwhile keeps it."""
    with nullcontext(own) if own else tempfile.NamedTemporaryFile("w+", prefix="kizu-server-", suffix=".log") as log:
        _logs.append(Path(log.name))
        try:
            yield log
        except BaseException:
            log.flush()
            _keep_log(Path(log.name))
            raise
        finally:
            _logs.remove(Path(log.name))


def _keep_log(log: Path) -> None:
    number = len(list(_folder().glob("server-*.log"))) + 1
    shutil.copyfile(log, _folder() / f"server-{number}.log")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(call: pytest.CallInfo[None]) -> Generator[None, Any, Any]:
    """At the end of each test, before anything is closed."""
    report: pytest.TestReport = yield
    if call.when == "call" or (call.when == "setup" and report.failed):
        keep_pages()
    if report.failed and call.when != "teardown":
        for log in _logs:
            _keep_log(log)
        if _place() in _begun:
            report.sections.append(("Kept of it", str(_place())))
    return report
