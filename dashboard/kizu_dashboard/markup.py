"""Pieces of HTML for what Streamlit has no element for. Every text from outside is escaped here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

from kizu_dashboard.health import Line, Word
from kizu_dashboard.language.asking import choose_address
from kizu_dashboard.language.speaking import LANGUAGES, known, language_now, marked, say, say_count
from kizu_dashboard.theme import LOOKS, colour
from kizu_dashboard.thresholds import Limits, limits_of
from kizu_dashboard.wording import check_text, class_name, promise_text, reason_text, size_texts, spread_text, standing_said
from kizu_db.values import InspectionRecord
from kizu_inspect.results import Region, Verdict
from kizu_inspect.sums.intervals import Share
from kizu_inspect.sums.scores import log_odds, probability_text

__all__ = [
    "Cell",
    "alert_line",
    "badge",
    "became",
    "card_title",
    "data_table",
    "empty_state",
    "evidence",
    "facts",
    "figure_tiles",
    "health_table",
    "health_word",
    "narrowed_to",
    "part_head",
    "probability_bars",
    "progress_line",
    "quiet",
    "region_table",
    "score_scale",
    "session_over",
    "signed_in_as",
    "terminal_form",
    "tile_row",
]

_BARS = 8
"""So many classes have a bar."""

_LONG = 60
"""A part id of more characters is written smaller: the photo below it matters more."""

_ODDS = 6.0
"""Where the scale of odds ends: a million to one."""

Cell = str | tuple[str, str]
"""A table's text, or text and the address to which it leads."""


def badge(verdict: Verdict) -> str:
    """The verdict as mark and word on its colour."""
    look = LOOKS[verdict]
    return f'<span class="kz-badge" style="color:{look.ink};background:{look.paper}">{look.icon} {look.word}</span>'


def became(said: str, *, well: bool) -> str:
    """What became of a step, in a sentence that a screen reader says by itself."""
    role, kind, mark = ("status", "well", "✓") if well else ("alert", "silent", "▲")
    return f'<div class="kz" role="{role}"><div class="kz-state kz-{kind}">{mark} {escape(said)}</div></div>'


def card_title(text: str) -> str:
    """A card's heading."""
    return f'<div class="kz kz-title">{escape(text)}</div>'


def progress_line(*told: str) -> str:
    """How far a person is, in few words."""
    return f'<div class="kz kz-quiet kz-num">{" · ".join(escape(one) for one in told)}</div>'


def part_head(part: str, verdict: Verdict | None, places: Sequence[str]) -> str:
    """The headline of one part: its id, the verdict (None: it is not to be seen), where and when."""
    line = " · ".join(escape(place) for place in places)
    name = "kz-name kz-long" if len(part) > _LONG else "kz-name"
    return (
        f'<div class="kz"><div class="kz-head"><span class="{name}">{escape(part)}</span>'
        f"{'' if verdict is None else badge(verdict)}</div>"
        f'<div class="kz-quiet">{line}</div></div>'
    )


def figure_tiles(total: int, first_pass: Share, shares: Mapping[Verdict, Share]) -> str:
    """The period's figures, each with what it is a share of."""
    tiles = [_tile(say("Inspections"), f"{total:,}", say("in this period"), colour("quiet"))]
    spread = say("nothing inspected") if first_pass.value is None else spread_text(first_pass)
    tiles.append(_tile(say("First-pass yield"), first_pass.percent, spread, LOOKS[Verdict.PASS].ink))
    for verdict, share in shares.items():
        look = LOOKS[verdict]
        of_all = say("of {n:,} · {share}", n=share.n, share=share.percent)
        tiles.append(_tile(f"{look.icon} {look.word}", f"{share.hits:,}", of_all, look.ink))
    return f'<div class="kz kz-tiles">{"".join(tiles)}</div>'


def tile_row(entries: Sequence[tuple[str, str, str, str]]) -> str:
    """Figures beside each other: label, value, what it rests on, and the colour of the label."""
    return f'<div class="kz kz-tiles">{"".join(_tile(*entry) for entry in entries)}</div>'


def _tile(label: str, value: str, note: str, ink: str) -> str:
    return (
        f'<div class="kz-tile" style="border-left-color:{ink}">'
        f'<div class="kz-label" style="color:{ink}">{escape(label)}</div>'
        f'<div class="kz-value kz-num">{escape(value)}</div><div class="kz-quiet kz-small kz-num">{escape(note)}</div></div>'
    )


