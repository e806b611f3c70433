"""The paper that reports are drawn on: one font, a foot on every page, and a few shapes."""

from __future__ import annotations

import io
from typing import Final

import cv2
from fpdf import FPDF
from fpdf.enums import XPos, YPos

from kizu_dashboard.pictures import shrink
from kizu_dashboard.reports.fonts import ReportFont
from kizu_dashboard.theme import Look
from kizu_inspect.results import ImageRGB

__all__ = ["BAND", "FAINT", "GREY", "INK", "Colour", "Sheet", "colour_of"]

Colour = tuple[int, int, int]

INK: Final[Colour] = (27, 39, 51)
GREY: Final[Colour] = (92, 107, 122)
FAINT: Final[Colour] = (220, 225, 231)
BAND: Final[Colour] = (243, 245, 247)
MARGIN_MM: Final = 15.0
PICTURE_PX: Final = 800
FAMILY: Final = "Report"


def colour_of(hexadecimal: str) -> Colour:
    """`#a3201a` as red, green, blue."""
    return int(hexadecimal[1:3], 16), int(hexadecimal[3:5], 16), int(hexadecimal[5:7], 16)


class Sheet(FPDF):
    """A4 in millimetres. Every text goes through `text_line` or `paragraph`, which know what the font can print."""

    def __init__(self, font: ReportFont, *, foot: str) -> None:
        super().__init__(orientation="portrait", unit="mm", format="A4")
        self._font = font
        self._foot = foot
        self.family = "Helvetica" if font.regular is None else FAMILY
        if font.regular is not None:
            self.add_font(FAMILY, "", font.regular)
            self.add_font(FAMILY, "B", font.bold or font.regular)
        self.set_margins(MARGIN_MM, MARGIN_MM)
        self.set_auto_page_break(True, margin=20)
        self.set_line_width(0.2)

    def footer(self) -> None:
        """The sentence that every page ends with, and the page number. fpdf2 calls this."""
        self.set_y(-14)
        self.style(7.5, colour=GREY)
        self.cell(150, 4, self.clean(self._foot))
        self.cell(0, 4, f"{self.page_no()} / {{nb}}", align="R")

    def clean(self, text: str) -> str:
        """The text as this font can print it, without control characters."""
        return self._font.clean("".join(c if c.isprintable() or c == "\n" else " " for c in text))

    def style(self, size_pt: float, *, bold: bool = False, colour: Colour = INK) -> None:
        """How the next text looks."""
        self.set_font(self.family, "B" if bold else "", size_pt)
        self.set_text_color(*colour)

    def text_line(
        self, text: str, size_pt: float = 9, *, bold: bool = False, colour: Colour = INK, width: float = 0, height: float = 5
    ) -> None:
        """One line from the current place; what does not fit ends in dots. Goes on at the next line, same left edge."""
        self.style(size_pt, bold=bold, colour=colour)
        x = self.x
        room = (width or self.w - self.r_margin - x) - 2 * self.c_margin
        self.cell(width, height, self.fitted(self.clean(" ".join(text.split())), room), new_x=XPos.LMARGIN, new_y=YPos.NEXT)
        self.set_x(x)

    def fitted(self, text: str, room_mm: float) -> str:
        """The text shortened until it fits the current font into `room_mm`."""
        if self.get_string_width(text) <= room_mm:
            return text
        dots = "..." if self._font.regular is None else "…"
        low, high = 0, len(text)
        while low < high:
            middle = (low + high + 1) // 2
            if self.get_string_width(text[:middle] + dots) <= room_mm:
                low = middle
            else:
                high = middle - 1
        return text[:low] + dots

    def paragraph(
        self, text: str, size_pt: float = 9, *, bold: bool = False, colour: Colour = INK, width: float = 0, height: float = 4.4
    ) -> None:
        """Wrapped text from the current place; goes on below it, same left edge."""
        self.style(size_pt, bold=bold, colour=colour)
        x = self.x
        self.multi_cell(width, height, self.clean(text), align="L", new_x=XPos.LEFT, new_y=YPos.NEXT)
        self.set_x(x)

    def paragraph_height(self, text: str, size_pt: float, *, width: float, height: float = 4.4) -> float:
        """How high `paragraph` would be, in mm."""
        self.style(size_pt)
        lines = self.multi_cell(width, height, self.clean(text), align="L", dry_run=True, output="LINES")
        return height * len(lines) if isinstance(lines, list) else height

    def heading(self, text: str) -> None:
        """A section's heading with a rule below."""
        self.ln(3)
        self.text_line(text, 11.5, bold=True, height=6.5)
        self.set_draw_color(*FAINT)
        self.line(self.l_margin, self.y, self.w - self.r_margin, self.y)
        self.ln(1.5)

    def badge(self, look: Look, *, x: float, y: float, width: float = 20) -> None:
        """A verdict's word on its colour."""
        ink, paper = look.printed
        self.set_fill_color(*colour_of(paper))
        self.rect(x, y, width, 5.4, style="F", round_corners=True, corner_radius=1.2)
        self.set_xy(x, y)
        self.style(8.5, bold=True, colour=colour_of(ink))
        self.cell(width, 5.4, look.word, align="C")

    def picture(self, image: ImageRGB, *, x: float, y: float, width: float, height: float) -> tuple[float, float]:
        """The picture in the given frame, as large as it fits, upper left; the width and height it took."""
        rows, columns = image.shape[:2]
        scale = min(width / columns, height / rows)
        drawn = (columns * scale, rows * scale)
        bgr = cv2.cvtColor(shrink(image, PICTURE_PX), cv2.COLOR_RGB2BGR)
        _, data = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, 90])
        self.image(io.BytesIO(bytes(data)), x=x, y=y, w=drawn[0], h=drawn[1])
        return drawn

    def empty_frame(self, why: str, *, x: float, y: float, width: float, height: float) -> None:
        """A frame with words where a picture would be."""
        self.set_fill_color(*BAND)
        self.set_draw_color(*FAINT)
        self.rect(x, y, width, height, style="DF")
        self.set_xy(x + 3, y + 3)
        self.paragraph(why, 8.5, colour=GREY, width=width - 6)
