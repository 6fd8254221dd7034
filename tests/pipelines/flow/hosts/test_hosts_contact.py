"""A server that is away is told once, and once that it is back (`pipelines.flow.hosts.api.Contact`)."""

from __future__ import annotations

import pytest

from pipelines.flow.hosts.api import Contact, LostError


def test_each_change_is_told_once_and_other_errors_go_on() -> None:
    said: list[str] = []
    contact = Contact(said.append, "asking again")
    for reached in (True, False, False, True, True):
        with contact.kept():
            if not reached:
                raise LostError("refused")
        assert contact.lost is not reached
    assert said == ["the Prefect server does not answer (refused); asking again", "the Prefect server answers again"]
    with pytest.raises(ValueError, match="another"), contact.kept():
        raise ValueError("another")
