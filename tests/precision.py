"""In which precision the tests' models are trained: the same on every machine."""

from __future__ import annotations

import os
from typing import Final, Literal

__all__ = ["PRECISION"]

PRECISION: Final[Literal["float32", "bfloat16"]] = (
    "bfloat16" if os.environ.get("KIZU_TEST_PRECISION") == "bfloat16" else "float32"
)
"""`make test` runs the tests of the line and of tiles once more on models trained in bfloat16, as some machines do."""
