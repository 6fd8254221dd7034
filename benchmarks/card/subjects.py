"""What is trained on the card: two presets for two epochs each, or small ones where it is only tried."""

from __future__ import annotations

from typing import NamedTuple

EPOCHS = 2
SIZES = (1, 32)
"""Batches that are timed through ONNX Runtime."""


class Subject(NamedTuple):
    name: str
    """Of its checkout in the folder that is brought along."""
    task: str
    preset: str
    unit: str
    """What is counted a second."""


CARD = (Subject("bccd", "detection", "bccd", "images"), Subject("tanaka", "translation", "tanaka", "tokens"))
CPU = (Subject("detection", "detection", "tiny", "images"), Subject("translation", "translation", "tiny", "tokens"))
"""The embedded sample: no data need be brought."""


def subjects(cpu: bool) -> tuple[Subject, ...]:
    return CPU if cpu else CARD


def named(name: str) -> Subject:
    return next(subject for subject in (*CARD, *CPU) if subject.name == name)
