"""kizu db: the care of the records."""

from __future__ import annotations

import json as text_of
from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table
from rich.text import Text

from kizu.console import (
    DEFAULT_CONFIG,
    ByOption,
    ConfigOption,
    JsonOption,
    ReasonOption,
    name_of,
    progress_bar,
    screen,
    write_json,
)

if TYPE_CHECKING:
    from kizu_db.retention import Pruned

__all__ = [
    "db_audit",
    "db_hold",
    "db_prune",
    "db_rebuild_rollups",
    "db_release",
    "db_stats",
    "db_upgrade",
    "db_verify",
]


def db_upgrade(config: ConfigOption = DEFAULT_CONFIG) -> None:
    """Bring the database to this version. Example: kizu db upgrade"""
    from kizu.config import load_config
    from kizu_db.migrations import upgrade

    settings = load_config(config).database
    upgrade(settings)
    screen.print(f"{settings.shown} is up to date")


def db_verify(
    config: ConfigOption = DEFAULT_CONFIG,
    images: Annotated[bool, typer.Option("--images", help="Also compare the image store with the records.")] = False,
    head: Annotated[
        str | None, typer.Option(help="Hash of an earlier last event: tells whether the trail still holds it.")
    ] = None,
    json: JsonOption = None,
) -> None:
    """Check that records and audit trail are as written; exit code 1 if not. Example: kizu db verify --images"""
    from kizu.config import load_config
    from kizu_db.image_store import ImageStore
    from kizu_db.records import Records
    from kizu_db.verifying import verify, verify_images

    settings = load_config(config)
    verified = verify(settings.database, head=head)
    findings = list(verified.findings)
    if images:
        with Records.open(settings.database) as records:
            findings += verify_images(records, ImageStore(settings.images.path))
    if json is not None:
        content = {"events": verified.events, "reviews": verified.reviews, "head": verified.head}
        write_json(json, content | {"findings": [asdict(finding) for finding in findings]})
    if str(json) != "-":
        for finding in findings:
            screen.print(str(finding), markup=False)
        screen.print(
            f"{verified.events} audit events and {verified.reviews} reviews: "
            f"{f'{len(findings)} findings' if findings else 'all as written'}; last event {verified.head}"
        )
    if findings:
        raise typer.Exit(1)


def db_audit(
    config: ConfigOption = DEFAULT_CONFIG,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="At most so many events.")] = 50,
    before: Annotated[int | None, typer.Option(min=1, max=2**62, help="Only events before this number.")] = None,
    json: JsonOption = None,
) -> None:
    """Show who changed what, newest first. Example: kizu db audit --limit 20"""
    from kizu.config import load_config
    from kizu_db.records import Records

    with Records.open(load_config(config).database) as records, records.unit(read_only=True) as unit:
        events = unit.trail.latest(limit=limit, before=before)
    if json is not None:
        write_json(json, {"events": [asdict(event) | {"at": event.at.isoformat()} for event in events]})
    if str(json) != "-":
        table = Table("", "when (UTC)", "who", "what", "about", "why", "before", "after", box=None)
        for event in events:
            states = (
                "" if state is None else text_of.dumps(state, ensure_ascii=False) for state in (event.before, event.after)
            )
            when = event.at.isoformat(sep=" ", timespec="seconds")
            about = f"{event.subject} {event.subject_id}"
            cells = (str(event.id), when, event.actor, event.action, about, event.reason, *(_short(state) for state in states))
            table.add_row(*(Text(cell) for cell in cells))
        screen.print(table)


def db_stats(config: ConfigOption = DEFAULT_CONFIG, json: JsonOption = None) -> None:
    """Tell how much is on record. Example: kizu db stats"""
    from kizu.config import load_config
    from kizu_db.stats import measure

    settings = load_config(config)
    stats = measure(settings.database)
    if json is not None:
        told = {name: value.isoformat() if isinstance(value, datetime) else value for name, value in asdict(stats).items()}
        write_json(json, told)
    if str(json) != "-":
        zone = settings.plant.zone
        screen.print(f"{settings.database.shown}, version {stats.version}, {stats.size_bytes / 1e6:,.1f} MB")
        for table, rows in stats.rows.items():
            screen.print(f"  {table:<16} {rows:>12,}")
        for name, when in (("first judged", stats.first_judged_at), ("last judged", stats.last_judged_at)):
            screen.print(f"{name}: {'–' if when is None else when.astimezone(zone).isoformat(sep=' ', timespec='seconds')}")
        screen.print(
            f"{stats.waiting:,} wait for a review, {stats.pending_explanations:,} for their map; "
            f"{stats.undelivered_events:,} events are not delivered; {stats.held_lots:,} lots are held; "
            f"{stats.pruned_images:,} pictures were let go"
        )
        screen.print(f"last audit event: {stats.trail_head or '–'}")


