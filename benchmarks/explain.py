"""What an explanation costs beside the forward pass that it explains: ours, and those of `grad-cam` and `torchcam`.

    python benchmarks/explain.py [--backbone resnet18] [--size 224] [--threads 2] [--rounds 15] [--quick] [--memory resnet50]

One network, one picture and a batch of 16. In each round every candidate runs once, in turn, so that what else the machine
does falls on all alike; a figure is the ratio of medians over the rounds. `ratio.<method>.b1/b16` is forward pass and
explanation over the forward pass alone (1.00: the explanation is free); `peer.<library>.<method>.b1/b16` is the same for a
peer. `ratio.region-check` is the forward pass with the check of a map: the picture without the map's region, without as much
elsewhere, and that region alone, judged again. Score-CAM's ratio is that of one picture's whole map, a forward pass a
channel. `score_speedup` says how many times faster ours is than grad-cam's on the network as torchvision makes it
(`_same_layout`: on one already in our memory layout), in float32 and, where the machine has it, in bfloat16;
`score_correlation` is the least correlation of the bfloat16 maps with the float32 ones. `--quick` leaves Score-CAM out.

`memory_mib.<method>` and `memory_mib.<library>.<method>` say by how much one picture's explanation raises the peak memory of
a fresh process above that of the forward pass (`--memory resnet50` takes them on that network; CPU only).
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import torch
from pytorch_grad_cam import GradCAM as PeerGradCAM
from pytorch_grad_cam import GradCAMPlusPlus as PeerGradCAMpp
from pytorch_grad_cam import ScoreCAM as PeerScoreCAM
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
from torch import Tensor
from torchcam import methods as torchcam

from kizu_inspect.explain import explainer
from kizu_inspect.explain.region_check import TakenAway
from kizu_inspect.explain.score_cam import score_cam
from kizu_inspect.network.devices import quick_precision
from kizu_inspect.network.model import Architecture, Classifier, HeadSettings, build_classifier
from kizu_inspect.picture.inputs import InputSettings
from kizu_inspect.results import MapStatus

CHEAP = ("cam", "grad-cam", "grad-cam++", "lfi-cam")
PEERS = {
    "grad-cam": {"grad-cam": PeerGradCAM, "grad-cam++": PeerGradCAMpp},
    "torchcam": {"cam": torchcam.CAM, "grad-cam": torchcam.GradCAM, "grad-cam++": torchcam.GradCAMpp},
}
Work = Callable[[], object]


def network(backbone: str, size: int, *, head: str) -> Classifier:
    """An untrained network of six classes: its speed is that of a trained one."""
    torch.manual_seed(0)
    inputs = InputSettings(height_px=size, width_px=size, profile="plain")
    settings = HeadSettings.model_validate({"kind": head, "bottleneck": 64 if head == "lfi" else None})
    return build_classifier(Architecture(backbone=backbone, head=settings), inputs, classes=6, good=0).eval()


def interleaved(candidates: dict[str, Work], rounds: int) -> dict[str, float]:
    """Median seconds of each candidate, all of them once a round."""
    taken: dict[str, list[float]] = {name: [] for name in candidates}
    for number in range(rounds + 2):
        for name, work in candidates.items():
            begun = time.perf_counter()
            work()
            if torch.cuda.is_available():
                torch.cuda.synchronize()
            if number >= 2:  # the first rounds set up memory and kernels
                taken[name].append(time.perf_counter() - begun)
    return {name: statistics.median(times) for name, times in taken.items()}


def ours(model: Classifier, images: Tensor, targets: Tensor, method: str) -> Work:
    """Forward pass and map."""
    explain = explainer(method)
    return lambda: explain(model.explainable(images), targets)


def checked(model: Classifier, images: Tensor) -> Work:
    """Forward pass and the three pictures that are judged again, a quarter of the picture being the map's region."""
    predict = model.predictor(quick_precision(images.device))
    hot = torch.zeros(len(images), *images.shape[2:], dtype=torch.bool, device=images.device)
    hot[:, : images.shape[2] // 2, : images.shape[3] // 2] = True

    def work() -> object:
        forward = model.explainable(images)
        taken = TakenAway(images, field_px=model.cells.field_px, neutral=forward.neutral)
        changed = [*taken.without_and_only(hot), taken.without_and_only(hot.flip(1, 2))[0]]
        return [predict(pictures, forward.references) for pictures in changed]

    return work


def peer(library: str, kind: Any, model: Classifier, images: Tensor, targets: Tensor) -> Work:
    """A peer's forward pass and map, its hooks set once."""
    if library == "grad-cam":
        cam = kind(model=model, target_layers=[model.backbone])
        wanted = [ClassifierOutputTarget(int(target)) for target in targets]
        return lambda: cam(images, wanted)
    extractor = kind(model, model.backbone, **({"fc_layer": "head.linear"} if kind is torchcam.CAM else {}))
    classes = targets.tolist()

    def work() -> object:
        with torch.set_grad_enabled(kind is not torchcam.CAM):
            return extractor(classes, model(images))

    return work


def cheap_methods(backbone: str, size: int, batch: int, rounds: int, device: torch.device) -> dict[str, float]:
    """`ratio.…` and `peer.…` of one batch size."""
    images = torch.rand(batch, 3, size, size, device=device).contiguous(memory_format=torch.channels_last)
    targets = (torch.arange(batch, device=device) % 5) + 1
    figures = {}
    linear, lfi = (network(backbone, size, head=head).to(device) for head in ("linear", "lfi"))
    for model, methods in ((linear, [m for m in CHEAP if m != "lfi-cam"]), (lfi, ["lfi-cam"])):
        candidates: dict[str, Work] = {"forward": lambda model=model: model.explainable(images)}
        candidates |= {f"ratio.{method}": ours(model, images, targets, method) for method in methods}
        if model is linear:
            candidates["ratio.region-check"] = checked(model, images)
        times = interleaved(candidates, rounds)
        figures |= {f"{name}.b{batch}": value / times["forward"] for name, value in times.items() if name != "forward"}
    for library, methods_of in PEERS.items():
        for method, kind in methods_of.items():
            model = network(backbone, size, head="linear").to(device)  # a peer's hooks stay on its own network
            plain = network(backbone, size, head="linear").to(device)
            work = {
                "forward": lambda plain=plain: plain.explainable(images),
                "peer": peer(library, kind, model, images, targets),
            }
            times = interleaved(work, rounds)
            figures[f"peer.{library}.{method}.b{batch}"] = times["peer"] / times["forward"]
    return figures


def correlation(model: Classifier, images: Tensor) -> float:
    """The least correlation of a class's Score-CAM in bfloat16 with that in float32, of the classes that have a map."""
    every = images.expand(6, -1, -1, -1)
    targets = torch.arange(6, device=images.device)
    full, half = (score_cam(model.explainable(every), targets, precision=kind) for kind in (None, torch.bfloat16))
    pairs = torch.stack([full.values.flatten(1), half.values.flatten(1)], dim=1)  # (6, 2, h·w)
    return min(
        float(torch.corrcoef(pair)[0, 1]) for pair, status in zip(pairs, full.status, strict=True) if status is MapStatus.OK
    )


def masked_method(backbone: str, size: int, rounds: int, device: torch.device) -> dict[str, float]:
    """Score-CAM of one picture: ours in float32 and bfloat16, and both peers'."""
    images = torch.rand(1, 3, size, size, device=device).contiguous(memory_format=torch.channels_last)
    targets = torch.tensor([1], device=device)
    model, hooked, quick, other = (network(backbone, size, head="linear").to(device) for _ in range(4))
    hooked, other = (net.to(memory_format=torch.contiguous_format) for net in (hooked, other))  # as torchvision makes them
    plain = images.contiguous(memory_format=torch.contiguous_format)
    peer_cam = PeerScoreCAM(model=hooked, target_layers=[hooked.backbone])
    quick_cam = PeerScoreCAM(model=quick, target_layers=[quick.backbone])
    other_cam = torchcam.ScoreCAM(other, other.backbone, batch_size=16)
    candidates: dict[str, Work] = {
        "forward": lambda: model.explainable(images),
        "ratio.score-cam.b1": lambda: score_cam(model.explainable(images), targets),
        "peer.grad-cam.score-cam.b1": lambda: peer_cam(plain, [ClassifierOutputTarget(1)]),
        "peer.grad-cam-in-our-layout.score-cam.b1": lambda: quick_cam(images, [ClassifierOutputTarget(1)]),
        "peer.torchcam.score-cam.b1": lambda: other_cam([1], other(plain)),
    }
    figures: dict[str, float] = {}
    if device.type == "cuda" or torch.ops.mkldnn._is_mkldnn_bf16_supported():
        candidates["ratio.score-cam-bfloat16.b1"] = lambda: score_cam(
            model.explainable(images), targets, precision=torch.bfloat16
        )
        figures["score_correlation.bfloat16"] = correlation(model, images)
    times = interleaved(candidates, rounds)
    figures |= {name: value / times["forward"] for name, value in times.items() if name != "forward"}
    for peer, suffix in (("grad-cam", ""), ("grad-cam-in-our-layout", "_same_layout")):
        for kind, name in (("float32", "ratio.score-cam.b1"), ("bfloat16", "ratio.score-cam-bfloat16.b1")):
            if name in times:
                figures[f"score_speedup{suffix}.{kind}"] = times[f"peer.{peer}.score-cam.b1"] / times[name]
    return figures


def peak_mib() -> float:
    """The most memory that this process ever held; getrusage would count what its parent held too."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM")) / 1024


def one_explanation(backbone: str, size: int, candidate: str) -> float:
    """MiB by which explaining one picture raises this process's peak memory above that of a forward pass."""
    library, _, method = candidate.rpartition(".")
    model = network(backbone, size, head="lfi" if method == "lfi-cam" else "linear")
    images, targets = torch.rand(1, 3, size, size).contiguous(memory_format=torch.channels_last), torch.tensor([1])
    model.explainable(images)
    before = peak_mib()
    kind = PEERS.get(library, {}).get(method)
    if library and method == "score-cam":
        kind = PeerScoreCAM if library == "grad-cam" else torchcam.ScoreCAM
    (peer(library, kind, model, images, targets) if library else ours(model, images, targets, method))()
    return peak_mib() - before


def memory(backbone: str, size: int) -> dict[str, float]:
    """`memory_mib.…` of every method and peer, each in a process of its own."""
    candidates = [*CHEAP, "score-cam"]
    candidates += [f"{library}.{method}" for library, methods in PEERS.items() for method in (*methods, "score-cam")]
    context = multiprocessing.get_context("spawn")
    figures = {}
    for candidate in candidates:
        with ProcessPoolExecutor(1, mp_context=context) as pool:
            figures[f"memory_mib.{candidate}"] = round(pool.submit(one_explanation, backbone, size, candidate).result(), 1)
    return figures


def main(arguments: Sequence[str] | None = None) -> int:
    """Prints the figures as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--backbone", default="resnet18")
    parser.add_argument("--size", type=int, default=224, help="side of the pictures in px")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--quick", action="store_true", help="leave Score-CAM out")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--memory", metavar="BACKBONE", help="measure memory on this network too")
    parser.add_argument("--json", type=Path, help="file for the figures (default: standard output)")
    given = parser.parse_args(arguments)
    torch.set_num_threads(given.threads)
    device = torch.device(given.device)
    figures: dict[str, Any] = {
        "backbone": given.backbone, "size_px": given.size, "threads": given.threads, "device": given.device,
    }  # fmt: skip
    for batch in (1, 16):
        figures |= cheap_methods(given.backbone, given.size, batch, given.rounds, device)
    if not given.quick:
        figures |= masked_method(given.backbone, given.size, max(1, given.rounds // 5), device)
    if given.memory is not None:
        figures |= memory(given.memory, given.size)
    text = json.dumps(figures, indent=2)
    if given.json is not None:
        given.json.write_text(text + "\n", encoding="utf-8")
    else:
        print(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
