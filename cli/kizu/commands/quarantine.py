"""kizu quarantine: the files that could not be read."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kizu.console import DEFAULT_CONFIG, ByOption, ConfigOption, JsonOption, ReasonOption, name_of, screen, write_json

if TYPE_CHECKING:
    from kizu.config import KizuConfig
    from kizu_db.values import QuarantinedFile
    from kizu_pipeline.aside import AsideFile
    from kizu_pipeline.settings import FolderSource

__all__ = ["quarantine_list", "quarantine_release", "quarantine_show"]


def quarantine_list(
    config: ConfigOption = DEFAULT_CONFIG,
    station: Annotated[str | None, typer.Option(help="Only this station.")] = None,
    released: Annotated[bool, typer.Option("--released", help="Also those that were given back.")] = False,
    limit: Annotated[int, typer.Option(min=1, max=100_000, help="At most so many.")] = 100,
    json: JsonOption = None,
) -> None:
    """List the files that could not be read, newest first. Example: kizu quarantine list --station press-3"""
    from kizu.config import load_config
    from kizu_db.records import Records

    settings = load_config(config)
    asides = _files_aside(settings)
    cut_off = [uid for uid, aside in asides.items() if aside.releasing is not None]
    with Records.open(settings.database) as records, records.unit(read_only=True) as unit:
        files = unit.quarantine.latest(station=station, released=released, limit=limit)
        begun = [file for uid in cut_off if (file := unit.quarantine.get(uid)) is not None]
    begun = [file for file in begun if file not in files and station in (None, file.station)]
    files = sorted(files + begun, key=lambda file: file.quarantined_at, reverse=True)[:limit] if begun else files
    if json is not None:
        write_json(json, {"files": [_told(file, asides.get(file.uid_inspection)) for file in files]})
    if str(json) != "-":
        for file in files:
            when = file.quarantined_at.astimezone(settings.plant.zone).isoformat(sep=" ", timespec="seconds")
            state = _state(file, asides.get(file.uid_inspection))
            screen.print(f"{file.uid_inspection}  {when}  {file.station}  {file.name}  {state}", markup=False)
            screen.print(f"    {file.error}", markup=False)
        if not files:
            screen.print("Nothing is in quarantine.")


def quarantine_show(
    name: Annotated[str, typer.Argument(metavar="UID|NAME", help="The inspection, or the file's name.")],
    config: ConfigOption = DEFAULT_CONFIG,
    json: JsonOption = None,
) -> None:
    """Show all that is known of a file that could not be read. Example: kizu quarantine show P17.png"""
    from json import dumps

    from kizu.config import load_config
    from kizu_db.records import Records
    from kizu_inspect.errors import RecordError

    settings = load_config(config)
    asides = _files_aside(settings)
    with Records.open(settings.database) as records, records.unit(read_only=True) as unit:
        files = unit.quarantine.named(name)
        if not files:  # put aside under another name, since that one was taken
            uids = [uid for uid, aside in asides.items() if aside.path.name == name]
            files = [file for uid in uids if (file := unit.quarantine.get(uid)) is not None]
    if not files:
        raise RecordError(
            "There is no such file", found=repr(name), expected="a uid or file name of `kizu quarantine list --released`"
        )
    told = [_told(file, asides.get(file.uid_inspection), whole=True) for file in files]
    if json is not None:
        write_json(json, {"files": told})
    if str(json) != "-":
        for one in told:
            for key, value in one.items():
                text = (
                    dumps(value, indent=2, ensure_ascii=False)
                    if isinstance(value, Mapping)
                    else "–"
                    if value is None
                    else value
                )
                screen.print(f"{key + ':':<16} {text}", markup=False)
            screen.print()


def quarantine_release(
    reason: ReasonOption,
    uids: Annotated[
        list[str] | None, typer.Argument(metavar="UID…", help="Inspections whose files are to be judged anew.")
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="All that lie in the station's quarantine.")] = False,
    station: Annotated[str | None, typer.Option(help="Whose quarantine (default: the configured station's).")] = None,
    config: ConfigOption = DEFAULT_CONFIG,
    by: ByOption = None,
    json: JsonOption = None,
) -> None:
    """Put files back, to be judged anew. Example: kizu quarantine release --all --reason "disk repaired" """
    from kizu.config import load_config
    from kizu_db.records import Records
    from kizu_inspect.errors import ConfigError, KizuError, NotAllowed, RecordsAway
    from kizu_pipeline.naming import printable
    from kizu_pipeline.releasing import open_releasing

    if every == bool(uids):
        raise ConfigError("it is not clear what to release", found="both" if uids else "neither", expected="UIDs, or --all")
    settings = load_config(config)
    name, source = _watched(settings, station)
    released: dict[str, str] = {}
    failed: dict[str, str] = {}
    ended_by: KizuError | None = None
    with Records.open(settings.database) as records, open_releasing(records, source, station=name) as releasing:
        for uid in dict.fromkeys(uids or releasing.waiting()):
            try:
                released[uid] = printable(releasing.release(uid, by=name_of(by), reason=reason))
            except (NotAllowed, RecordsAway) as error:  # as for all that follow
                ended_by = error
                break
            except KizuError as error:
                failed[uid] = str(error)
    if json is not None:
        write_json(json, {"released": released, "failed": failed})
    if str(json) != "-":
        for uid, file in released.items():
            screen.print(f"{uid} is back in the watched folder as {file}", markup=False)
        if not released and not failed and ended_by is None:
            screen.print("Nothing is in quarantine.")
    for why in failed.values():
        typer.echo(f"kizu: {why}", err=True)
    if ended_by is not None:
        raise ended_by
    if failed:
        raise typer.Exit(1)


def _watched(settings: KizuConfig, station: str | None) -> tuple[str, FolderSource]:
    """The station and its watched folder. Raises ConfigError."""
    from kizu_inspect.errors import ConfigError
    from kizu_pipeline.settings import FolderSource

    configured = settings.of(station).station
    assert configured is not None  # `of` found it
    if not isinstance(configured.source, FolderSource):
        raise ConfigError(
            f"station {configured.id} has no watched folder", found=f"kind: {configured.source.kind}", expected="kind: folder",
            next_step="Frames of a camera have no file that could be judged anew.",
        )  # fmt: skip
    return configured.id, configured.source


def _files_aside(settings: KizuConfig) -> Mapping[str, AsideFile]:
    """What lies in the configured stations' quarantine, by inspection."""
    from kizu_pipeline.aside import files_aside
    from kizu_pipeline.settings import FolderSource

    found: dict[str, AsideFile] = {}
    for one in settings.every_station:
        if isinstance(one.source, FolderSource):
            found |= files_aside(one.source.quarantine)
    return found


