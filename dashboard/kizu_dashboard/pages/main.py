"""The dashboard's frame: icon, style, navigation, who is signed in. Streamlit runs it at every rerun, then the page chosen."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import streamlit as st

from kizu_dashboard.language.speaking import known, marked
from kizu_dashboard.markup import signed_in_as
from kizu_dashboard.pages.alerts import draw_alerts
from kizu_dashboard.pages.failing import telling_failures
from kizu_dashboard.pages.frame import require_user, user_now
from kizu_dashboard.signing_in.gate import SIGN_OUT
from kizu_dashboard.theme import page_style
from kizu_dashboard.wording import role_name
from kizu_db.permissions import Action
from kizu_db.values import User
from kizu_inspect.errors import KizuError

HERE = Path(__file__).parent
ICON = str(HERE.parent / "assets" / "icon.png")


_PAGES: Final = (
    ("search", marked("Search"), "search", marked("Inspections as a list or as pictures, by what is known of them.")),
    ("review", marked("Review"), "rule", marked("What waits for a decision, one part after the other.")),
    ("live", marked("Live"), "monitor_heart", marked("What each station records now.")),
    ("part", marked("Part"), "center_focus_strong", marked("One inspection with its evidence and the decisions about it.")),
    ("quality", marked("Quality"), "bar_chart", marked("Which defects, when, at which station and where on the part.")),
    (
        "agreement",
        marked("Agreement"),
        "handshake",
        marked("The model against reviewers, reviewers against each other, misses and overkill."),
    ),
    ("reports", marked("Reports"), "description", marked("The flagged parts of a period as CSV and PDF.")),
    (
        "admin",
        marked("Admin"),
        "admin_panel_settings",
        marked("Health, people, claims, quarantine, the audit trail and retention."),
    ),
)
# Name, title, icon and what it is for, in the order of the navigation; the first one is the start.


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
        st.html(signed_in_as(user.name, role_name(user.role), SIGN_OUT, shared=user.at_terminal))
        if page.url_path != "live":  # there they are drawn with its figures
            draw_alerts(user)
        page.run()


def _pages(user: User | None) -> list[st.Page]:
    """All pages; who may not work on one does not see it in the navigation, nor what is opened from others."""
    hidden = {"part"} if user is not None and user.role.may(Action.RELEASE_CLAIM) else {"part", "admin"}
    return [
        st.Page(
            HERE / f"{name}.py",
            title=known(title),
            icon=f":material/{icon}:",
            url_path=None if number == 0 else name,
            default=number == 0,
            visibility="hidden" if name in hidden else "visible",
            help=known(told),
        )
        for number, (name, title, icon, told) in enumerate(_PAGES)
    ]


if __name__ == "__main__":
    main()
