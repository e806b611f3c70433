"""What people decided, and what waits for them."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, CheckConstraint, ForeignKey, Index, Integer, String, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from kizu_db.tables.base import Base, row_id, words
from kizu_inspect.results import Verdict

__all__ = ["FREE", "TAKEN", "QueueTable", "ReviewBoxTable", "ReviewTable", "SecondReviewTable"]

FREE = text("claimed_by IS NULL")
TAKEN = text("claimed_by IS NOT NULL")
# The words of the queue's partial indexes, which a query must repeat to have the use of them.


class _Said:
    """What a person said of an inspection, looking at it once."""

    id: Mapped[int] = mapped_column(row_id, primary_key=True)
    inspection_id: Mapped[int] = mapped_column(row_id, ForeignKey("inspection.id"))
    reviewer: Mapped[str]
    disposition: Mapped[str] = mapped_column(String(16))
    defect_class: Mapped[str | None]
    decision: Mapped[str] = mapped_column(String(16))
    treatment: Mapped[str | None] = mapped_column(String(16))
    reason: Mapped[str]
    shown_ms: Mapped[int | None]
    nonce: Mapped[str]
    reviewed_at: Mapped[datetime]


class ReviewTable(_Said, Base):
    """What a person decided; the database refuses to change it, and to delete it but with its inspection, by retention."""

    __tablename__ = "review"
    __table_args__ = (
        UniqueConstraint("nonce"),
        UniqueConstraint("supersedes"),
        CheckConstraint("disposition IN ('good', 'defective')", name="disposition"),
        CheckConstraint("decision IN ('accept', 'override')", name="decision"),
        CheckConstraint("treatment IN ('accept', 'rework', 'scrap')", name="treatment"),
        Index(None, "inspection_id"),
        Index(None, "reviewer", "reviewed_at"),
        {"sqlite_autoincrement": True},  # the audit trail tells of a review by its id, also when it is pruned
    )

    supersedes: Mapped[int | None] = mapped_column(row_id, ForeignKey("review.id"))

    boxes: Mapped[list[ReviewBoxTable]] = relationship(lazy="raise", order_by="ReviewBoxTable.ordinal", viewonly=True)


class ReviewBoxTable(Base):
    """A defect that a reviewer drew, in pixels of the original picture, x2 and y2 exclusive; kept as the reviews are."""

    __tablename__ = "review_box"
    __table_args__ = (CheckConstraint("x1 >= 0 AND x1 < x2 AND y1 >= 0 AND y1 < y2", name="inside"),)

    review_id: Mapped[int] = mapped_column(row_id, ForeignKey("review.id"), primary_key=True, autoincrement=False)
    ordinal: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    x1: Mapped[int]
    y1: Mapped[int]
    x2: Mapped[int]
    y2: Mapped[int]
    defect_class: Mapped[str]


class SecondReviewTable(_Said, Base):
    """What another person said of a decided part, blind to the decision; it decides nothing. Kept as the reviews are."""

    __tablename__ = "second_review"
    __table_args__ = (
        UniqueConstraint("nonce"),
        CheckConstraint("disposition IN ('good', 'defective')", name="disposition"),
        CheckConstraint("decision IN ('accept', 'override')", name="decision"),
        CheckConstraint("treatment IN ('accept', 'rework', 'scrap')", name="treatment"),
        Index(None, "inspection_id"),
        Index(None, "reviewer", "reviewed_at"),
        {"sqlite_autoincrement": True},
    )

    boxes: Mapped[list[Any]] = mapped_column(JSON)
    """[[x1, y1, x2, y2, class], …], as the audit trail tells a review's."""


class QueueTable(Base):
    """What waits for a review, with who looks at it now and until when the claim holds. A review takes the row away.

    A decided part waits here again where another person is to judge it too."""

    __tablename__ = "review_queue"
    __table_args__ = (
        CheckConstraint("(claimed_by IS NULL) = (claim_expires_at IS NULL)", name="claim"),
        *(
            Index(f"ix_review_queue_free_{name}", *columns, sqlite_where=FREE, postgresql_where=FREE)
            for name, columns in (
                ("certainty", ("certainty", "inspection_id")),
                ("station", ("station", "certainty", "inspection_id")),
                ("defect_class", ("defect_class", "certainty", "inspection_id")),
            )
        ),
        Index("ix_review_queue_claimed", "claim_expires_at", sqlite_where=TAKEN, postgresql_where=TAKEN),
    )  # fmt: skip

    inspection_id: Mapped[int] = mapped_column(
        row_id, ForeignKey("inspection.id", ondelete="CASCADE"), primary_key=True, autoincrement=False
    )
    station: Mapped[str] = mapped_column(ForeignKey("station.name"))
    verdict: Mapped[Verdict] = mapped_column(words(Verdict, "verdict"))
    defect_class: Mapped[str | None]
    """What the model suspects."""
    certainty: Mapped[float]
    """|2·score − 1|, 0 to 1: how far from even the score is; 0 where there is none."""
    claimed_by: Mapped[str | None]
    claim_expires_at: Mapped[datetime | None]
    escalated_by: Mapped[str | None]
    """Who could not tell, and left it to others: each name with a line's end."""
    escalated_why: Mapped[str | None]
    """What they wrote, in that order, between record separators (U+001E)."""
    look: Mapped[str | None]
    """"second": decided, and to be judged again by who has not; "engineer": these disagree. NULL: not decided."""
    seen_by: Mapped[str | None]
    """Who judged it before, and is not offered it again: each name with a line's end."""
    blind_chance: Mapped[float | None]
    """0 to 1: below the share that is judged blind, a flagged part is shown without what the system thinks."""
