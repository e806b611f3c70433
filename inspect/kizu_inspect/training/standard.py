"""The network that is trained unless another is asked for."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from kizu_inspect.network.heads import Readout
from kizu_inspect.network.model import Architecture
from kizu_inspect.picture.inputs import CELL_PX
from kizu_inspect.settings import Settings

__all__ = ["NetworkOptions", "standard_architecture"]

TOP_SHARE, SURFACE_TOP_SHARE = 0.01, 0.04
"""A logit that pools more cells than a defect has asks for evidence beside it. On drawn plates without places, 600 steps, 0.03
gave a pointing of 0.78 and an energy of 0.33, 0.01 gave 0.85 and 0.57, both at an accuracy above 0.99."""
IMPORTANCE_CELLS, IMPORTANCE_CHANNELS = 4, 32
"""The LFI branch's importance network sees cells of 16 px through 32 channels: a fraction of what the map's own would cost."""


class NetworkOptions(Settings):
    """What one rarely chooses of a network, as `standard_architecture` takes it."""

    cell_px: Literal[4, 8, 16] | None = Field(
        default=CELL_PX, title="Cells",
        description="Side of the maps' cells in px, from the network's stages fused; null: the last stage's map as it is.",
    )  # fmt: skip
    branch: bool = Field(
        default=True, title="Branch",
        description="Train an LFI-CAM branch beside the evidence head, so that all five methods fit.",
    )  # fmt: skip
    readout: Readout = Field(
        default="evidence", title="Readout",
        description="Of the LFI head: evidence, or published (pooling and a linear layer).",
    )  # fmt: skip
    bottleneck: int | None = Field(
        default=None, ge=1, title="Bottleneck",
        description="Inner channels of the LFI head's importance network; null: as many as suit the head.",
    )  # fmt: skip
    attends: bool = Field(
        default=True, title="Attends", description="False trains the LFI head without its attention, for comparison."
    )


def standard_architecture(
    backbone: str, profile: str, *, cell_px: int | None = CELL_PX, branch: bool = True, marked: bool = False, **head: Any
) -> Architecture:
    """What suits a backbone and an input profile; `head` are fields of HeadSettings.

    `marked`: places of defects are learned, which teach the branch's attention too. Where they are not, the branch's readout
    sees what it attends to alone, since nothing else ties the attention to the defect.

    A head that pools before it classifies (linear, mlp) reads the backbone's last map as it is, without a branch: its classes
    have no evidence of their own in a cell. Raises pydantic's ValidationError for what is not understood.
    """
    surface = profile == "surface"
    kind = head.get("kind", "evidence")
    if kind not in ("evidence", "lfi"):
        cell_px, branch = None, False
    attention: dict[str, Any] = {"branch": branch and kind == "evidence"}
    if cell_px is not None and (attention["branch"] or kind == "lfi"):
        attention["coarse"] = max(1, IMPORTANCE_CELLS * CELL_PX // cell_px)
    if attention["branch"]:
        attention |= {"bottleneck": IMPORTANCE_CHANNELS, "gated": not marked}
    given = {name: value for name, value in head.items() if value is not None}
    return Architecture.model_validate(
        {
            "backbone": backbone,
            "context": 1 if surface else 3,
            "cell_px": cell_px,
            "masks": "input",
            "head": {"top_share": SURFACE_TOP_SHARE if surface else TOP_SHARE, **attention, **given},
        }
    )
