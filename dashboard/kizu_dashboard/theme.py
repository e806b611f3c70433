"""How the dashboard looks: one calm light theme, and the words and marks of the verdicts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from kizu_inspect.results import Verdict

__all__ = ["LOOKS", "THEME", "Look"]


@dataclass(frozen=True)
class Look:
    """How a verdict is shown: never by colour alone."""

    icon: str
    word: str
    ink: str
    paper: str


LOOKS: Final[dict[Verdict, Look]] = {
    Verdict.PASS: Look("✓", "PASS", "#116149", "#e3f4ec"),
    Verdict.REVIEW: Look("?", "REVIEW", "#7a4d00", "#fdf1d7"),
    Verdict.ERROR: Look("!", "ERROR", "#533f8c", "#ece8f8"),
    Verdict.REJECT: Look("✕", "REJECT", "#a3201a", "#fde8e6"),
}

THEME: Final[dict[str, Any]] = {
    "theme.base": "light",
    "theme.primaryColor": "#1f5f8b",
    "theme.backgroundColor": "#f6f7f9",
    "theme.secondaryBackgroundColor": "#ffffff",
    "theme.textColor": "#1b2733",
    "theme.borderColor": "#dce1e7",
    "theme.linkColor": "#1f5f8b",
    "theme.grayColor": "#5c6b7a",
    "theme.baseRadius": "6px",
    "theme.baseFontSize": 15,
    "theme.headingFontSizes": ["1.6rem", "1.15rem", "1rem", "0.95rem", "0.9rem", "0.85rem"],
    "theme.headingFontWeights": [650, 650, 600, 600, 600, 600],
    "theme.metricValueFontSize": "1.5rem",
    "theme.showWidgetBorder": True,
    "theme.paddingTop": "1rem",
    "theme.paddingBottom": "3rem",
}
