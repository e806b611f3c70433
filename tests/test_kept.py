"""Whoever finds a browser test failed finds the page as it was, and what the server said of it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from kizu_inspect.picture.decoding import decode_image

TESTS = """
import pytest
from browser_world import chromium, window
from dashboard_world import empty_plant, serving
from kizu_dashboard.room import close_rooms

@pytest.fixture(scope="module")
def config(tmp_path_factory):
    yield empty_plant(tmp_path_factory.mktemp("plant"))
    close_rooms()

@pytest.fixture(scope="module")
def program():
    with chromium() as program:
        yield program

@pytest.fixture(scope="module")
def address(config):
    with serving(config) as it:
        yield it.address

def stranger(program, address):
    return program.new_context(base_url=address, viewport={"width": 640, "height": 480})

@pytest.fixture
def page(program, address):
    with window(stranger(program, address), address) as page:
        page.goto("/signin")
        yield page

@pytest.fixture
def other(program):
    page = program.new_page(viewport={"width": 320, "height": 240})
    yield page
    page.close()

def test_passes(page):
    page.get_by_role("main").wait_for()

@pytest.mark.parametrize("path", ["/live?a=b"])
def test_fails(page, other, path):
    page.request.post("/signin", form={"name": "Kim", "password": "guessed"})
    assert page.url == path

def test_fails_within(program, config):
    with serving(config) as it, window(stranger(program, it.address), it.address) as page:
        page.goto("/signin")
        page.request.post("/signin", form={"name": "Kim", "password": "guessed"})
        assert page.url == ""

def test_needs_no_browser(address):
    assert address.startswith("http")
"""


def test_pages_are_kept_of_every_browser_test_and_of_one_that_fails_the_servers_log_too(tmp_path: Path) -> None:
    results = tmp_path / "results"
    (tmp_path / "conftest.py").write_text("from kept import pytest_runtest_makereport\n", encoding="utf-8")
    (tmp_path / "test_it.py").write_text(TESTS, encoding="utf-8")
    stale = results / "test_it" / "test_passes" / "server-1.log"
    stale.parent.mkdir(parents=True)
    stale.write_text("of the run before", encoding="utf-8")
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path), "KIZU_TEST_RESULTS": str(results)}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", str(tmp_path), str(tmp_path)]
    done = subprocess.run(command, check=False, capture_output=True, text=True, env=environment, cwd=tmp_path, timeout=220)
    assert "2 failed, 2 passed" in done.stdout, done.stdout + done.stderr
    kept = {path.relative_to(results / "test_it").as_posix() for path in results.rglob("*") if path.is_file()}
    assert kept == {
        "test_passes/page-1.png",
        "test_fails[-live-a=b]/page-1.png", "test_fails[-live-a=b]/page-2.png", "test_fails[-live-a=b]/server-1.log",
        "test_fails_within/page-1.png", "test_fails_within/server-1.log", "test_fails_within/server-2.log",
    }  # fmt: skip
    failed = results / "test_it" / "test_fails[-live-a=b]"
    assert sorted(decode_image(path.read_bytes()).shape[:2] for path in failed.glob("*.png")) == [(240, 320), (480, 640)]
    assert "sign-in refused" in (failed / "server-1.log").read_text(encoding="utf-8")
    own = [path.read_text(encoding="utf-8") for path in (results / "test_it" / "test_fails_within").glob("*.log")]
    assert all("sign-in refused" in said for said in own), "the module's server and the test's own one"
    assert str(failed) in done.stdout
