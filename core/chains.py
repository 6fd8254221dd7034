"""Which variant is made of which: `base`, smaller ones made of it, and others made `of` these."""

from __future__ import annotations

from typing import Any

from core.errors import suggest

ROOT = "base"


def made_of(params: Any) -> dict[str, str]:
    """Each smaller variant of a task's params -> the variant that it is made of."""
    return {name: getattr(each, "of", ROOT) for name, each in _sections(params).items()}


def taught_by(params: Any) -> dict[str, str]:
    """Each smaller variant -> the variant whose outputs are its targets."""
    of = made_of(params)
    return {name: getattr(_sections(params)[name], "teacher", None) or parent for name, parent in of.items()}


def check(params: Any) -> None:
    """Raises: ValueError naming the first variant that is not made of `base`, over however many others, is made of one
    with single weights pruned, or learns from one that it is not made of."""
    of = made_of(params)
    for name, parent in of.items():
        if parent != ROOT and parent not in of:
            raise ValueError(f"variant {name} is made `of: {parent}`; {suggest(parent, [ROOT, *of])}")
        chain = [name]
        while chain[-1] != ROOT:
            chain.append(of[chain[-1]])
            if chain[-1] in chain[:-1]:
                told = " of ".join(chain)
                raise ValueError(f"variants are made of each other: {told}; one of them must be of `{ROOT}`")
    sparse = [name for name, each in _sections(params).items() if getattr(each, "pattern", "channels") != "channels"]
    for name, parent in of.items():
        if parent in sparse:
            raise ValueError(f"{name}.of: {parent} has weights that are zero, which {name} would train away")
    for name, teacher in taught_by(params).items():
        if teacher not in (known := ancestry(params, name)[:-1]):
            raise ValueError(f"{name}.teacher: found {teacher}, expected what it is made of: {' or '.join(known)}")


def ancestry(params: Any, variant: str) -> list[str]:
    """`base`, the variants over which `variant` is made of it, and itself."""
    of, chain = made_of(params), [variant]
    while chain[-1] != ROOT:
        chain.append(of[chain[-1]])
    return chain[::-1]


def _sections(params: Any) -> dict[str, Any]:
    """Settings of every smaller variant by its name."""
    return {**(getattr(params, "prune", None) or {}), **(getattr(params, "distill", None) or {})}