def db_prune(
    config: ConfigOption = DEFAULT_CONFIG,
    apply: Annotated[bool, typer.Option("--apply", help="Do it; without this it only says what would go.")] = False,
    by: ByOption = None,
    reason: ReasonOption = "retention",
    json: JsonOption = None,
) -> None:
    """Say what has been kept long enough, or let it go. Example: kizu db prune, then kizu db prune --apply"""
    from kizu.config import load_config
    from kizu_db.image_store import ImageStore
    from kizu_db.records import Records
    from kizu_db.retention import prune, what_is_due

    settings = load_config(config)
    with Records.open(settings.database, patient=True) as records:
        due = what_is_due(records, settings.retention)
        pruned = due
        if apply:
            with progress_bar("Pruning", due.records + due.passed_images + due.flagged_images) as bar:

                def show(done: Pruned) -> None:
                    bar.update(bar.task_ids[0], completed=done.records + done.passed_images + done.flagged_images)

                store = ImageStore(settings.images.path)
                pruned = prune(records, store, settings.retention, by=name_of(by), reason=reason, progress=show)
        with records.unit(read_only=True) as unit:
            held = unit.lots.held()
    if json is not None:
        write_json(json, {"applied": apply, **asdict(pruned), "held_lots": [lot.name for lot in held]})
    if str(json) != "-":
        went = "went" if apply else "would go"
        screen.print(
            f"{pruned.records:,} inspections with all that hangs on them {went}, and the pictures of "
            f"{pruned.passed_images:,} passed and {pruned.flagged_images:,} other parts"
        )
        for lot in held:
            screen.print(f"lot {lot.name or '(none)'} is held by {lot.by}: {lot.reason}", markup=False)
        if apply:
            screen.print(f"{pruned.files:,} picture files, {pruned.freed_bytes / 1e6:,.1f} MB")
        else:
            screen.print("Nothing was changed. Run it again with --apply to let them go.")


def db_hold(
    lot: Annotated[str, typer.Argument(help="The lot; empty text for parts of which no lot is known.")],
    reason: ReasonOption,
    config: ConfigOption = DEFAULT_CONFIG,
    by: ByOption = None,
) -> None:
    """Keep a lot from being pruned (legal hold). Example: kizu db hold L7 --reason "claim 4711" """
    from kizu.config import load_config
    from kizu_db.records import Records

    with Records.open(load_config(config).database) as records, records.unit() as unit:
        unit.lots.hold(lot, by=name_of(by), reason=reason)
    screen.print(f"lot {lot} is held", markup=False)


def db_release(
    lot: Annotated[str, typer.Argument(help="The lot.")],
    reason: ReasonOption,
    config: ConfigOption = DEFAULT_CONFIG,
    by: ByOption = None,
) -> None:
    """End a lot's legal hold. Example: kizu db release L7 --reason "claim 4711 is settled" """
    from kizu.config import load_config
    from kizu_db.records import Records

    with Records.open(load_config(config).database) as records, records.unit() as unit:
        unit.lots.release(lot, by=name_of(by), reason=reason)
    screen.print(f"lot {lot} is not held any more", markup=False)


def db_rebuild_rollups(config: ConfigOption = DEFAULT_CONFIG) -> None:
    """Count all inspections anew; a running line waits meanwhile. Example: kizu db rebuild-rollups"""
    from kizu.config import load_config
    from kizu_db.records import Records

    with Records.open(load_config(config).database, patient=True) as records, records.unit() as unit:
        unit.rollups.rebuild()
        counts = unit.rollups.verdicts()
    screen.print(f"{sum(counts.values()):,} inspections counted")


def _short(text: str, most: int = 60) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"
