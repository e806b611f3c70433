"""Pictures of which nobody has said anything: good ones, or such whose labels are lost."""

from __future__ import annotations

from collections.abc import Sequence

from kizu_inspect.labelled.annotated import Annotated
from kizu_inspect.labelled.choices import Unlabelled
from kizu_inspect.labelled.findings import Finding, a_few
from kizu_inspect.labelled.readers.reading import Reading

__all__ = ["without_unlabelled"]


def without_unlabelled(found: Sequence[Annotated], choice: Unlabelled, reading: Reading) -> list[Annotated]:
    """The pictures that are taken. What lies without labels beside labelled ones is good or forgotten: no file tells which.

    So that is refused until somebody says it. Pictures that the labels do name, with nothing marked, are good, and counted.
    """
    bare = [one for one in found if one.unlabelled]
    unmarked = [one for one in found if not one.unlabelled and not one.labels and not one.marks and one.mask is None]
    if bare:
        paths = tuple(one.path for one in bare)
        share = f"{len(bare)} of {len(found)}"
        if choice == "refuse":
            reading.report(
                Finding(
                    "unannotated", "pictures have no labels, and are good ones or such whose labels are lost",
                    found=f"{share}: {', '.join(path.name for path in paths[:3])}" + (", …" if len(paths) > 3 else ""),
                    expected="labels for each, empty ones where it is good",
                    next_step="Say --unlabelled good where they were all looked at, or --unlabelled leave-out.", pictures=paths,
                )
            )  # fmt: skip
        elif choice == "good":
            reading.report(
                Finding(
                    "unannotated", "pictures without labels count as good", found=share,
                    next_step="If one of them shows a defect, that defect will pass.", pictures=paths, severity="warning",
                )
            )  # fmt: skip
        else:
            reading.left_out |= dict.fromkeys(paths, "without labels")
            found = [one for one in found if not one.unlabelled]
    if unmarked:
        reading.report(
            Finding(
                "unmarked_good", "pictures on which nothing is marked count as good",
                found=a_few([one.path.name for one in unmarked]), pictures=tuple(one.path for one in unmarked),
                severity="warning",
            )
        )  # fmt: skip
    return list(found)
