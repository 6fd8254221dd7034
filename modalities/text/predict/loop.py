"""Many steps of a search in one run: the graph of a step, as a model folder has it, as the body of ONNX's `Loop`.

Between two steps nothing is left to Python: the K best ways to go on that do not end are the hypotheses of the next
step, as `search` chooses them. Where a hypothesis ends matters to the search alone, which reads of each step what it
gave. The loop is made of the graph's bytes when it is opened: files hold no second graph, and older ones gain, too.

What the loop reads, beside the inputs of a step (`modalities.text.export.step`; those that a step changes, and the
cache, by their names with `FIRST` before them):
    loop.most    int64 []      steps at most
    loop.leave   int64 []      it is left as soon as so many sentences have ended
    loop.beam    int64 [1]     K
    loop.itself  int32 [N, K, K]  the identity: of the last subwords each hypothesis has seen its own; only with `seen`
    first.ended  int64 [N, 1]  hypotheses of each sentence that have ended before
and what it gives, with `LAST` before their names: what the next step reads, and the next cache; and
    loop.values, loop.index  [T, N, count]  of all T steps that were taken
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from core.onnx_wire import (
    FUNCTIONS,
    INITIALIZER,
    INPUT,
    IR,
    MICROSOFT,
    MODEL_GRAPH,
    NAME,
    NODE,
    NODE_DOMAIN,
    NODE_INPUT,
    NODE_OUTPUT,
    OPSETS,
    OUTPUT,
    TYPES,
    Content,
    Graph,
    Value,
    fields,
    node,
    read_value,
    tensor,
    value,
)
from core.protobuf import begun, message, number
from modalities.text.inputs.tokenizer import EOS
from modalities.text.predict.search import NONE

KEPT = (IR, OPSETS, FUNCTIONS)
"""Of a model, beside its graph."""
CHANGED = ("tokens", "origin", "seen", "position", "scores")
"""Inputs of a step that are made of what the one before it gave, as far as it reads them."""
GIVEN = ("values", "index")
"""What a step says to the search."""
FIRST, LAST, NEXT = "first.", "last.", "next."
MOST, LEAVE, BEAM, ITSELF, ENDED = "loop.most", "loop.leave", "loop.beam", "loop.itself", "ended"
VALUES, INDEX = "loop.values", "loop.index"


def compose(step: bytes, greedy: bool) -> bytes:
    """step: a model of ONNX. Returns: that of the loop. greedy: for K = 1 alone, which takes half the nodes."""
    model = list(fields(step))
    (graph,) = (part for field, part in model if field == MODEL_GRAPH)
    parts: dict[int, list[Content]] = {}
    for field, part in fields(graph):
        parts.setdefault(field, []).append(part)
    given, made = ({each.name: each for each in map(read_value, parts[field])} for field in (INPUT, OUTPUT))
    changed = [name for name in CHANGED if name in given]
    past = [name for name in given if name.startswith("past_")]
    values = [*(given[name] for name in changed), read_value(value(ENDED, "int64", ("batch", 1)))]
    values += [given[name] for name in past]
    following = [
        *(f"{NEXT}{name}" for name in (*changed, ENDED)),
        *(name.replace("past_", "present_") for name in past),
    ]
    constants = _constants(_vocabulary(given["banned"]))
    unread = {name.encode() for name in made if name.startswith("attention")}
    nodes = [
        *_read(parts[NODE], unread, {name.encode() for name in made} - unread),
        *(node(*each) for each in (_greedy if greedy else _best)(changed)),
    ]
    body = _graph(
        "step",
        nodes,
        [
            value("loop.number", "int64", ()),
            value("loop.going", "bool", ()),
            *(each.named(each.name) for each in values),
        ],
        [
            value("loop.on", "bool", ()),
            *(each.opened(name) for each, name in zip(values, following, strict=True)),
            *(made[name].opened(name) for name in GIVEN),
        ],
    )
    carried = [each.name for each in values]
    begin, end = ([f"{where}{name}" for name in carried] for where in (FIRST, LAST))
    outer = [value(MOST, "int64", ()), value(LEAVE, "int64", ()), value(BEAM, "int64", (1,))]
    outer += [value(ITSELF, "int32", ("batch", "beam", "beam"))] if "seen" in given else []
    outer += [each.named(name) for each, name in zip(values, begin, strict=True)]
    outer += [each.named(name) for name, each in given.items() if name not in carried]
    whole = _graph(
        "loop",
        [
            node(
                "Loop",
                [MOST, "", *begin],
                [*end, *(f"loop.{name}" for name in GIVEN)],
                "",
                {"body": Graph(b"".join(body))},
            )
        ],
        outer,
        [
            *(each.opened(name) for each, name in zip(values, end, strict=True)),
            *(made[name].opened(f"loop.{name}", 1) for name in GIVEN),
        ],
        [*parts.get(INITIALIZER, []), *(tensor(name, array) for name, array in constants.items())],
    )
    rest = [number(IR, part) if field == IR else message(field, part) for field, part in model if field in KEPT]
    return b"".join([*rest, begun(MODEL_GRAPH, sum(map(len, whole))), *whole])


def _graph(
    name: str, nodes: Sequence[Content], inputs: list[bytes], outputs: list[bytes], weights: Sequence[Content] = ()
) -> list[Content]:
    """GraphProto, in pieces: its weights are copied once."""
    lists = ((NODE, nodes), (INITIALIZER, weights), (INPUT, inputs), (OUTPUT, outputs))
    parts = ((begun(field, len(part)), part) for field, several in lists for part in several)
    return [message(NAME, name), *(piece for pair in parts for piece in pair)]


Node = tuple[str, list[str], list[str], str, dict[str, int]]


def _constants(vocabulary: int) -> dict[str, np.ndarray]:
    numbers = {"zero": [0], "one": [1], "two": [2], "vocabulary": [vocabulary], "end": [EOS]}
    constants = {f"loop.{name}": np.array(each, np.int64) for name, each in numbers.items()}
    return constants | {"loop.none": np.array(NONE, np.float32)}


def _best(changed: list[str]) -> list[Node]:
    """From what a step gives to what the next one reads, `changed`."""
    nodes = [
        _node("Mod", "index loop.vocabulary", "loop.token"),
        _node("Equal", "loop.token loop.end", "loop.ends"),
        _node("Where", "loop.ends loop.none values", "loop.going_on"),
        _node("TopK", f"loop.going_on {BEAM}", "loop.best loop.which", axis=1),
        _node("GatherElements", "index loop.which", "loop.way", axis=1),
        _node("Mod", "loop.way loop.vocabulary", f"{NEXT}tokens"),
        _node("Div", "loop.way loop.vocabulary", f"{NEXT}origin"),
        _node("Unsqueeze", "loop.best loop.two", f"{NEXT}scores"),
        # A sentence has ended when K of its hypotheses have, each when it was among the K best.
        _node("Slice", f"loop.ends loop.zero {BEAM} loop.one", "loop.ends_now"),
        _node("Cast", "loop.ends_now", "loop.ends_counted", to=TYPES["int64"]),
        _node("ReduceSum", "loop.ends_counted loop.one", "loop.more_ended", keepdims=1),
        _node("Add", f"{ENDED} loop.more_ended", f"{NEXT}{ENDED}"),
        _node("GreaterOrEqual", f"{NEXT}{ENDED} {BEAM}", "loop.done"),
        *_leaving("loop.done"),
    ]
    if "seen" in changed:
        nodes += [
            _node("Unsqueeze", f"{NEXT}origin loop.two", "loop.whose"),
            _node("GatherND", "seen loop.whose", "loop.seen", batch_dims=1),
            _node("Concat", f"loop.seen {ITSELF}", f"{NEXT}seen", axis=2),
        ]
    return nodes + _further(changed)


def _greedy(changed: list[str]) -> list[Node]:
    """Likewise where a sentence has one hypothesis, and goes on in the one best way or has ended."""
    nodes = [
        _node("Identity", "index", f"{NEXT}tokens"),
        _node("Unsqueeze", "values loop.two", f"{NEXT}scores"),
        _node("Equal", "index loop.end", "loop.ends"),
        _node("Cast", "loop.ends", "loop.ends_counted", to=TYPES["int64"]),
        _node("Max", f"{ENDED} loop.ends_counted", f"{NEXT}{ENDED}"),
        _node("ReduceSum", f"{NEXT}{ENDED}", "loop.leaving", keepdims=0),
        _node("Less", f"loop.leaving {LEAVE}", "loop.on"),
    ]
    if "seen" in changed:
        nodes.append(_node("Concat", f"seen {ITSELF}", f"{NEXT}seen", axis=2))
    if "origin" in changed:
        nodes.append(_node("Identity", "origin", f"{NEXT}origin"))
    return nodes + _further(changed)


def _leaving(done: str) -> list[Node]:
    """Whether it goes on. done: which sentences have ended."""
    return [
        _node("Cast", done, "loop.done_counted", to=TYPES["int64"]),
        _node("ReduceSum", "loop.done_counted", "loop.leaving", keepdims=0),
        _node("Less", f"loop.leaving {LEAVE}", "loop.on"),
    ]


def _further(changed: list[str]) -> list[Node]:
    return [_node("Add", "position loop.one", f"{NEXT}position")] if "position" in changed else []


def _node(operator: str, inputs: str, outputs: str, **attributes: int) -> Node:
    return operator, inputs.split(), outputs.split(), "", attributes


def _read(nodes: Sequence[Content], unread: set[bytes], kept: set[bytes]) -> list[Content]:
    """Without what is computed for `unread` alone; `kept`: what is read outside. Of ONNX Runtime's own operators the
    last outputs are left out then, which are computed if they have names."""
    readers = Counter(name for each in nodes for name in _names(each, NODE_INPUT))
    found: list[Content] = []
    for each in reversed(_in_order(nodes)):
        outputs = _names(each, NODE_OUTPUT)
        if unread.issuperset(outputs):
            inputs = _names(each, NODE_INPUT)
            readers.subtract(inputs)
            unread = unread.union(name for name in inputs if not readers[name] and name not in kept)
            continue
        left_out = outputs[-1] if (NODE_DOMAIN, MICROSOFT.encode()) in fields(each) and outputs[-1] in unread else None
        parts = (part for part in fields(each) if part != (NODE_OUTPUT, left_out))
        found.append(each if left_out is None else b"".join(message(field, part) for field, part in parts))
    return found[::-1]


def _in_order(nodes: Sequence[Content]) -> list[Content]:
    """Each behind those whose outputs it reads. ONNX Runtime asks it of a graph within a graph alone: what makes fp16
    of a model writes casts anywhere."""
    given = [set(_names(each, NODE_INPUT)) for each in nodes]
    waiting = list(range(len(nodes)))
    missing = {name for each in nodes for name in _names(each, NODE_OUTPUT)} - {b""}
    ordered: list[Content] = []
    while ready := [i for i in waiting if not given[i] & missing]:
        ordered += [nodes[i] for i in ready]
        missing -= {name for i in ready for name in _names(nodes[i], NODE_OUTPUT)}
        waiting = [i for i in waiting if i not in ready]
    return ordered


def _names(of: Content, side: int) -> list[bytes]:
    """Inputs or outputs of a node."""
    return [bytes(part) for field, part in fields(of) if field == side]


def _vocabulary(banned: Value) -> int:
    """The one size that `banned` has."""
    part = banned.type
    for wanted in (1, 2, 1, 1):  # TypeProto.tensor_type, its shape, the first dimension, its value
        part = next(each for field, each in fields(part) if field == wanted)
    assert isinstance(part, int)
    return part
