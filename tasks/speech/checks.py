"""Role `checks` of speech: what `validate` demands of recordings and of what is said in them."""

from __future__ import annotations

from modalities.audio.checks.recordings import clean, expectations, refuse, tables

__all__ = ["clean", "expectations", "refuse", "tables"]  # of the role
