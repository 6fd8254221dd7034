"""What of a stage's growing log goes to Prefect."""

from __future__ import annotations

from itertools import takewhile
from pathlib import Path


def test_whole_lines_once_the_last_state_of_a_bar_and_none_of_dvcs_hints(tmp_path: Path) -> None:
    from pipelines.flow.prefect_flow import HINTS, _lines

    log = tmp_path / "log"
    reader = _lines(log)

    def more(text: str = "") -> list[str | None]:
        with log.open("a") as file:
            file.write(text)
        return list(takewhile(lambda line: line is not None, reader))

    assert next(reader) is None  # there is no file yet
    assert more("Running stage 'train'\n\n 0%|  |\r50%|= |\r100%|==|\nepoch 1") == ["Running stage 'train'", "100%|==|"]
    assert more() == []
    assert more("  loss 2\n" + "\n".join(HINTS) + "\nend\n") == ["epoch 1  loss 2", "end"]
