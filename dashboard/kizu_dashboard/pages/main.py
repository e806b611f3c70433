"""The dashboard's frame: icon, style, navigation, who is signed in. Streamlit runs it at every rerun, then the page chosen."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from kizu_dashboard.markup import signed_in_as
from kizu_dashboard.pages.alerts import draw_alerts
from kizu_dashboard.pages.failing import telling_failures
from kizu_dashboard.pages.frame import require_user, user_now
from kizu_dashboard.signing_in.gate import SIGN_OUT
from kizu_dashboard.theme import page_style
from kizu_db.permissions import Action
from kizu_db.values import User
from kizu_inspect.errors import KizuError

HERE = Path(__file__).parent
ICON = str(HERE.parent / "assets" / "icon.png")


def main() -> None:
    """Draws the frame, then the page."""
    st.set_page_config(page_title="Kizu", page_icon=ICON, layout="wide")
    st.html(f"<style>{page_style('style.css')}</style>")
    st.logo(ICON, size="large")  # its word stands in the style: a picture of it would not follow the theme
    user: User | None = None
    failed: KizuError | None = None
    try:
        user = user_now()
    except KizuError as error:  # told below the navigation, which stands whatever happens
        failed = error
    page = st.navigation(_pages(user), position="top")
    with telling_failures():
        if failed is not None:
            raise failed
        user = require_user(user)
        st.html(signed_in_as(user.name, user.role, SIGN_OUT))
        if page.url_path != "live":  # there they are drawn with its figures
            draw_alerts(user)
        page.run()


def _pages(user: User | None) -> list[st.Page]:
    """All pages; who may not work on one does not see it in the navigation."""
    works_there = user is not None and user.role.may(Action.RELEASE_CLAIM)
    return [
        st.Page(
            HERE / "inspections.py",
            title="Inspections",
            icon=":material/list:",
            default=True,
            help="The latest inspections with their verdicts.",
        ),
        st.Page(
            HERE / "review.py",
            title="Review",
            icon=":material/rule:",
            url_path="review",
            help="What waits for a decision, one part after the other.",
        ),
        st.Page(
            HERE / "live.py",
            title="Live",
            icon=":material/monitor_heart:",
            url_path="live",
            help="What each station records now.",
        ),
        st.Page(
            HERE / "part.py",
            title="Part",
            icon=":material/center_focus_strong:",
            url_path="part",
            visibility="hidden",
            help="One inspection with its evidence and the decisions about it.",
        ),
        st.Page(
            HERE / "quality.py",
            title="Quality",
            icon=":material/bar_chart:",
            url_path="quality",
            help="Which defects, when, at which station and where on the part.",
        ),
        st.Page(
            HERE / "agreement.py",
            title="Agreement",
            icon=":material/handshake:",
            url_path="agreement",
            help="The model against reviewers, reviewers against each other, misses and overkill.",
        ),
        st.Page(
            HERE / "reports.py",
            title="Reports",
            icon=":material/description:",
            url_path="reports",
            help="The flagged parts of a period as CSV and PDF.",
        ),
        st.Page(
            HERE / "admin.py",
            title="Admin",
            icon=":material/admin_panel_settings:",
            url_path="admin",
            visibility="visible" if works_there else "hidden",
            help="Health, people, claims, quarantine, the audit trail and retention.",
        ),
    ]


if __name__ == "__main__":
    main()
