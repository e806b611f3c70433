"""Explains many pictures with every method and looks for what is left behind: memory, gradients, hooks, a changed model.

    python benchmarks/acceptance/explain_many.py [--explanations 2000] [--json FILE]

Untrained networks of each head. Now and then a call is a mistake that raises: a target that is no class, or features that the
network cannot read, which fails in the midst of the work. Exits 1 where the model is not as before, or where the process holds
more than 64 MiB more after the last explanation than after the first tenth; keeping the feature maps would take twice that.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch

from kizu_inspect.errors import MethodError
from kizu_inspect.explain import EXPLAINERS, explainer
from kizu_inspect.network.model import Architecture, Classifier, HeadSettings, build_classifier
from kizu_inspect.picture.inputs import InputSettings

LIMIT_MIB = 64
MISTAKE_EVERY = 19  # not a divisor of heads times methods: every pair has its turn


def resident_mib() -> float:
    """What this process holds in memory."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def state_of(model: Classifier) -> dict[str, object]:
    """Everything that an explanation must leave as it was."""
    return {
        "training": [module.training for module in model.modules()],
        "requires_grad": [parameter.requires_grad for parameter in model.parameters()],
        "gradients": [parameter.grad is None for parameter in model.parameters()],
        "hooks": sum(
            len(hooks)
            for module in model.modules()
            for hooks in (module._forward_hooks, module._forward_pre_hooks, module._backward_hooks, module._backward_pre_hooks)
        ),
        "weights": float(sum(value.double().sum() for value in model.state_dict().values())),
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Prints what was found as JSON; 0 when nothing was left behind."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--explanations", type=int, default=2000)
    parser.add_argument("--json", type=Path, help="file for the figures (default: standard output)")
    given = parser.parse_args(arguments)
    torch.manual_seed(0)
    inputs = InputSettings(height_px=128, width_px=128)
    models = [
        build_classifier(Architecture(head=HeadSettings.model_validate({"kind": kind})), inputs, classes=4, good=0).eval()
        for kind in ("evidence", "linear", "mlp", "lfi")
    ]
    before = [state_of(model) for model in models]
    images = torch.rand(2, 3, 128, 128)
    calls = made = refused = failed = 0
    settled = 0.0
    while made < given.explanations:
        for model in models:
            forward = model.explainable(images)
            for method in EXPLAINERS:
                calls += 1
                wrong_target = calls % MISTAKE_EVERY == 0
                unreadable = calls % MISTAKE_EVERY == MISTAKE_EVERY // 2
                seen = replace(forward, activations=forward.activations[:, 1:]) if unreadable else forward
                try:
                    explainer(method)(seen, torch.tensor([1, 9 if wrong_target else 2]))
                    made += len(images)
                except MethodError:  # a mistaken target, or a head that the method does not fit
                    refused += 1
                except RuntimeError:  # torch's own: channels that the head does not know
                    failed += 1
        if settled == 0 and made >= given.explanations // 10:
            settled = resident_mib()
    grown = resident_mib() - settled
    unchanged = [state_of(model) for model in models] == before
    figures = {
        "explanations": made, "refused": refused, "failed_midway": failed,
        "grown_mib": round(grown, 1), "model_unchanged": unchanged,
        "passed": unchanged and failed > 0 and grown < LIMIT_MIB,
    }  # fmt: skip
    text = json.dumps(figures, indent=2)
    if given.json is not None:
        given.json.write_text(text + "\n", encoding="utf-8")
    print(text)
    return 0 if figures["passed"] else 1


if __name__ == "__main__":
    raise SystemExit(main())
