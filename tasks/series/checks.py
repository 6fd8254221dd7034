"""Role `checks` of series: what is demanded of steps and splits, see `modalities.series.checks.steps`."""

from __future__ import annotations

from modalities.series.checks.steps import clean, expectations, refuse, tables

__all__ = ["clean", "expectations", "refuse", "tables"]  # of the role
