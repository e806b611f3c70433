"""Takes the MQTT broker from a running `kizu run` while files keep coming, gives it back, and holds the events against rows.

    python benchmarks/acceptance/broker_away.py [--seconds 60] [--cases killed held] [--rate 5] [--json FILE]

    killed   the broker's process is killed, and started again
    held     it answers nothing, and the system goes on taking connections and bytes for it

Prints one JSON line a case. Exits 1 where a row has no event or two, events come in another order than rows, verdicts did not
go on meanwhile, or not all had arrived within 90 seconds of its return.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from away import UNDISTURBED, Camera
from kill_nine import untrained_bundle
from line_process import STATION, Line, concluded, eventually
from mqtt_broker import Broker, Heard, subscriber

ARRIVED_WITHIN_S = 90.0


@dataclass(frozen=True)
class Outcome:
    """What was found in one case."""

    case: str
    away_s: float
    rows: int
    files_while_away: int
    verdicts_while_away: int
    events: int
    """Different ones; receivers drop repeats by `event_id`."""
    repeats: int
    rows_without_event: int
    in_order: bool
    """Whether events arrived first in the order of their rows, with numbers that rise by one."""
    all_after_s: float | None
    """Time from the broker's return until every row's event had arrived."""
    exit_code: int

    @property
    def passed(self) -> bool:
        """Whether it cost time and nothing else."""
        return (
            self.events == self.rows > 0
            and self.in_order
            and self.verdicts_while_away > 0.9 * self.files_while_away - UNDISTURBED
            and self.all_after_s is not None
            and not (self.rows_without_event or self.exit_code)
        )


def observe(case: str, line: Line, broker: Broker, heard: Heard, *, away_s: float, rate: float) -> Outcome:
    """One case, from the first file to the last event."""
    line.start()
    camera = Camera(line.incoming, rate=rate)
    if not eventually(lambda: len(heard.events) >= UNDISTURBED, 60):
        raise SystemExit(f"{case}: nothing arrives; the line's log is {line.log}")
    files_before, said_before = len(camera.names), line.said("inspected")
    broker.kill() if case == "killed" else broker.hold()
    time.sleep(away_s)
    files_then, said_then = len(camera.names), line.said("inspected")
    broker.start() if case == "killed" else broker.let_go()
    back = time.monotonic()
    eventually(lambda: len(camera.names) >= files_then + UNDISTURBED, 60)
    camera.end()
    count = len(camera.names)
    arrived = eventually(lambda: len({one["event_id"] for one in heard.events}) >= count, ARRIVED_WITHIN_S)
    all_after_s = round(time.monotonic() - back, 1) if arrived else None
    exit_code = line.stop()
    rows = [row.uid for row in line.rows()]
    first = {one["event_id"]: one for one in heard.events}
    told = [one["inspection"] for one in first.values()]
    numbers = [one["seq"] for one in first.values()]
    return Outcome(
        case=case,
        away_s=away_s,
        rows=len(rows),
        files_while_away=files_then - files_before,
        verdicts_while_away=said_then - said_before,
        events=len(first),
        repeats=len(heard.events) - len(first),
        rows_without_event=len(set(rows) - set(told)),
        in_order=told == rows and numbers == list(range(numbers[0], numbers[0] + len(numbers))),
        all_after_s=all_after_s,
        exit_code=exit_code,
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the cases one after the other; 0 when all passed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60.0, help="for how long the broker is away")
    parser.add_argument("--cases", nargs="+", choices=["killed", "held"], default=["killed", "held"])
    parser.add_argument("--rate", type=float, default=5.0, help="files a second")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    given = parser.parse_args(arguments)
    root = Path(tempfile.mkdtemp(prefix="kizu-broker-"))
    bundle = untrained_bundle(root / "bundle")
    found: dict[str, dict[str, object]] = {}
    for case in given.cases:
        with Broker(root / f"broker-{case}") as broker, subscriber(broker.port, f"kizu/{STATION}/inspection") as heard:
            publish = {"kind": "mqtt", "host": "127.0.0.1", "port": broker.port, "keepalive_s": 5}
            line = Line(root / case, bundle, station={"publish": publish})
            outcome = observe(case, line, broker, heard, away_s=given.seconds, rate=given.rate)
        found[case] = {**asdict(outcome), "passed": outcome.passed}
        print(json.dumps(found[case]), flush=True)
    return concluded(found, root, json_file=given.json)


if __name__ == "__main__":
    sys.exit(main())
