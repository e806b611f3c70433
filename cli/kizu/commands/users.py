"""kizu user: who may do what."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from kizu.console import ByOption, ConfigOption, JsonOption, name_of, screen, write_json
from kizu_db.permissions import Role

__all__ = ["user_add", "user_change", "user_list"]

DEFAULT_CONFIG = Path("kizu.yaml")
NameArgument = Annotated[str, typer.Argument(help="The person's name, as reviews show it.")]


def user_add(
    name: NameArgument,
    role: Annotated[Role, typer.Option(help="What the person may do; the first must be an admin.")] = Role.INSPECTOR,
    config: ConfigOption = DEFAULT_CONFIG,
    by: ByOption = None,
) -> None:
    """Enter a person. From the first one on, only those entered may review. Example: kizu user add mina --role admin"""
    from kizu.config import load_config
    from kizu_db.records import Records

    with Records.open(load_config(config).database) as records, records.unit() as unit:
        user = unit.users.add(name, role, by=name_of(by))
    screen.print(f"{user.name} is {user.role}", markup=False)


def user_change(
    name: NameArgument,
    role: Annotated[Role | None, typer.Option(help="Another role.")] = None,
    active: Annotated[bool | None, typer.Option("--enable/--disable", help="Let the person in, or out.")] = None,
    config: ConfigOption = DEFAULT_CONFIG,
    by: ByOption = None,
) -> None:
    """Give a person another role, or let them in or out. Example: kizu user change kim --disable --by mina"""
    from kizu.config import load_config
    from kizu_db.records import Records

    with Records.open(load_config(config).database) as records, records.unit() as unit:
        user = unit.users.change(name, by=name_of(by), role=role, active=active)
    screen.print(f"{user.name} is {user.role}{'' if user.active else ', and may not sign in'}", markup=False)


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
