"""One calm look in light and dark: what can be read, what can be seen, and that nothing is told by colour alone."""

from __future__ import annotations

import re
from itertools import product
from pathlib import Path

import pytest

import kizu_dashboard
from kizu_dashboard.theme import DARK, LIGHT, LOOKS, THEME, colour
from kizu_inspect.results import Verdict

THEMES = {"light": LIGHT, "dark": DARK}
GROUNDS = ("paper", "card", "sunk", "hover")
VERDICTS = ("pass", "review", "error", "reject")
TEXTS = [
    *product(("ink", "quiet", "main", *VERDICTS), GROUNDS),
    *((verdict, f"{verdict}-paper") for verdict in VERDICTS),
    ("on-main", "main"),
    ("quiet", "track"),
    ("on-stage", "stage"),
    ("dark", "signal"),
]
MARKS = [*product(("mark", "main", *VERDICTS), GROUNDS), ("main", "track"), ("bright", "dark"), ("mark", "track")]


def luminance(hexadecimal: str) -> float:
    """WCAG's relative luminance of `#rrggbb`."""
    parts = [int(hexadecimal[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    """WCAG's contrast of two colours, 1 to 21."""
    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


def test_contrast_is_wcags() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#767676", "#ffffff") == pytest.approx(4.54, abs=0.005)  # the grey that just passes


@pytest.mark.parametrize("theme", THEMES)
def test_text_has_a_contrast_of_4_5_and_marks_of_3(theme: str) -> None:
    palette = THEMES[theme]
    told = [
        (pair, contrast(palette[pair[0]], palette[pair[1]]), least)
        for pairs, least in ((TEXTS, 4.5), (MARKS, 3.0))
        for pair in pairs
    ]
    assert [f"{a} on {b}: {found:.2f}" for (a, b), found, least in told if found < least] == []


def test_every_colour_stands_in_the_palette_and_in_both_themes() -> None:
    assert list(LIGHT) == list(DARK)
    folder = Path(kizu_dashboard.__file__).parent
    literal, named, strays = re.compile(r"#[0-9a-fA-F]{3,8}\b|\brgba?\(|\bhsla?\("), re.compile(r"--kz-([a-z-]+)"), []
    for path in sorted(folder.rglob("*")):
        if path.suffix not in (".css", ".py", ".html", ".js") or path.name == "theme.py":
            continue
        text = path.read_text(encoding="utf-8")
        # The heatmap's own scale is the same everywhere, and an example of how a colour is written is none.
        text = text.replace("return `rgb(${table", "").replace('"""`#a3201a` as red, green, blue."""', "")
        strays += [f"{path.name}: {found}" for found in literal.findall(text)]
        strays += [f"{path.name}: {name}" for name in named.findall(text) if name not in LIGHT]
    assert strays == []
    with pytest.raises(KeyError):
        colour("pink")


def test_verdicts_differ_by_mark_and_word_and_print_in_the_light_colours() -> None:
    for attribute in ("icon", "word", "ink", "paper", "printed"):
        assert len({getattr(look, attribute) for look in LOOKS.values()}) == len(Verdict)
    assert LOOKS[Verdict.REJECT].printed == (LIGHT["reject"], LIGHT["reject-paper"])
    assert LOOKS[Verdict.REJECT].ink == "var(--kz-reject)"


def test_no_theme_is_chosen_for_the_reader() -> None:
    assert "theme.base" not in THEME
    light, dark = ({name.rpartition(".")[2] for name in THEME if name.startswith(f"theme.{one}.")} for one in THEMES)
    assert light == dark != set()
