from __future__ import annotations

from pipelines.flow.needs import Room
from pipelines.flow.slots import Slots, visible_gpus

GB = 10**9


def test_free_cores_are_divided_among_those_that_could_start() -> None:
    slots = Slots(jobs=4, cores=8, memory=GB)
    shares = [slots.take(name, Room(), rivals) for name, rivals in (("a", 3), ("b", 2), ("c", 1))]
    assert [share.threads for share in shares if share] == [2, 3, 3]
    slots.give_back("a")
    alone = Slots(jobs=4, cores=8, memory=GB).take("a", Room(), 1)
    assert alone is not None and alone.threads == 8
    assert alone.environment(False)["STILLHOUSE_THREADS"] == alone.environment(False)["OMP_NUM_THREADS"] == "8"


def test_at_most_so_many_at_once_even_without_free_cores() -> None:
    slots = Slots(jobs=3, cores=1, memory=GB)
    taken = [slots.take(name, Room(), 4) for name in "abcd"]
    assert [share and share.threads for share in taken] == [1, 1, 1, None]


def test_what_measures_latency_runs_alone() -> None:
    slots = Slots(jobs=8, cores=4, memory=GB)
    assert slots.take("a", Room(), 2) is not None
    assert slots.take("measure", Room(cores="all"), 1) is None
    slots.give_back("a")
    alone = slots.take("measure", Room(cores="all"), 2)
    assert alone is not None and alone.threads == 4
    assert slots.take("b", Room(), 1) is None


def test_asked_cores_and_memory_are_not_given_twice() -> None:
    slots = Slots(jobs=8, cores=4, memory=8 * GB)
    assert slots.take("a", Room(cores=3, memory="5GB"), 1) is not None
    assert slots.take("b", Room(cores=2), 1) is None
    assert slots.take("c", Room(cores=1, memory="4GB"), 1) is None
    assert slots.take("d", Room(cores=1, memory="3GB"), 1) is not None


def test_what_learns_has_its_threads_and_others_what_is_left() -> None:
    """docs/faults.md 153: never fewer because another one runs, and nobody computes on its cores meanwhile."""
    learns = Room(cores=2)
    two = Slots(jobs=2, cores=2, memory=GB)
    assert two.take("a", Room(), 1) is not None  # has both, but asked for none
    learner = two.take("train", learns, 1)
    assert learner is not None and learner.threads == 2
    two.give_back("a")
    assert two.take("b", Room(), 1) is None and two.take("prune", learns, 1) is None
    three = Slots(jobs=3, cores=3, memory=GB)
    taken = [three.take(name, room, 3) for name, room in (("train", learns), ("a", Room()), ("b", Room()))]
    assert [share and share.threads for share in taken] == [2, 1, None]
    assert three.take("prune", learns, 1) is None
    eight = Slots(jobs=8, cores=8, memory=GB)
    shares = [eight.take(name, room, 4) for name, room in (("x", learns), ("y", learns), ("a", Room()), ("b", Room()))]
    assert [share and share.threads for share in shares] == [2, 2, 1, 1]
    one = Slots(jobs=4, cores=1, memory=GB).take("train", learns, 4)
    assert one is not None and one.threads == 1  # torch's threads are two all the same


def test_more_than_the_machine_has_runs_alone_instead_of_never() -> None:
    slots = Slots(jobs=8, cores=4, memory=8 * GB)
    assert slots.take("large", Room(memory="100GB"), 1) is not None
    slots.give_back("large")
    assert slots.take("wide", Room(cores=64), 1) is not None
    assert slots.take("b", Room(), 1) is None


def test_gpus_go_to_one_stage_each_unless_both_share() -> None:
    slots = Slots(jobs=8, gpus=("0", "GPU-b"), cores=16, memory=GB)
    first, second = (slots.take(name, Room(gpus=1), 8) for name in "ab")
    assert first and second and {*first.gpus, *second.gpus} == {"0", "GPU-b"}
    assert slots.take("c", Room(gpus=1), 8) is None
    assert slots.take("c", Room(gpus=1, share_gpu=True), 8) is None
    without = slots.take("d", Room(), 8)
    assert without and without.environment(True)["CUDA_VISIBLE_DEVICES"] == ""
    assert "CUDA_VISIBLE_DEVICES" not in without.environment(False)
    slots.give_back("a")
    shared = [slots.take(name, Room(gpus=1, share_gpu=True), 8) for name in "ef"]
    assert shared[0] and shared[1] and shared[0].gpus == shared[1].gpus == first.gpus


def test_without_gpus_a_stage_that_wants_one_runs_on_the_cpu() -> None:
    share = Slots(jobs=1, cores=2, memory=GB).take("train", Room(gpus=2), 1)
    assert share is not None and share.gpus == ()


def test_visible_gpus_are_those_the_environment_leaves() -> None:
    assert visible_gpus({"CUDA_VISIBLE_DEVICES": "1, GPU-3"}) == ("1", "GPU-3")
    assert visible_gpus({"CUDA_VISIBLE_DEVICES": ""}) == ()
