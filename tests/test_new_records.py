"""A copied database is what the migrations make: no test stands on another one."""

from __future__ import annotations

from sqlalchemy import text

from backup_world import content
from db_examples import raw
from kizu_db.migrations import upgrade
from kizu_db.records import Records
from kizu_db.settings import DatabaseSettings

DESCRIBED = {
    "sqlite": ["SELECT type, name, tbl_name, sql FROM sqlite_master"],
    "postgresql": [
        "SELECT table_name, column_name, data_type, is_nullable, column_default FROM information_schema.columns"
        " WHERE table_schema = 'public'",
        "SELECT indexdef FROM pg_indexes WHERE schemaname = 'public'",
        "SELECT conrelid::regclass::text, pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid <> 0",
        "SELECT pg_get_triggerdef(oid) FROM pg_trigger WHERE NOT tgisinternal",
        "SELECT pg_get_functiondef(oid) FROM pg_proc WHERE pronamespace = 'public'::regnamespace",
    ],
}


def described(database: DatabaseSettings) -> list[list[tuple[list[str], ...]]]:
    """Tables, indexes, constraints, triggers and functions, each in lines: a table's constraints stand in no order in it."""
    with raw(database) as connection:
        return [
            sorted(tuple(_lines(value) for value in row) for row in connection.execute(text(query)))
            for query in DESCRIBED[connection.dialect.name]
        ]


def _lines(value: object) -> list[str]:
    return sorted(line.strip(", \t") for line in str(value).splitlines())


def test_a_copy_is_what_the_migrations_make(records: Records, database: DatabaseSettings, elsewhere: DatabaseSettings) -> None:
    with records.unit(read_only=True) as unit:
        assert unit.inspections.latest(limit=1) == []
    upgrade(elsewhere)
    assert all(described(database))
    assert described(database) == described(elsewhere)
    assert content(database) == content(elsewhere)
