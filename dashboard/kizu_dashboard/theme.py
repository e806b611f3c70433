"""How the dashboard looks: one calm palette in light and in dark, and the words and marks of the verdicts.

The browser's preference chooses between the two. Pages, components and charts name a colour by its CSS custom property, so that
they follow the theme by themselves; paper has the light colours.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from kizu_inspect.results import Verdict

__all__ = ["DARK", "LIGHT", "LOOKS", "THEME", "Look", "colour", "page_style", "palette_style"]

LIGHT: Final[dict[str, str]] = {
    "paper": "#f6f7f9", "card": "#ffffff", "sunk": "#fafbfc", "hover": "#f1f6fa",
    "ink": "#1b2733", "quiet": "#566472", "line": "#dce1e7", "faint": "#edf0f3", "track": "#e6eaee",
    "mark": "#768493", "main": "#1f5f8b", "on-main": "#ffffff",
    "pass": "#116149", "pass-paper": "#e3f4ec", "review": "#7a4d00", "review-paper": "#fdf1d7",
    "error": "#533f8c", "error-paper": "#ece8f8", "reject": "#a3201a", "reject-paper": "#fde8e6",
    "veil": "#00000066", "rim": "#00000033", "stage": "#22272d", "on-stage": "#d5dbe1", "bright": "#ffffff", "dark": "#111111",
    "plate": "#111111dd", "signal": "#ffe08a",
}  # fmt: skip
"""Text keeps 4.5:1 and marks 3:1 on what they lie on. The last two lines but `veil` and `rim` lie around and over photos, which
are the same in both themes."""

DARK: Final[dict[str, str]] = LIGHT | {
    "paper": "#12181f", "card": "#1b232c", "sunk": "#202a34", "hover": "#23303c",
    "ink": "#e8edf2", "quiet": "#a9b5c1", "line": "#36424e", "faint": "#2a343f", "track": "#323e4a",
    "mark": "#8b9aa8", "main": "#7fb8de", "on-main": "#0d1a24",
    "pass": "#7fd6b0", "pass-paper": "#15392c", "review": "#f0c467", "review-paper": "#40300f",
    "error": "#c6b6f7", "error-paper": "#342b57", "reject": "#ffa8a0", "reject-paper": "#4d211d",
    "veil": "#000000a6", "rim": "#ffffff40",
}  # fmt: skip


def colour(name: str) -> str:
    """The palette's colour as CSS: `var(--kz-ink)`. Raises KeyError where the palette has no such colour."""
    LIGHT[name]
    return f"var(--kz-{name})"


@dataclass(frozen=True)
class Look:
    """How a verdict is shown: never by colour alone."""

    icon: str
    word: str
    name: str

    @property
    def ink(self) -> str:
        """Its colour as CSS, for text and marks."""
        return colour(self.name)

    @property
    def paper(self) -> str:
        """Its background as CSS."""
        return colour(f"{self.name}-paper")

    @property
    def printed(self) -> tuple[str, str]:
        """Ink and paper for what is printed: `#a3201a`."""
        return LIGHT[self.name], LIGHT[f"{self.name}-paper"]


LOOKS: Final[dict[Verdict, Look]] = {
    Verdict.PASS: Look("✓", "PASS", "pass"),
    Verdict.REVIEW: Look("?", "REVIEW", "review"),
    Verdict.ERROR: Look("!", "ERROR", "error"),
    Verdict.REJECT: Look("✕", "REJECT", "reject"),
}


def palette_style() -> str:
    """The palette as custom properties of the whole document; they reach into the components too."""
    light, dark = (" ".join(f"--kz-{name}: {value};" for name, value in one.items()) for one in (LIGHT, DARK))
    return f":root {{ {light} }}\n@media (prefers-color-scheme: dark) {{ :root {{ {dark} }} }}\n"


def page_style(name: str) -> str:
    """The palette and this file of `assets`."""
    return palette_style() + (Path(__file__).parent / "assets" / name).read_text(encoding="utf-8")


def _streamlit(palette: dict[str, str]) -> dict[str, Any]:
    """Streamlit's names of the palette's colours."""
    return {
        "primaryColor": palette["main"],
        "backgroundColor": palette["paper"],
        "secondaryBackgroundColor": palette["card"],
        "textColor": palette["ink"],
        "borderColor": palette["line"],
        "linkColor": palette["main"],
        "grayColor": palette["quiet"],
    }


THEME: Final[dict[str, Any]] = {
    # With both sets given and none chosen as the base, the browser's preference decides.
    **{f"theme.light.{name}": value for name, value in _streamlit(LIGHT).items()},
    **{f"theme.dark.{name}": value for name, value in _streamlit(DARK).items()},
    "theme.baseRadius": "6px",
    "theme.baseFontSize": 15,
    "theme.headingFontSizes": ["1.6rem", "1.15rem", "1rem", "0.95rem", "0.9rem", "0.85rem"],
    "theme.headingFontWeights": [650, 650, 600, 600, 600, 600],
    "theme.metricValueFontSize": "1.5rem",
    "theme.showWidgetBorder": True,
    "theme.paddingTop": "1rem",
    "theme.paddingBottom": "3rem",
}