def _state(file: QuarantinedFile, aside: AsideFile | None) -> str:
    if aside is not None and aside.releasing is not None:
        return "release cut off"
    if file.released_at is not None:
        return f"released by {file.released_by}"
    return "in quarantine" if aside is not None and aside.is_there else "no file here"


def _told(file: QuarantinedFile, aside: AsideFile | None, *, whole: bool = False) -> dict[str, Any]:
    from kizu_pipeline.naming import printable

    there = aside if aside is not None and aside.is_there else None
    told: dict[str, Any] = {
        "inspection": file.uid_inspection,
        "name": file.name,
        "station": file.station,
        "part": file.part,
        "error": file.error,
        "quarantined_at": file.quarantined_at.isoformat(),
        "state": _state(file, aside),
        "released_at": None if file.released_at is None else file.released_at.isoformat(),
        "released_by": file.released_by,
        "file": None if there is None else printable(there.path.absolute()),
    }
    if whole:
        told |= {
            "picture": None if there is None else _picture(there.path),
            "note": None if aside is None else dict(aside.note),
        }
    return told


def _picture(path: Path) -> str | None:
    """Format and size as the file's header has it; None where it has none. Nothing is decoded: that may be what went wrong."""
    from PIL import Image

    if path.is_symlink() or not path.is_file():
        return None
    Image.MAX_IMAGE_PIXELS = None  # how large a bomb would become is what one wants to know
    try:
        with Image.open(path) as picture:
            return f"{picture.format}, {picture.width} × {picture.height} px"
    except (OSError, SyntaxError, ValueError):
        return None
