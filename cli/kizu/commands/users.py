"""kizu user: who may do what."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from kizu.commands.typed import require_one, secret_given
from kizu.console import DEFAULT_CONFIG, ByOption, ConfigOption, JsonOption, ReasonOption, name_of, screen, write_json
from kizu_db.permissions import Role
from kizu_inspect.errors import ConfigError

__all__ = ["user_add", "user_change", "user_forget_account", "user_list", "user_password"]

NameArgument = Annotated[str, typer.Argument(help="The person's name, as reviews show it.")]
PasswordFileOption = Annotated[
    Path | None, typer.Option(help="File with the password on its one line, for scripts (default: it is asked for, hidden).")
]


def user_add(
    name: NameArgument,
    role: Annotated[Role, typer.Option(help="What the person may do; the first must be an admin.")] = Role.INSPECTOR,
    password_file: PasswordFileOption = None,
    no_password: Annotated[
        bool, typer.Option("--no-password", help="Who only appears in commands: no sign-in to the dashboard.")
    ] = False,
    config: ConfigOption = DEFAULT_CONFIG,
    by: ByOption = None,
    reason: ReasonOption = "",
) -> None:
    """Enter a person. From the first one on, only those entered may review. Example: kizu user add mina --role admin"""
    from kizu.config import load_config
    from kizu_db.records import Records

    require_one("Password", password_file, option="--password-file", without=no_password, says_none="--no-password")
    with Records.open(load_config(config).database) as records:
        kept = None if no_password else _hash(password_file)  # asked for outside of the transaction: people take their time
        with records.unit() as unit:
            user = unit.users.add(name, role, by=name_of(by), password_hash=kept, reason=reason)
    screen.print(f"{user.name} is {user.role}{', without a password' if no_password else ''}", markup=False)


def user_password(
    name: NameArgument,
    password_file: PasswordFileOption = None,
    config: ConfigOption = DEFAULT_CONFIG,
    by: ByOption = None,
    reason: ReasonOption = "",
) -> None:
    """Give a person another password, and sign them out everywhere. Example: kizu user password mina --by mina"""
    from kizu.config import load_config
    from kizu_db.records import Records

    with Records.open(load_config(config).database) as records:
        kept = _hash(password_file)
        with records.unit() as unit:
            user = unit.users.set_password(name, kept, by=name_of(by), reason=reason)
    screen.print(f"{user.name} has another password, and is signed out everywhere", markup=False)


def _hash(password_file: Path | None) -> str:
    """Of the password in the file, or of what is typed twice. Raises ConfigError."""
    from kizu_dashboard.signing_in.passwords import hash_password

    next_step = "A person who never signs in is entered with `kizu user add NAME --no-password`."
    return hash_password(secret_given(password_file, "Password", option="--password-file", next_step=next_step))


def user_change(
    name: NameArgument,
    role: Annotated[Role | None, typer.Option(help="Another role.")] = None,
    active: Annotated[bool | None, typer.Option("--enable/--disable", help="Let the person in, or out.")] = None,
    config: ConfigOption = DEFAULT_CONFIG,
    by: ByOption = None,
    reason: ReasonOption = "",
) -> None:
    """Give a person another role, or let them in or out. Example: kizu user change kim --disable --by mina"""
    from kizu.config import load_config
    from kizu_db.records import Records

    if role is None and active is None:
        raise ConfigError("nothing is to be changed", found="no option", expected="--role, --enable or --disable")
    with Records.open(load_config(config).database) as records, records.unit() as unit:
        user = unit.users.change(name, by=name_of(by), role=role, active=active, reason=reason)
    screen.print(f"{user.name} is {user.role}{'' if user.active else ', and may not sign in'}", markup=False)


def user_forget_account(
    name: NameArgument,
    config: ConfigOption = DEFAULT_CONFIG,
    by: ByOption = None,
    reason: ReasonOption = "",
) -> None:
    """Let another account of the sign-in service be this person's. Example: kizu user forget-account kim --reason renamed"""
    from kizu.config import load_config
    from kizu_db.records import Records

    with Records.open(load_config(config).database) as records, records.unit() as unit:
        known_as = unit.accounts.forget(name, by=name_of(by), reason=reason)
    screen.print(f"The next account with the name {known_as} is theirs", markup=False)


def user_list(config: ConfigOption = DEFAULT_CONFIG, json: JsonOption = None) -> None:
    """List who may do what. Example: kizu user list"""
    from kizu.config import load_config
    from kizu_db.records import Records

    with Records.open(load_config(config).database) as records, records.unit(read_only=True) as unit:
        users = unit.users.list()
    if json is not None:
        write_json(json, {"users": [{"name": user.name, "role": user.role, "active": user.active} for user in users]})
    if str(json) != "-":
        for user in users:
            screen.print(f"{user.name:<24} {user.role:<10} {'' if user.active else 'disabled'}", markup=False)
        if not users:
            screen.print("Nobody is entered: everybody may do everything. Begin with `kizu user add NAME --role admin`.")
