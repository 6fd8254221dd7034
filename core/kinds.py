"""Kinds of kernels that are measured on a device, and without which its profile is none.

What decides how fast a kernel computes is whether it is a convolution of all channels, of single points, of each
channel alone, a product or a batch of small ones, and in 8 bits or not; of all others, how many bytes they move and
whether each of them goes through a function such as exp.
"""

from __future__ import annotations

CONVOLUTIONS = ("conv", "pointwise", "depthwise")
COMPUTING = (*CONVOLUTIONS, "product")
"""Kinds with multiply-adds; each is measured in fp32 and in int8."""
BATCHED = "batched"
"""Many small products of what was computed before, as attention has them; these stay in fp32."""
MOVING = ("elementwise", "function", "move")
"""Kinds that go by the bytes that they read and write; `elementwise` is measured in both, too."""
INT8 = "-int8"
"""How the name of a kind in 8 bits ends."""
PRECISIONS = ("", INT8)
UNKNOWN = "unknown"
"""A kind that is not measured, such as the suppression of overlapping boxes."""
ALL = (*(kind + end for kind in (*COMPUTING, "elementwise") for end in PRECISIONS), BATCHED, "function", "move")
