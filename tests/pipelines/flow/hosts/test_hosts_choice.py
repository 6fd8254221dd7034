"""Which host is given a stage."""

from __future__ import annotations

import pytest

from pipelines.flow.hosts import choice
from pipelines.flow.hosts.choice import Hosts
from pipelines.flow.hosts.order import Offer, Seen
from pipelines.flow.needs import Room

INPUTS = {"big": {"d1": 1000, "d2": 10}, "small": {"d2": 10}}


def offer(number: int = 1, **values: object) -> Offer:
    return Offer(**{"instance": f"{number:032x}", "slots": 2, "cores": 4, "memory": 8 * 10**9, **values})  # type: ignore[arg-type]


def hosts(jobs: int = 0, **offers: Offer) -> Hosts:
    made = Hosts(jobs, lambda name: INPUTS.get(name, {}))
    made.see(Seen(name, each, "now", True) for name, each in offers.items())
    return made


def taken(pool: Hosts, name: str, room: Room | None = None) -> str | None:
    share = pool.take(name, room or Room(), 1)
    return share.host if share else None


def test_a_stage_goes_where_its_inputs_are() -> None:
    pool = hosts(one=offer(1), two=offer(2))
    pool.holds("two", {"d1": 1000})
    pool.holds("one", {"d2": 10})
    assert taken(pool, "big") == "two" and taken(pool, "small") == "one"


def test_and_where_there_is_room_when_there_is_none_left() -> None:
    pool = hosts(one=offer(1, slots=1), two=offer(2, slots=1))
    pool.holds("two", {"d1": 1000})
    assert [taken(pool, name) for name in ("big", "other", "more")] == ["two", "one", None]
    pool.give_back("big")
    assert taken(pool, "more") == "two"


def test_needs_choose_the_host() -> None:
    pool = hosts(
        small=offer(1),
        card=offer(2, gpus=("0",), labels=("gpu", "fast")),
        large=offer(3, memory=64 * 10**9, cores=32),
    )
    assert taken(pool, "a", Room(gpus=1)) == "card"
    assert taken(pool, "b", Room(label="fast")) == "card"
    assert taken(pool, "c", Room.model_construct(memory=32 * 10**9)) == "large"
    assert taken(pool, "d", Room(cores=16)) == "large"
    assert taken(pool, "e") == "small", "no card is taken in vain"


def test_what_no_host_can_make_is_told() -> None:
    pool = hosts(one=offer(1, labels=("fast",)))
    unfit = pool.unfit({"a": Room(label="gpu"), "b": Room(label="fast"), "c": Room(gpus=4)})
    assert unfit == {"a": "no host has the label 'gpu' (there are: fast)"}
    assert hosts().unfit({"a": Room()}) == {"a": "no host of the pool is at work"}
    pool.refuse("one", "it has another lock")
    assert pool.unfit({"a": Room()}) == {"a": "no host of the pool is at work (one: it has another lock)"}


def test_a_stage_waits_for_a_host_but_not_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    pool = hosts()
    assert pool.take("a", Room(), 1) is None
    monkeypatch.setattr(choice, "PATIENCE_S", 0.0)
    share = pool.take("a", Room(), 1)
    assert share is not None and share.host == ""


def test_a_host_without_a_sign_of_life_is_lost_and_comes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr(choice.time, "monotonic", lambda: now)
    pool = hosts(one=offer(1))
    now += 1000
    pool.see([Seen("one", offer(1), "now", True)])
    assert pool.names() == ["one"], "while the server was away nobody is lost"
    for _ in range(5):
        now += choice.LOOK_S
        pool.see([Seen("one", offer(1), "now", True)])
    assert not pool.alive("one", offer(1).instance) and not pool.names()
    pool.see([Seen("one", offer(1), "later", True)])
    assert pool.alive("one", offer(1).instance) and pool.names() == ["one"]
    pool.see([Seen("one", offer(2), "later", True)])
    assert not pool.alive("one", offer(1).instance), "started anew, it has lost what ran there"


def test_stages_at_once_in_the_whole_pool() -> None:
    pool = hosts(3, one=offer(1), two=offer(2))
    assert pool.jobs == 3
    assert [taken(pool, name) is not None for name in "abcd"] == [True, True, True, False]
    assert hosts(one=offer(1), two=offer(2)).jobs == 4


def test_exclusive_stages_have_a_host_of_their_own() -> None:
    pool = hosts(one=offer(1), two=offer(2))
    first = taken(pool, "a", Room(cores="all"))
    assert {first, taken(pool, "b", Room(cores="all"))} == {"one", "two"}
    assert taken(pool, "c") is None
