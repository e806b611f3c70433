"""The page where people sign in: one small HTML page of its own, without a script and without anything from elsewhere."""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from html import escape
from pathlib import Path
from typing import Final

from kizu_dashboard.theme import page_style

__all__ = ["PAGE_HEADERS", "form_page", "words_page"]

_ASSETS: Final = Path(__file__).parent.parent / "assets"
_STYLE: Final = page_style("signin.css")
_STYLE_HASH: Final = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()

PAGE_HEADERS: Final = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; img-src data:; form-action 'self'; "
    "base-uri 'none'",
}


def form_page(*, plant: str, back: str, name: str = "", wrong: str | None = None, link_open: bool = False) -> str:
    """The form. `back` is the path to go to afterwards, `name` what was typed before, `wrong` why it is shown again."""
    alert = "" if wrong is None else f'<p class="alert" role="alert" id="wrong">{escape(wrong)}</p>'
    told = ' aria-describedby="wrong"' if wrong is not None else ""
    # Who typed a name once goes on with the password.
    focus_name, focus_password = ("", " autofocus") if name else (" autofocus", "")
    link = (
        "<p>On this machine the terminal that started the dashboard shows a link that signs in without a password, once.</p>"
        if link_open
        else ""
    )
    return _page(
        plant,
        f"""{alert}<form method="post" action="/signin">
<input type="hidden" name="next" value="{escape(back)}">
<label for="name">Name</label>
<input id="name" name="name" value="{escape(name)}" maxlength="200" required autocomplete="username" autocapitalize="none"
 spellcheck="false"{told}{focus_name}>
<label for="password">Password</label>
<input id="password" name="password" type="password" maxlength="1024" required autocomplete="current-password"{told}
{focus_password}>
<button type="submit">Sign in</button>
</form>
<div class="help">{link}<p>No password yet, or forgotten? An admin sets one: <code>kizu user password NAME</code></p></div>""",
    )


def words_page(*, plant: str, headline: str, sentences: list[str], command: str | None = None) -> str:
    """A page without a form: why nobody can sign in here now, and what to do."""
    body = "".join(f"<p>{escape(sentence)}</p>" for sentence in sentences)
    code = "" if command is None else f'<p><code class="command">{escape(command)}</code></p>'
    return _page(plant, f"<h2>{escape(headline)}</h2>{body}{code}")


def _page(plant: str, body: str) -> str:
    return f"""<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark"><title>Sign in · Kizu</title><link rel="icon" href="{_icon()}">
<style>{_STYLE}</style></head>
<body><main><header><img src="{_icon()}" alt="" width="36" height="36"><div><h1>Kizu</h1><p>{escape(plant)}</p></div></header>
{body}</main></body></html>
"""


@cache
def _icon() -> str:
    return "data:image/png;base64," + base64.b64encode((_ASSETS / "icon.png").read_bytes()).decode()