def probability_bars(probabilities: Mapping[str, float]) -> str:
    """The calibrated probabilities, the most probable class first; of many classes the first ones."""
    ranked = sorted(probabilities.items(), key=lambda item: -item[1])
    rows = [
        f'<span class="{"kz-top" if number == 0 else ""}">{escape(class_name(name))}</span>'
        f'<span class="kz-bar"><i style="width:{100 * p:.2f}%"></i></span><span class="kz-num">{_percent(p)}</span>'
        for number, (name, p) in enumerate(ranked[:_BARS])
    ]
    below = len(ranked) - _BARS
    more = quiet(say_count("and {count} class below these", "and {count} classes below these", below)) if below > 0 else ""
    return f'<div class="kz kz-bars">{"".join(rows)}</div>{more}'


def _percent(p: float) -> str:
    """Never 0 % nor 100 % of what is neither."""
    return "< 0.1 %" if 0 < p < 0.0005 else "> 99.9 %" if 0.9995 <= p < 1 else f"{100 * p:.1f} %"


def score_scale(score: float, limits: Limits) -> str:
    """Where the score lies between the limits by which it was judged, on a scale of odds: each sixth is a hundredfold."""
    ends = (-_ODDS, log_odds(limits.pass_below, most=_ODDS), log_odds(limits.reject_from, most=_ODDS), _ODDS)
    zones = "".join(
        f'<span style="width:{50 * (until - since) / _ODDS:.2f}%;background:{LOOKS[one].ink}" title="{one.value}"></span>'
        for one, since, until in zip((Verdict.PASS, Verdict.REVIEW, Verdict.REJECT), ends, ends[1:], strict=False)
    )
    place = 50 * (log_odds(score, most=_ODDS) + _ODDS) / _ODDS
    said = say(
        "Defect score {score}, {standing} · PASS below {pass_below} · REJECT from {reject_from}",
        score=f"<b>{probability_text(score)}</b>",
        standing=standing_said(score, pass_below=limits.pass_below, reject_from=limits.reject_from),
        pass_below=probability_text(limits.pass_below),
        reject_from=probability_text(limits.reject_from),
    )
    return (
        f'<div class="kz" title="{escape(say("A scale of odds: each sixth of it is a hundredfold"))}">'
        f'<div class="kz-mark"><i style="left:{min(99, max(1, place)):.2f}%">▼</i></div><div class="kz-scale">{zones}</div>'
        f'<div class="kz-quiet kz-small kz-num">{said}</div></div>'
    )


def evidence(record: InspectionRecord) -> str:
    """Why the verdict is what it is: its reason, the score between its limits, the probabilities, and what its map is worth."""
    row, limits, explanation = record.row, limits_of(record), record.explanation
    pieces = [card_title(say("Why {verdict}", verdict=LOOKS[row.verdict].word))]
    pieces.append(f"<p>{escape(reason_text(row) or say('No reason recorded.'))}</p>")
    if record.error and record.error != row.reason:
        pieces.append(f'<p class="kz-quiet">{escape(record.error)}</p>')
    if row.score is not None and limits is not None:
        pieces.append(score_scale(row.score, limits))
    if record.probabilities:
        pieces.append(probability_bars(record.probabilities))
    if explanation is not None and explanation.check is not None:
        conflict = "kz-conflict" if explanation.check.conflict else "kz-quiet"
        pieces.append(f'<p class="kz-small {conflict}">{escape(check_text(explanation.check))}</p>')
    lacking = promise_text(record.model, None if record.recipe is None else record.recipe.limits[0])
    if lacking is not None:
        pieces.append(f'<p class="kz-small kz-quiet">{escape(lacking)}</p>')
    return f'<div class="kz kz-card">{"".join(pieces)}</div>'


def region_table(regions: Sequence[Region], *, mm_per_px: float | None) -> str:
    """The regions by the numbers they have in the picture; sizes in mm too where a pixel's size is known."""
    rows = "".join(
        f"<tr><td>{number}</td><td>{escape(class_name(r.label))}</td><td>{r.score:.2f}</td><td>{100 * r.share:.0f} %</td>"
        f"{_size_cells(size_texts(r, mm_per_px))}<td>{r.x1}–{r.x2}</td><td>{r.y1}–{r.y2}</td></tr>"
        for number, r in enumerate(regions, start=1)
    )
    names = (
        say("No."), say("Evidence for"), say("Peak"), say("Share of map"), say("Length × width"), say("Area"), "x, px", "y, px",
    )  # fmt: skip
    heads = "".join(f"<th>{name}</th>" for name in names)
    return _table(heads, rows)


def data_table(heads: Sequence[str], rows: Sequence[Sequence[Cell]]) -> str:
    """Rows of cells under their heads."""
    lines = ["<tr>" + "".join(f"<td>{_cell(cell)}</td>" for cell in row) + "</tr>" for row in rows]
    titles = "".join(f"<th>{escape(head)}</th>" for head in heads)
    return _table(titles, "".join(lines))


