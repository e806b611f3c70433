"""What Alembic runs: on the connection that `kizu_db.migrations` hands over, or, for the `alembic` command, its own.

The address of the command is `sqlalchemy.url` of alembic.ini, or `alembic -x url=ADDRESS …`.
"""

from __future__ import annotations

from typing import Literal

from alembic import context
from sqlalchemy import Connection

from kizu_db.engine import make_engine
from kizu_db.settings import DatabaseSettings
from kizu_db.tables import Base, CleanText, UtcDateTime


def plain_type(kind: str, item: object, _context: object) -> str | Literal[False]:
    """How autogenerate writes our own column types: as the plain ones, for a released step must not follow our code."""
    if kind == "type" and isinstance(item, CleanText):
        return "sa.Text()"
    if kind == "type" and isinstance(item, UtcDateTime):
        return "sa.DateTime(timezone=True)"
    return False


def run(connection: Connection) -> None:
    """Take the steps on this connection, all in one transaction."""
    # SQLite cannot alter a column: a step that needs it copies the table ("batch").
    context.configure(connection=connection, target_metadata=Base.metadata, render_as_batch=True, render_item=plain_type)
    with context.begin_transaction():
        context.run_migrations()


def settings() -> DatabaseSettings:
    """The address that the `alembic` command works on."""
    given = context.get_x_argument(as_dictionary=True).get("url")
    return DatabaseSettings(url=str(given or context.config.get_main_option("sqlalchemy.url")))


if context.is_offline_mode():
    context.configure(url=settings().connection_url(), target_metadata=Base.metadata, literal_binds=True)
    with context.begin_transaction():
        context.run_migrations()
elif (handed_over := context.config.attributes.get("connection")) is not None:
    run(handed_over)
else:
    engine = make_engine(settings())
    try:
        with engine.begin() as own:
            run(own)
    finally:
        engine.dispose()
