"""The dashboard's frame: icon, style, navigation. Streamlit runs this file at every rerun, then the page chosen."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from kizu_dashboard.markup import empty_state
from kizu_inspect.errors import RecordsAway

HERE = Path(__file__).parent
ASSETS = HERE.parent / "assets"
ICON = str(ASSETS / "icon.png")


def main() -> None:
    """Draws the frame, then the page."""
    st.set_page_config(page_title="Kizu", page_icon=ICON, layout="wide")
    st.html(ASSETS / "style.css")
    st.logo(str(ASSETS / "logo.png"), size="large")
    page = st.navigation(
        [
            st.Page(
                HERE / "inspections.py",
                title="Inspections",
                icon=":material/list:",
                default=True,
                help="The latest inspections with their verdicts.",
            ),
            st.Page(
                HERE / "part.py",
                title="Part",
                icon=":material/center_focus_strong:",
                url_path="part",
                help="One inspection with its evidence and the decision about it; the next one waiting, if none is chosen.",
            ),
            st.Page(
                HERE / "reports.py",
                title="Reports",
                icon=":material/description:",
                url_path="reports",
                help="The flagged parts of a period as CSV and PDF.",
            ),
        ],
        position="top",
    )
    try:
        page.run()
    except RecordsAway as error:
        st.html(empty_state("The records do not answer", f"{error} Open the page again in a moment."))


if __name__ == "__main__":
    main()
