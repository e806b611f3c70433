"""The page where people sign in: one small HTML page of its own, without a script and without anything from elsewhere."""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from html import escape
from pathlib import Path
from typing import Final

from kizu_dashboard.language.asking import choose_address
from kizu_dashboard.language.speaking import LANGUAGES, language_now, say
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
        say("On this machine the terminal that started the dashboard shows a link that signs in without a password, once.")
        if link_open
        else ""
    )
    forgotten = say(
        "No password yet, or forgotten? An admin sets one: {command}", command="<code>kizu user password NAME</code>"
    )
    return _page(
        plant,
        f"""{alert}<form method="post" action="/signin">
<input type="hidden" name="next" value="{escape(back)}">
<label for="name">{say("Name")}</label>
<input id="name" name="name" value="{escape(name)}" maxlength="200" required autocomplete="username" autocapitalize="none"
 spellcheck="false"{told}{focus_name}>
<label for="password">{say("Password")}</label>
<input id="password" name="password" type="password" maxlength="1024" required autocomplete="current-password"{told}
{focus_password}>
<button type="submit">{say("Sign in")}</button>
</form>
<div class="help">{f"<p>{link}</p>" if link else ""}<p>{forgotten}</p></div>""",
        back,
    )


def words_page(*, plant: str, headline: str, sentences: list[str], command: str | None = None) -> str:
    """A page without a form: why nobody can sign in here now, and what to do."""
    body = "".join(f"<p>{escape(sentence)}</p>" for sentence in sentences)
    code = "" if command is None else f'<p><code class="command">{escape(command)}</code></p>'
    return _page(plant, f"<h2>{escape(headline)}</h2>{body}{code}", "/")


def _page(plant: str, body: str, back: str) -> str:
    return f"""<!DOCTYPE html>
<html lang="{language_now()}"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark"><title>{say("Sign in")} · Kizu</title><link rel="icon" href="{_icon()}">
<style>{_STYLE}</style></head>
<body><main><header><img src="{_icon()}" alt="" width="36" height="36"><div><h1>Kizu</h1><p>{escape(plant)}</p></div></header>
{body}{_languages(back)}</main></body></html>
"""


def _languages(back: str) -> str:
    """A button for each language, named as its readers call it; the one that is spoken is pressed."""
    buttons = "".join(
        f'<form method="post" action="{escape(choose_address(code, signing_in=back))}">'
        f'<button type="submit" lang="{code}" aria-pressed="{str(code == language_now()).lower()}">{name}</button></form>'
        for code, name in LANGUAGES.items()
    )
    return f'<div class="languages" role="group" aria-label="{escape(say("Language"))}">{buttons}</div>'


@cache
def _icon() -> str:
    return "data:image/png;base64," + base64.b64encode((_ASSETS / "icon.png").read_bytes()).decode()
