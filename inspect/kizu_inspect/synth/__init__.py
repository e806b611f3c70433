"""Draws brushed-metal plates with four holes, sound and defective, with pixel masks: for the demo, tests and benchmarks.

A part is drawn from two streams of random numbers: one for plate, surface, light and camera, one for the defect. With the same
seed, a sound and a defective part are therefore the same photograph but for the defect itself. No torch is needed.
"""

from kizu_inspect.synth.parts import KINDS, SMALLEST_PX, DrawnPart, draw_part
from kizu_inspect.synth.sets import DEFAULT_SPLITS, write_set

__all__ = ["DEFAULT_SPLITS", "KINDS", "SMALLEST_PX", "DrawnPart", "draw_part", "write_set"]
