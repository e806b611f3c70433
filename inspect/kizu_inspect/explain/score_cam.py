"""Score-CAM: channels weighted by what the model says of the picture seen through them (Wang et al., CVPR workshops 2020).

https://arxiv.org/abs/1910.01279
"""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from kizu_inspect.explain.cells import sampled
from kizu_inspect.explain.contract import Maps, finish
from kizu_inspect.explain.gradients import gradient_of_head
from kizu_inspect.network.forward import Forward
from kizu_inspect.network.heads import weighted_sum
from kizu_inspect.picture.images import CellGeometry
from kizu_inspect.recipe import Masked

__all__ = ["score_cam"]

PIXELS_AT_ONCE = 8 * 224 * 224


def score_cam(
    forward: Forward,
    targets: Tensor,
    *,
    against: int | None = None,
    channels: int | None = None,
    softmax: bool = False,
    masked: Masked = "neutral",
    aligned_masks: bool = False,
    masks_at_once: int | None = None,
    precision: torch.dtype | None = None,
    compat: Literal["grad-cam"] | None = None,
) -> Maps:
    """L = ReLU Σ_k w_k A^k with w_k = f_c(X seen through s(Up(A^k))) − f_c(X_b): f the class probability, s min-max.

    In the paper X_b is black, and so is what a mask hides. A model that knows a golden picture finds a black place more
    striking than any defect: there a mask hides by showing the golden picture, unless `masked` says black. Where
    `Forward.masks_input` it lies on what the input profile makes of the picture, and hides behind what that makes of a picture
    without a defect: the profile's local contrast would otherwise see the mask's own edge, and a texture no neutral picture.

    A forward pass for each channel of each picture, `masks_at_once` of them together whatever picture they belong to (default:
    8 of 224 × 224 px, 24 of 128 × 128 px, so that memory stays bounded). The mask of a constant channel hides all and its
    weight is 0: it is left out. `channels` takes only so many of a picture's channels, those that Grad-CAM gives most
    evidence, and gives the others weight 0. `softmax` weighs by a softmax over the channels, where X_b cancels, as other
    libraries do. `aligned_masks` draws a mask's cells at their receptive fields' centres; the paper stretches the feature map
    over the picture, which shifts the masks of most backbones by some pixels. With `against` f is the probability of the
    target less that of this class. `precision` runs the forward passes in another type. `compat` is for comparison with the
    library `grad-cam`: the logit for f, a softmax over the channels, and masks with their corners on the picture's corners.
    """
    activations = forward.activations.float()
    with torch.no_grad():
        low, high = activations.flatten(2).aminmax(dim=2)  # (N, K)
        seen = high > low
        chosen = seen
        if channels is not None and channels < seen.shape[1]:
            evidence = (gradient_of_head(forward, targets, against=against) * activations).sum(dim=(2, 3))
            order = evidence.masked_fill(~seen, -torch.inf).topk(channels, dim=1).indices
            chosen = seen & torch.zeros_like(seen).scatter(1, order, True)

        predict = forward.predictor(precision)
        inside = forward.masks_input and masked == "neutral" and not compat

        def probability(images: Tensor, of: Tensor, pictures: Tensor | None, masks: Tensor | None = None) -> Tensor:
            references = None if forward.references is None or pictures is None else forward.references[pictures]
            if masks is not None:
                logits = predict(images, references, masks)
            else:
                logits = predict(images) if references is None else predict(images, references)
            p = logits.float() if compat else logits.float().softmax(dim=1)
            p = p.expand(len(of), -1)  # one picture serves all targets
            return p.gather(1, of[:, None])[:, 0] - (0 if against is None else p[:, against])

        blank = torch.zeros_like(forward.images[:1])  # (1, 3, H, W), or (N, 3, H, W) where each picture has its own
        shown_instead = forward.neutral if masked == "neutral" and not compat else None
        if shown_instead is not None:
            blank = blank + shown_instead
        size = forward.images.shape[2:]
        together = masks_at_once or max(1, PIXELS_AT_ONCE // (size[0] * size[1]))
        if inside:
            every = torch.split(torch.arange(len(targets), device=blank.device), together)
            none = torch.zeros(together, 1, *size, device=blank.device)
            hidden = torch.cat(
                [
                    targets[:0].float(),
                    *(probability(forward.images[some], targets[some], some, none[: len(some)]) for some in every),
                ]
            )
        elif forward.references is None and len(blank) == 1:
            hidden = probability(blank, targets, None)  # (N,)
        else:
            blank = blank.expand(len(forward.images), -1, -1, -1)
            every = torch.split(torch.arange(len(blank), device=blank.device), together)
            hidden = torch.cat([probability(blank[some], targets[some], some) for some in every]) if len(blank) else targets[:0]
        weights = torch.zeros_like(high)  # (N, K)
        pairs = chosen.nonzero()
        for rows in torch.split(pairs, together) if len(pairs) else ():
            picture, channel = rows.unbind(dim=1)
            small = activations[picture, channel][:, None]  # (M, 1, h, w)
            if aligned_masks and forward.cells is not None:
                masks = sampled(small, forward.cells, CellGeometry(), size)
            else:
                masks = F.interpolate(small, size=size, mode="bilinear", align_corners=bool(compat))
            least, most = (edge[:, None, None, None] for edge in masks.flatten(1).aminmax(dim=1))
            masks = (masks - least) / (most - least).clamp(min=torch.finfo(masks.dtype).tiny)  # (M, 1, H, W)
            if inside:
                seen_through = probability(forward.images[picture], targets[picture], picture, masks)
            else:
                behind = blank if len(blank) == 1 else blank[picture]
                shown = torch.lerp(behind, forward.images[picture], masks)
                seen_through = probability(shown, targets[picture], picture)
            weights[picture, channel] = seen_through - hidden[picture]
        if softmax or compat:
            skipped = seen & ~chosen
            weights = weights.masked_fill(skipped, -torch.inf).softmax(dim=1)
        return finish(forward, targets, weighted_sum(weights, activations))
