"""What the planner's dvc.lock says, held while stages run elsewhere, and the one place that writes into it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from core.errors import StillhouseError
from ops.tracking import ledger
from pipelines.dvc import lockfile, private
from pipelines.dvc.private import StageFiles
from pipelines.flow.hosts.attempt import overlap
from pipelines.flow.hosts.order import TEXT_BYTES, check


class Record:
    """dvc.lock of the working directory. Written by one thread."""

    def __init__(self, layout: Mapping[str, StageFiles]):
        lockfile.install()
        self.layout = layout
        self._entries = private.locked()
        self._producers = {name: tuple(self._above(stage)) for name, stage in layout.items()}

    def _above(self, stage: StageFiles) -> Iterator[str]:
        for other in self.layout.values():
            if other.name != stage.name and any(overlap(dep, out) for dep in stage.deps for out in other.outs):
                yield other.name

    def known(self, name: str) -> bool:
        """Whether dvc.lock has an entry of the stage."""
        return name in self._entries

    def entries(self, name: str) -> dict[str, str]:
        """What a stage is told of itself and of all that it stands on, the nearest first, as far as there is room."""
        found: dict[str, str] = {}
        size, near = 0, [name]
        seen = {name}
        while near:
            for one in near:
                text = private.yaml_text(self._entries[one]) if one in self._entries else ""
                size += len(text)
                if text and size < TEXT_BYTES:
                    found[one] = text
            near = [above for one in near for above in self._producers.get(one, ()) if above not in seen]
            near = list(dict.fromkeys(near))
            seen |= set(near)
        return found

    def inputs(self, name: str) -> dict[str, int]:
        """md5 -> bytes of the outputs that a stage reads."""
        deps = self.layout[name].deps
        return {
            md5: size
            for above in self._producers[name]
            for path, md5, size in self._outs(above)
            if any(overlap(dep, path) for dep in deps)
        }

    def outputs(self, name: str) -> dict[str, int]:
        """md5 -> bytes of what a stage has made."""
        return {md5: size for _, md5, size in self._outs(name)}

    def _outs(self, name: str) -> Iterator[tuple[str, str, int]]:
        for out in self._entries.get(name, {}).get("outs", ()):
            if "md5" in out:
                yield str(out["path"]), str(out["md5"]), int(out.get("size", 0))

    def write(self, name: str, text: str, run: str | None, pipeline: str) -> None:
        """Record what a host made of a stage.

        text: the entry as YAML; run: key of the MLflow run that made it, in pipeline execution `pipeline`.
        Raises: StillhouseError where the entry is of another stage, or was not made of what dvc.lock has here.
        """
        stage = self.layout[name]
        try:
            seen = check(name, text)
        except ValueError as error:
            raise StillhouseError(str(error)) from None
        entry = private.yaml_value(text)
        if entry.get("cmd") != stage.command:
            raise StillhouseError(f"it ran another command than dvc.yaml has here: {entry.get('cmd')!r}")
        for kind, here in (("deps", stage.deps), ("outs", stage.outs)):
            there = {str(item["path"]) for item in seen.get(kind, [])}
            if there != set(here):
                raise StillhouseError(f"it has other {kind} than dvc.yaml has here: {sorted(there ^ set(here))}")
        self._made_of_these(name, entry)
        if run is not None:
            ledger.executed(name, run, pipeline)
        private.record(name, entry)
        self._entries[name] = entry

    def _made_of_these(self, name: str, entry: Any) -> None:
        ours = {path: md5 for above in self._producers[name] for path, md5, _ in self._outs(above)}
        for dep in entry.get("deps", ()):
            path, md5 = str(dep["path"]), dep.get("md5")
            if path in ours and md5 is not None and md5 != ours[path]:
                raise StillhouseError(f"it was made of another {path} ({md5}) than dvc.lock has here ({ours[path]})")
