"""The page where people sign in: one small HTML page of its own, without a script and without anything from elsewhere."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from functools import cache
from html import escape
from pathlib import Path
from typing import Final
from urllib.parse import urlencode

from kizu_dashboard.language.asking import choose_address
from kizu_dashboard.language.speaking import LANGUAGES, language_now, say
from kizu_dashboard.signing_in.gate import OIDC, SIGN_IN
from kizu_dashboard.theme import page_style
from kizu_db.permissions import Way

__all__ = ["PAGE_HEADERS", "SignInForm", "form_page", "words_page"]

_ASSETS: Final = Path(__file__).parent.parent / "assets"
_STYLE: Final = page_style("signin.css")
_STYLE_HASH: Final = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()

PAGE_HEADERS: Final = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; img-src data:; form-action 'self'; "
    "base-uri 'none'",
}


@dataclass(frozen=True, kw_only=True)
class SignInForm:
    """What the page offers, and what was tried on it before."""

    plant: str
    back: str
    """The path to go to afterwards."""
    way: Way = Way.PASSWORD
    """What was tried."""
    name: str = ""
    """What was typed before."""
    wrong: str | None = None
    """Why the page is shown again."""
    link_open: bool = False
    terminal: str | None = None
    """The known terminal's name, where PIN and badge are offered."""
    account: str | None = None
    """What an account of the company's sign-in service is called, where there is one."""


def form_page(form: SignInForm) -> str:
    """The page with its forms."""
    alert = "" if form.wrong is None else f'<p class="alert" role="alert" id="wrong">{escape(form.wrong)}</p>'
    account = ""
    if form.account is not None:
        to = escape(f"{OIDC}?{urlencode({'next': form.back})}")
        account = f'<p><a class="button" href="{to}">{escape(say("Sign in with {account}", account=form.account))}</a></p>'
    password = _name_form(form, Way.PASSWORD, say("Password"), say("Sign in"))
    if form.terminal is None:
        return _page(form.plant, f"{alert}{account}{password}{_help(form)}", form.back)
    opened = " open" if form.way is Way.PASSWORD and form.wrong is not None else ""
    folded = f"<details{opened}><summary>{say('Sign in with a password')}</summary>{password}{_help(form)}</details>"
    pin = _name_form(form, Way.PIN, say("PIN"), say("Sign in with the PIN"))
    body = f'{alert}{_badge_form(form)}<h2 class="or">{say("Without a badge")}</h2>{pin}{account}{folded}'
    return _page(f"{form.plant} · {form.terminal}", body, form.back)


def words_page(
    *, plant: str, headline: str, sentences: list[str], command: str | None = None, link: tuple[str, str] | None = None
) -> str:  # fmt: skip
    """A page without a form: why nobody can sign in here now, and what to do. `link` is an address and its words."""
    body = "".join(f"<p>{escape(sentence)}</p>" for sentence in sentences)
    code = "" if command is None else f'<p><code class="command">{escape(command)}</code></p>'
    leads = "" if link is None else f'<p><a href="{escape(link[0])}">{escape(link[1])}</a></p>'
    return _page(plant, f"<h2>{escape(headline)}</h2>{body}{code}{leads}", "/")


def _name_form(form: SignInForm, way: Way, label: str, press: str) -> str:
    """Name and password, or name and PIN."""
    tried = form.way is way
    name = form.name if tried else ""
    told = ' aria-describedby="wrong"' if tried and form.wrong is not None else ""
    # Who typed a name once goes on with the password. At a terminal the badge comes first, unless something else was tried.
    here = tried and (form.terminal is None or form.wrong is not None)
    on_name, on_secret = (" autofocus" if here and not name else ""), (" autofocus" if here and name else "")
    kind = (
        'type="password" maxlength="1024" autocomplete="current-password"'
        if way is Way.PASSWORD
        else 'class="hidden" maxlength="8" inputmode="numeric" autocomplete="off"'
    )
    # No browser of a terminal is asked to keep whoever signs in there.
    names = "username" if form.terminal is None else "off"
    return f"""<form method="post" action="{SIGN_IN}">
<input type="hidden" name="next" value="{escape(form.back)}"><input type="hidden" name="way" value="{way}">
<label for="{way}-name">{say("Name")}</label>
<input id="{way}-name" name="name" value="{escape(name)}" maxlength="200" required autocomplete="{names}" autocapitalize="none"
 spellcheck="false"{told}{on_name}>
<label for="{way}">{label}</label>
<input id="{way}" name="{way}" {kind} required{told}{on_secret}>
<button type="submit">{press}</button>
</form>"""


def _badge_form(form: SignInForm) -> str:
    tried = form.way is Way.BADGE and form.wrong is not None
    told = ' aria-describedby="wrong"' if tried else ""
    focus = " autofocus" if tried or form.wrong is None else ""
    return f"""<form method="post" action="{SIGN_IN}">
<input type="hidden" name="next" value="{escape(form.back)}"><input type="hidden" name="way" value="badge">
<label for="badge">{say("Scan your badge")}</label>
<input id="badge" name="badge" class="hidden" maxlength="200" required autocomplete="off" autocapitalize="none"
 spellcheck="false"{told}{focus}>
<button type="submit">{say("Sign in with the badge")}</button>
</form>"""


def _help(form: SignInForm) -> str:
    told = [say("No password yet, or forgotten? An admin sets one: {command}", command="<code>kizu user password NAME</code>")]
    if form.link_open:
        told.insert(
            0,
            say("On this machine the terminal that started the dashboard shows a link that signs in without a password, once."),
        )
    return f'<div class="help">{"".join(f"<p>{sentence}</p>" for sentence in told)}</div>'


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
