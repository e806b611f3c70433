"""Does the model itself care for what a map points at? Figures that ask it again about changed pictures."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from scipy.stats import spearmanr
from torch import Tensor, nn
from torchvision.transforms.v2.functional import gaussian_blur

from kizu_inspect.evaluation.figures import Figure, bootstrap, wilson
from kizu_inspect.network.heads import LfiHead
from kizu_inspect.network.model import Classifier

__all__ = ["Answers", "ask", "faithfulness_figures", "mean_correlation", "median_rank_correlation", "with_fresh_head"]

STEP_SHARE = 0.036
BLUR_PX, BLUR_SIGMA_PX = 51, 8.0


@dataclass(frozen=True)
class Answers:
    """What the model said of one picture and its changed versions; probabilities of the explained class."""

    whole: float
    shown: float
    """Of the picture times its map, normalised to its own maximum (Chattopadhyay et al., 2018)."""
    deletion: float
    """Area under the probability as the map's most important pixels give way to the training mean (Petsiuk et al., 2018)."""
    insertion: float
    """The same as they return into a blurred picture."""


def ask(
    predict: Callable[[Tensor], Tensor], image: Tensor, map_px: npt.NDArray[np.float32], target: int, *, mean: Tensor, seed: int
) -> Answers:
    """Asks about one picture (3, H, W) in [0, 1] and its map (H, W); `mean` (3, 1, 1) is the training pictures' colour.

    A map that is 0 everywhere shows nothing, and its order of pixels is drawn by `seed`, as are ties of any map.
    """
    heat = torch.from_numpy(map_px).to(image.device)
    highest = float(heat.max())
    normalised = heat / highest if highest > 0 else heat
    jitter = np.random.default_rng(seed).permutation(map_px.size)
    order = np.lexsort((jitter, -map_px.ravel()))
    rank = torch.empty(map_px.size, dtype=torch.int64)
    rank[torch.from_numpy(order)] = torch.arange(map_px.size)
    steps = round(1 / STEP_SHARE)
    edges = torch.linspace(0, map_px.size, steps + 1)
    taken = (rank.reshape(1, 1, *map_px.shape) < edges[:, None, None, None]).to(image.device)  # (S + 1, 1, H, W)
    blurred = gaussian_blur(image, [BLUR_PX, BLUR_PX], [BLUR_SIGMA_PX, BLUR_SIGMA_PX])
    asked = [image[None], (image * normalised)[None], torch.where(taken, mean, image), torch.where(taken, image, blurred)]
    with torch.no_grad():
        p = torch.cat([predict(part).float().softmax(dim=1)[:, target] for part in torch.split(torch.cat(asked), 16)])
    deleted, inserted = p[2 : steps + 3], p[steps + 3 :]
    return Answers(float(p[0]), float(p[1]), float(torch.trapezoid(deleted) / steps), float(torch.trapezoid(inserted) / steps))


def faithfulness_figures(answers: list[Answers]) -> dict[str, Figure]:
    """average_drop, increase, deletion and insertion of one method."""
    whole, shown, deletion, insertion = (
        np.array([getattr(one, name) for one in answers]) for name in ("whole", "shown", "deletion", "insertion")
    )
    drop = np.maximum(0, whole - shown) / np.maximum(whole, 1e-12)
    n = len(answers)
    return {
        "average_drop": bootstrap(n, lambda rows: float(drop[rows].mean())),
        "increase": wilson(int((shown > whole).sum()), n),
        "deletion": bootstrap(n, lambda rows: float(deletion[rows].mean())),
        "insertion": bootstrap(n, lambda rows: float(insertion[rows].mean())),
    }


def with_fresh_head(model: Classifier, method: str, *, seed: int) -> Classifier:
    """A copy whose head's weights are drawn anew: for LFI-CAM those of the importance network, which alone make its map."""
    fresh = copy.deepcopy(model)
    attending = fresh.branch or fresh.head
    part = attending.importance if method == "lfi-cam" and isinstance(attending, LfiHead) else fresh.head
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in part.parameters():
            drawn = torch.randn(parameter.shape, generator=generator).to(parameter)
            parameter.copy_(drawn * parameter.std(correction=0).clamp(min=0.01))
        for module in part.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.reset_running_stats()
    return fresh.eval()


def median_rank_correlation(before: Tensor, after: Tensor) -> Figure:
    """Of maps (N, h, w) with the model's own weights and with fresh ones (Adebayo et al., 2018); constant maps stay out."""
    pairs = zip(before.flatten(1).cpu().numpy(), after.flatten(1).cpu().numpy(), strict=True)
    found = np.array([spearmanr(one, other).statistic for one, other in pairs if np.ptp(one) > 0 and np.ptp(other) > 0])
    return bootstrap(len(found), lambda rows: float(np.median(found[rows])))


def mean_correlation(exact: Tensor, other: Tensor) -> Figure:
    """Pearson's, of maps (N, h, w) picture by picture; where the exact map is constant there is nothing to keep."""
    pairs = zip(exact.flatten(1).double().cpu().numpy(), other.flatten(1).double().cpu().numpy(), strict=True)
    found = np.array([np.corrcoef(one, two)[0, 1] if np.ptp(two) > 0 else 0.0 for one, two in pairs if np.ptp(one) > 0])
    return bootstrap(len(found), lambda rows: float(found[rows].mean()))