def _table(heads: str, rows: str) -> str:
    """The table; where it is wider than its place it is scrolled, by keys too, and not the page."""
    table = f'<table class="kz-table"><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table>'
    return f'<div class="kz-wide" tabindex="0">{table}</div>'


_WORDS = {
    Word.WELL: ("●", "well", marked("well")),
    Word.LOOK: ("▲", "unknown", marked("look")),
    Word.ACT: ("✕", "silent", marked("act")),
}
"""Each word's mark and class, and how it is said."""


def health_word(word: Word) -> str:
    """How it is, as a mark and a word on its colour."""
    mark, kind, said = _WORDS[word]
    return f'<span class="kz-state kz-{kind}">{mark} {known(said)}</span>'


def health_table(lines: Sequence[Line]) -> str:
    """Each with its word and what to do."""
    rows = "".join(
        f"<tr><td>{health_word(one.word)}</td><td><b>{escape(one.name)}</b></td><td>{escape(one.said)}</td>"
        f"<td>{escape(one.todo)}</td></tr>"
        for one in lines
    )
    heads = "".join(f"<th>{head}</th>" for head in ("", say("What"), say("How it is"), say("What to do")))
    return f'<table class="kz-table"><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table>'


def alert_line(line: Line) -> str:
    """What every page says of it."""
    said = f"<b>{escape(line.name)}</b>: {escape(line.said)}."
    return f'<div class="kz" role="status">{health_word(line.word)} {said} {escape(line.todo)}</div>'


def _cell(cell: Cell) -> str:
    if isinstance(cell, str):
        return escape(cell)
    text, href = cell
    return f'<a href="{escape(href)}">{escape(text)}</a>'


def _size_cells(sizes: Sequence[tuple[str, str]]) -> str:
    """Length × width and area below each other in their units; dashes where the record has no sizes."""
    if not sizes:
        return "<td>–</td><td>–</td>"
    columns = zip(*sizes, strict=True)
    return "".join(f"<td>{'<br>'.join(texts)}</td>" for texts in columns)


def facts(entries: Mapping[str, str]) -> str:
    """Names and values below each other."""
    rows = "".join(f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in entries.items())
    return f'<dl class="kz kz-facts">{rows}</dl>'


def quiet(text: str) -> str:
    """A line of small print, letter by letter: a caption would read names of views and lots as Markdown."""
    return f'<div class="kz kz-quiet">{escape(text)}</div>'


def narrowed_to(words: Sequence[str]) -> str:
    """What a list leaves in, beside what its controls show."""
    filters = f"<b>{escape(' · '.join(words))}</b>"
    return f'<div class="kz">{say("Only {filters}", filters=filters)}</div>'


def empty_state(headline: str, next_step: str) -> str:
    """What stands where there is nothing to show: why, and what to do."""
    return f'<div class="kz kz-empty"><b>{escape(headline)}</b><span class="kz-quiet">{escape(next_step)}</span></div>'


def session_over(sign_in: str) -> str:
    """What stands in place of a page whose reader is not signed in any more, with the address to sign in at."""
    return (
        f'<div class="kz kz-empty"><b>{say("Your sign-in has ended")}</b>'
        f'<a href="{escape(sign_in)}">{say("Sign in to go on where you were")}</a></div>'
    )


def terminal_form(action: str, why: str) -> str:
    """A form that makes this browser a known terminal: sent to a route, for no script may set its cookie. `why` is a label.

    (A field that is called `name` loses its name where Streamlit cleans HTML.)
    """
    return (
        f'<form class="kz kz-form" method="post" action="{escape(action)}">'
        f'<label>{say("Where it stands")}<input name="terminal" required maxlength="200" autocomplete="off"></label>'
        f'<label>{escape(why)}<input name="reason" required maxlength="500" autocomplete="off"></label>'
        f'<button type="submit">{say("Make it a known terminal")}</button></form>'
    )


def signed_in_as(name: str, role: str, sign_out: str, *, shared: bool = False) -> str:
    """Who is signed in, the other languages, and the way out: forms, so that no link or picture can do it for anybody.

    At a terminal that is shared, the way out is the way in of the next person.
    """
    press = say("Change person") if shared else say("Sign out")
    others = "".join(
        f'<form method="post" action="{choose_address(code)}"><button type="submit" lang="{code}">{other}</button></form>'
        for code, other in LANGUAGES.items()
        if code != language_now()
    )
    return (
        f'<div class="kz kz-who"><span><b>{escape(name)}</b> <span class="kz-quiet">{escape(role)}</span></span>{others}'
        f'<form method="post" action="{escape(sign_out)}"><button type="submit">{press}</button></form></div>'
    )
