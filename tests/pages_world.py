"""Pages of the dashboard as they are drawn without a browser, and an answer as a browser sends it to a desk."""

from __future__ import annotations

from typing import Any

from streamlit.testing.v1 import AppTest

from kizu_dashboard.reviewing import Desk
from kizu_dashboard.server import SCRIPT
from kizu_dashboard.settings import DashboardConfig


def open_page(config: DashboardConfig, page: str | None = None, **query: str) -> AppTest:
    """The page as it is first drawn."""
    test = AppTest.from_file(str(SCRIPT), default_timeout=60)
    test.secrets["kizu"] = {"config": config.model_dump_json()}
    if page is not None:
        test.run()
        test.switch_page(page)
    for name, value in query.items():
        test.query_params[name] = value
    return drawn(test.run())


def drawn(test: AppTest) -> AppTest:
    """The page, which must not have failed."""
    assert not test.exception, test.exception
    return test


def words(test: AppTest) -> str:
    """All that stands on the page outside of widgets."""
    kinds = (test.title, test.caption, test.markdown, test.html, test.warning, test.error, test.info)
    return "\n".join(str(element.value) for kind in kinds for element in kind)


def answer(desk: Desk, kind: str, *, follow: bool = True, **more: Any) -> None:
    """An answer to what is shown, as the browser sends it."""
    assert desk.shown is not None
    told = {"uid": desk.shown.uid, "nonce": desk.shown.nonce, "kind": kind, "shown_ms": 700}
    desk.answer(told | more, follow=follow)
