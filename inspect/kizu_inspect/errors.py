"""Everything Kizu raises on purpose.

    KizuError                    exit 1: the work failed
    ├── ImageError               one picture cannot be judged; recorded, the line goes on
    ├── RecordError              the database refused or lost a write
    │   ├── AlreadyInspected     this piece of work has its row already
    │   ├── RecordRefused        what is to be written is at fault: the same would be refused again
    │   └── RecordsAway          database or image store cannot be had now; the same may work later
    ├── ReceiverAway             the receiver of events cannot be had now; they wait
    ├── EventRefused             the receiver will not have one event
    ├── SignalAway               the line's control cannot be reached now; its parts are NG meanwhile
    ├── EndedEarly               exit 130: somebody ended the work before it had come to anything
    └── UserError                exit 2: a mistake in the call, the configuration or the data handed in
        ├── ConfigError          a setting
        ├── BundleError          a model bundle: missing, changed, not understood
        ├── DataError            training or evaluation data
        ├── MethodError          an explanation method: unknown, not built, or not fit for this model
        ├── SourceError          a folder or camera that is not there
        ├── NotAllowed           a person without the role for it
        └── SchemaError          a database from another version

A message says what is wrong, what was found, what was expected, and the next step, in one line.
"""

from __future__ import annotations

__all__ = [
    "AlreadyInspected",
    "BundleError",
    "ConfigError",
    "DataError",
    "EndedEarly",
    "EventRefused",
    "ImageError",
    "KizuError",
    "MethodError",
    "NotAllowed",
    "ReceiverAway",
    "RecordError",
    "RecordRefused",
    "RecordsAway",
    "SchemaError",
    "SignalAway",
    "SourceError",
    "UserError",
]


class KizuError(Exception):
    """A failure with a message for a person: `what: found …; expected …. Next step.`"""

    exit_code = 1

    def __init__(self, what: str, *, found: object = None, expected: object = None, next_step: str | None = None) -> None:
        self.what, self.found, self.expected, self.next_step = what, found, expected, next_step
        details = [f"{name} {value}" for name, value in (("found", found), ("expected", expected)) if value is not None]
        message = what + (": " + "; ".join(details) if details else "")
        if next_step is not None:
            message = f"{message.rstrip('.')}. {next_step}"
        super().__init__(" ".join(message.split()))


class ImageError(KizuError):
    """One picture cannot be judged."""


class RecordError(KizuError):
    """The database refused or lost a write."""


class AlreadyInspected(RecordError):  # noqa: N818 - it is a state more than a failure
    """This (source, source key) has its inspection already."""


class RecordRefused(RecordError):  # noqa: N818 - it is an answer more than a failure
    """The database is there, and will not have what is to be written; the same would be refused again."""


class RecordsAway(RecordError):  # noqa: N818 - it is a state more than a failure
    """The database or the image store cannot be had now; the same work may succeed later, unchanged."""


class ReceiverAway(KizuError):  # noqa: N818 - it is a state more than a failure
    """The receiver of events cannot be had now, or takes none at all; the same events may be taken later, unchanged."""


class EventRefused(KizuError):  # noqa: N818 - it is an answer more than a failure
    """The receiver has looked at one event and will not have it."""


class SignalAway(KizuError):  # noqa: N818 - it is a state more than a failure
    """The line's control (a PLC) cannot be reached now; the same may succeed later."""


class EndedEarly(KizuError):  # noqa: N818 - it is an answer more than a failure
    """Somebody ended the work (Ctrl-C, SIGTERM) before it had come to anything that can be used."""

    exit_code = 130


class UserError(KizuError):
    """A mistake in the call, the configuration or the data handed in."""

    exit_code = 2


class ConfigError(UserError):
    """A setting is wrong."""


class BundleError(UserError):
    """A model bundle is missing, changed or not understood."""


class DataError(UserError):
    """Training or evaluation data is wrong."""


class MethodError(UserError):
    """An explanation method is unknown, not built, or does not fit the model."""


class SourceError(UserError):
    """A folder or camera is not there."""


class NotAllowed(UserError):  # noqa: N818 - it is an answer more than a failure
    """A person asks for what their role may not do."""


class SchemaError(UserError):
    """The database has another version than this program."""
