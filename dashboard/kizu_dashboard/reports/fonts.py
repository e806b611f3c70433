"""Which font a report is set in."""

from __future__ import annotations

import functools
import unicodedata
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from fontTools.ttLib import TTFont, TTLibError

from kizu_inspect.errors import ConfigError

__all__ = ["USUAL_FONTS", "ReportFont", "choose_font"]

USUAL_FONTS: Final = (
    Path("/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf"),
    Path("/usr/share/fonts/truetype/nanum/NanumGothic.ttf"),
)
"""Where Debian and Ubuntu put them (packages fonts-dejavu-core and fonts-nanum), the preferred first."""


PLAIN: Final = str.maketrans(
    {"–": "-", "—": "-", "−": "-", "“": '"', "”": '"', "„": '"', "‘": "'", "’": "'", "…": "...", "≥": ">=", "≤": "<="}
)
"""What Latin-1 lacks and can be said otherwise."""


@dataclass(frozen=True)
class ReportFont:
    """A font's files, or None for the PDF core font, which knows Latin-1 only; and the characters it lacks."""

    regular: Path | None
    bold: Path | None
    missing: frozenset[str] = frozenset()

    def clean(self, text: str) -> str:
        """The text with each character that cannot be printed as a question mark, or as its plain form."""
        if self.regular is None:
            text = text.translate(PLAIN)
        return "".join("?" if character in self.missing else character for character in text)


def choose_font(text: str, configured: Path | None = None, usual: tuple[Path, ...] = USUAL_FONTS) -> ReportFont:
    """The configured font, else the first usual one that has every letter of `text`, else the core font for Latin-1 text.

    A symbol that no font has (an emoji) is printed as a question mark; a letter is not. Raises ConfigError where the
    configured font is missing or is no font, and where the text has letters that no font at hand has.
    """
    wanted = frozenset(character for character in text if not character.isspace())
    if configured is not None and not configured.is_file():
        raise ConfigError("the report's font is not there", found=configured, next_step="Correct report.font.")
    present = [path for path in ([configured] if configured is not None else usual) if path.is_file()]
    lacking = {path: wanted - _characters(path) for path in present}
    letters = {path: {c for c in missing if unicodedata.category(c)[0] in "LMN"} for path, missing in lacking.items()}
    for path in sorted(present, key=lambda path: len(lacking[path])):
        if not letters[path]:
            return ReportFont(path, _bold_of(path), lacking[path])
    outside = {c for c in wanted if ord(c) > 255}
    if not {c for c in outside if unicodedata.category(c)[0] in "LMN"}:
        return ReportFont(None, None, frozenset(outside))
    lost = min(letters.values(), key=len, default=outside)
    raise ConfigError(
        "the report has letters that no font at hand can print",
        found=" ".join(sorted(lost)[:8]),
        expected=str(configured) + " to have them" if configured is not None else "NanumGothic or DejaVu Sans",
        next_step="Install the Debian package fonts-nanum (Korean) or fonts-dejavu-core, or name a font in report.font.",
    )


def _bold_of(regular: Path) -> Path:
    """The bold face beside it, or the regular one where there is none."""
    names = (f"{regular.stem}-Bold", f"{regular.stem}Bold", regular.stem.replace("-Regular", "-Bold"))
    faces = (regular.with_name(name + regular.suffix) for name in names)
    return next((face for face in faces if face.is_file()), regular)


@functools.lru_cache(maxsize=8)
def _characters(path: Path) -> frozenset[str]:
    """What the font can print."""
    try:
        with path.open("rb") as file, TTFont(file, lazy=True) as font:
            return frozenset(map(chr, font.getBestCmap() or {}))
    except (TTLibError, OSError, ValueError) as error:
        raise ConfigError("the report's font cannot be read", found=f"{path} ({error})", expected="a TrueType font") from None
