"""A database that refuses rows for what is in them, as a plant's own rule in it does."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from db_examples import raw
from kizu_db.settings import DatabaseSettings

__all__ = ["allow_all", "refuse", "refusing"]


def refuse(database: DatabaseSettings, rule: str) -> None:
    """Refuse every inspection for which this holds; in SQL, of the new row as `new`."""
    with raw(database) as connection:
        if connection.dialect.name == "sqlite":
            connection.exec_driver_sql(
                f"CREATE TRIGGER plant_rule BEFORE INSERT ON inspection WHEN {rule} "
                "BEGIN SELECT raise(ABORT, 'the plant does not want it'); END"
            )
            return
        connection.exec_driver_sql(
            "CREATE FUNCTION plant_rule() RETURNS trigger LANGUAGE plpgsql AS "
            f"$$ BEGIN IF {rule} THEN RAISE 'the plant does not want it' USING ERRCODE = 'check_violation'; END IF; "
            "RETURN new; END $$"
        )
        connection.exec_driver_sql(
            "CREATE TRIGGER plant_rule BEFORE INSERT ON inspection FOR EACH ROW EXECUTE FUNCTION plant_rule()"
        )


def allow_all(database: DatabaseSettings) -> None:
    """Refuse nothing any more."""
    with raw(database) as connection:
        on = "" if connection.dialect.name == "sqlite" else " ON inspection"
        connection.exec_driver_sql(f"DROP TRIGGER plant_rule{on}")


@contextmanager
def refusing(database: DatabaseSettings, rule: str) -> Iterator[None]:
    """Within the block."""
    refuse(database, rule)
    try:
        yield
    finally:
        allow_all(database)
