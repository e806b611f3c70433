"""kizu user: PINs, badges and the known terminals at which they work."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from kizu.commands.typed import require_one, secret_given
from kizu.commands.users import NameArgument
from kizu.console import DEFAULT_CONFIG, ByOption, ConfigOption, JsonOption, ReasonOption, name_of, screen, write_json

__all__ = ["user_badge", "user_pin", "user_terminals", "user_withdraw_terminal"]

WithdrawOption = Annotated[bool, typer.Option("--withdraw", help="Take it from the person; who came in by it is out at once.")]


def user_pin(
    name: NameArgument,
    pin_file: Annotated[
        Path | None, typer.Option(help="File with the PIN on its one line, for scripts (default: it is asked for, hidden).")
    ] = None,
    withdraw: WithdrawOption = False,
    config: ConfigOption = DEFAULT_CONFIG,
    by: ByOption = None,
    reason: ReasonOption = "",
) -> None:
    """Give a person a PIN of 4 to 8 digits for the known terminals. Example: kizu user pin mina --by root --reason new"""
    from kizu.config import load_config
    from kizu_dashboard.signing_in.passwords import hash_pin
    from kizu_db.records import Records

    require_one("PIN", pin_file, option="--pin-file", without=withdraw, says_none="--withdraw")
    with Records.open(load_config(config).database) as records:
        kept = None if withdraw else hash_pin(secret_given(pin_file, "PIN", option="--pin-file"))
        with records.unit() as unit:
            known_as = unit.credentials.set_pin(name, kept, by=name_of(by), reason=reason)
    said = f"{known_as} has no PIN any more" if withdraw else f"{known_as} has a PIN, for the known terminals"
    screen.print(said, markup=False)


def user_badge(
    name: NameArgument,
    badge_file: Annotated[
        Path | None, typer.Option(help="File with the badge's code on its one line (default: scan it when asked).")
    ] = None,
    withdraw: WithdrawOption = False,
    config: ConfigOption = DEFAULT_CONFIG,
    by: ByOption = None,
    reason: ReasonOption = "",
) -> None:
    """Give a person a badge, or withdraw a lost one. Example: kizu user badge mina --withdraw --by root --reason lost"""
    from kizu.config import load_config
    from kizu_dashboard.people import new_badge
    from kizu_db.records import Records

    require_one("Badge", badge_file, option="--badge-file", without=withdraw, says_none="--withdraw")
    with Records.open(load_config(config).database) as records:
        if withdraw:
            with records.unit() as unit:
                known_as = unit.credentials.set_badge(name, None, by=name_of(by), reason=reason)
        else:
            code = secret_given(badge_file, "Badge", option="--badge-file", twice=False)
            known_as = new_badge(records, name, code, by=name_of(by), reason=reason)
    said = f"{known_as} has no badge any more" if withdraw else f"{known_as} has this badge, for the known terminals"
    screen.print(said, markup=False)


def user_terminals(config: ConfigOption = DEFAULT_CONFIG, json: JsonOption = None) -> None:
    """List the known terminals, where PIN and badge work. Example: kizu user terminals"""
    from kizu.config import load_config
    from kizu_db.records import Records

    with Records.open(load_config(config).database) as records, records.unit(read_only=True) as unit:
        terminals = unit.terminals.list()
    rows = [
        {
            "name": one.name,
            "made_by": one.made_by,
            "made_at": one.made_at.isoformat(timespec="seconds"),
            "last_used_at": None if one.last_used_at is None else one.last_used_at.isoformat(timespec="seconds"),
        }
        for one in terminals
    ]
    if json is not None:
        write_json(json, {"terminals": rows})
    if str(json) != "-":
        for row in rows:
            used = row["last_used_at"] or "never"
            screen.print(f"{row['name']:<24} by {row['made_by']:<16} {row['made_at']}  last used {used}", markup=False)
        if not rows:
            screen.print("No terminal is known. An admin makes a browser one on the page Admin, section Terminals.")


def user_withdraw_terminal(
    name: Annotated[str, typer.Argument(help="The terminal's name, as `kizu user terminals` shows it.")],
    config: ConfigOption = DEFAULT_CONFIG,
    by: ByOption = None,
    reason: ReasonOption = "",
) -> None:
    """A terminal is known no more; who came in there is out. Example: kizu user withdraw-terminal "Hall 2" --reason stolen"""
    from kizu.config import load_config
    from kizu_db.records import Records

    with Records.open(load_config(config).database) as records, records.unit() as unit:
        known_as = unit.terminals.withdraw(name, by=name_of(by), reason=reason)
    screen.print(f"{known_as} is no known terminal any more", markup=False)
