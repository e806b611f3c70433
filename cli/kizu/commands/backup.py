"""kizu db backup and restore: the records, and the pictures that they name, in one folder and back."""

from __future__ import annotations

import json as json_text
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from itertools import chain
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape

from kizu.console import DEFAULT_CONFIG, ConfigOption, JsonOption, progress_bar, screen, write_json
from kizu_inspect.errors import ConfigError

if TYPE_CHECKING:
    from kizu_db.backup.files import Report
    from kizu_db.backup.pictures import Finding

__all__ = ["db_backup", "db_restore"]

SHOWN = 5
"""Pictures of a state that the screen names."""
MEANINGS = {
    "missing": "missing in the image store",
    "other size": "of another size in the image store",
    "missing before": "missing, as they were already when the backup was made",
}
ProgramsOption = Annotated[
    Path | None, typer.Option("--postgresql-bin", help="Folder of pg_dump and pg_restore, where they are not on the PATH.")
]


def db_backup(
    out: Annotated[Path, typer.Argument(help="New or empty folder; it is there whole or not at all.")],
    config: ConfigOption = DEFAULT_CONFIG,
    images: Annotated[bool, typer.Option("--images", help="Copy the pictures too, not only their list.")] = False,
    postgresql_bin: ProgramsOption = None,
    json: JsonOption = None,
) -> None:
    """Back the records up while the line runs on. Example: kizu db backup backups/monday --images"""
    from kizu.config import load_config
    from kizu_db.backup.make import make_backup
    from kizu_db.image_store import ImageStore

    settings = load_config(config)
    store = ImageStore(settings.images.path)
    with _progress("Backing up") as report:
        made = make_backup(
            settings.database, store, out, images=images, programs=postgresql_bin, report=report, cleared=_say_cleared
        )
    if json is not None:
        write_json(json, {"backup": str(out), **made.model_dump(mode="json")})
    if str(json) == "-":
        return
    size = sum(content.bytes for content in made.files.values())
    pictures = made.pictures
    screen.print(
        f"{escape(str(out))}: {made.inspections:,} inspections of {made.database} version {made.schema_version} in "
        f"{size / 1e6:,.1f} MB; they name {pictures.named:,} pictures of {pictures.bytes / 1e6:,.1f} MB"
        + ("" if pictures.copied is None else f", {pictures.copied:,} of them copied")
    )
    if pictures.missing:
        screen.print(
            f"[yellow]missing in {escape(str(store.path))}[/]: {pictures.missing:,}, those without a size in images.csv"
        )
    if pictures.changed:
        screen.print(f"[yellow]changed on disk or not readable[/]: {pictures.changed:,}, not copied")


def db_restore(
    backup: Annotated[Path, typer.Argument(help="Folder that `kizu db backup` made.")],
    config: ConfigOption = DEFAULT_CONFIG,
    postgresql_bin: ProgramsOption = None,
    json: JsonOption = None,
) -> None:
    """Bring a backup into the configured database, which must have no records. Example: kizu db restore backups/monday"""
    from kizu.config import load_config
    from kizu_db.backup.restore import restore_backup
    from kizu_db.image_store import ImageStore
    from kizu_db.migrations import head_version

    settings = load_config(config)
    store = ImageStore(settings.images.path)
    states: Counter[str] = Counter()
    first: dict[str, list[Finding]] = {}
    with TemporaryFile("w+", encoding="utf-8") as findings:

        def found(finding: Finding) -> None:
            findings.write(json_text.dumps(asdict(finding)) + "\n")
            states[finding.state] += 1
            if states[finding.state] <= SHOWN:
                first.setdefault(finding.state, []).append(finding)

        with _progress("Restoring") as report:
            restored = restore_backup(
                backup, settings.database, store,
                programs=postgresql_bin, report=report, cleared=_say_cleared, found=found,
            )  # fmt: skip
        older = restored.schema_version != head_version()
        if json is not None:
            head = {
                "backup": str(backup),
                "database": settings.database.shown,
                "schema_version": restored.schema_version,
                "upgrade_needed": older,
                "inspections": restored.inspections,
                "pictures": restored.pictures.named,
                "states": states,
            }
            _write_findings(json, head, findings)
    if str(json) == "-":
        return
    shown = escape(settings.database.shown)
    screen.print(f"{restored.inspections:,} inspections of {restored.made_at:%Y-%m-%d %H:%M} UTC are back in {shown}")
    if copied := states["copied"]:
        screen.print(f"{copied:,} pictures copied into {escape(str(store.path))}")
    for state in ("missing", "other size", "missing before"):
        if count := states[state]:
            screen.print(f"[yellow]{MEANINGS[state]}[/]: {count:,} of {restored.pictures.named:,} pictures")
            for finding in first[state]:
                size = "" if finding.found_bytes is None else f", {finding.found_bytes} bytes, not {finding.bytes}"
                screen.print(f"    {finding.sha256}{size}")
            if count > SHOWN:
                screen.print(f"    … and {count - SHOWN:,} more: --json lists them")
    if older:
        screen.print(f"The records are of version {restored.schema_version}, before {head_version()}. Run `kizu db upgrade`.")


@contextmanager
def _progress(what: str) -> Iterator[Report]:
    with progress_bar(what, None) as bar:
        yield lambda step, done, total: bar.update(bar.task_ids[0], completed=done, total=total or None, note=step)


def _say_cleared(path: Path) -> None:
    typer.echo(f"Removed what an earlier run left unfinished: {path}", err=True)


def _write_findings(target: Path, head: Mapping[str, Any], findings: IO[str]) -> None:
    """Write `head` and the list of findings, one a line of the file `findings`, as JSON, however many there are."""
    findings.seek(0)
    pieces = chain(
        [json_text.dumps(head, indent=2, ensure_ascii=False).removesuffix("\n}"), ',\n  "findings": ['],
        (f"{',' if number else ''}\n    {line.rstrip()}" for number, line in enumerate(findings)),
        ["\n  ]\n}\n"],
    )
    if str(target) == "-":
        for piece in pieces:
            typer.echo(piece, nl=False)
        return
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("w", encoding="utf-8") as out:
            out.writelines(pieces)
    except OSError as error:
        raise ConfigError("file cannot be written", found=str(error), expected="a place that can be written to") from None
