"""Modules whose own code runs when it is needed: packages that a library imports for a name or two of theirs.

Lightning imports torchmetrics for the class `Metric`, which brings scipy.signal and all metrics there are, and
matplotlib for types of annotations; Lightning and each optimiser of torch's import torch._dynamo, the compiler, to
say that they are not to be compiled. That is half of what a training imports. Here such a module stands in
`sys.modules` with the names that are asked for; whatever else is asked of it, by whomever, runs its code first.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

_LOCK = threading.RLock()
_WAITING: dict[str, tuple[Lazy, Sequence[str]]] = {}
"""Modules whose code has not run, and of their submodules those that do without."""


class Lazy(ModuleType):
    """A module that has `known` alone, each made when it is asked for, until something else is."""

    def __init__(self, spec: ModuleSpec, known: Mapping[str, Callable[[], Any]]):
        super().__init__(spec.name)
        vars(self).update(importlib.util.module_from_spec(spec).__dict__)
        self.__dict__["_known"] = known

    def __getattr__(self, name: str) -> Any:
        with _LOCK:
            if self.__name__ in _WAITING and name in self.__dict__["_known"]:
                return self.__dict__["_known"][name]()
            if not name.startswith("__"):  # which imports ask for: a module has `__path__`, or it is no package
                run(self.__name__)
        try:
            return self.__dict__[name]
        except KeyError:
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}") from None


class _Finder:
    """Of submodules whose package has not run its code: it runs first, and has perhaps imported them."""

    @staticmethod
    def find_spec(name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        for package, (_, free) in list(_WAITING.items()):
            if name.startswith(f"{package}.") and not any(f"{name}.".startswith(f"{package}.{one}.") for one in free):
                run(package)
                if name in sys.modules:
                    return ModuleSpec(name, _There(sys.modules[name]))  # type: ignore[arg-type]
        return None


class _There:
    """Loads what is loaded."""

    def __init__(self, module: ModuleType):
        self._module, self._spec = module, module.__spec__

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return self._module

    def exec_module(self, module: ModuleType) -> None:
        module.__spec__ = self._spec


def lazy(spec: ModuleSpec | None, known: Mapping[str, Callable[[], Any]], free: Sequence[str] = ()) -> None:
    """Have a module wait with its code, unless it has run.

    known: what it tells without. free: submodules, with all below them, that are imported without.
    """
    if spec is None or spec.name in sys.modules:
        return
    module = Lazy(spec, known)
    _WAITING[spec.name] = (module, free)
    sys.modules[spec.name] = module
    parent, _, child = spec.name.rpartition(".")
    if parent in sys.modules:
        setattr(sys.modules[parent], child, module)
    if _Finder not in sys.meta_path:
        sys.meta_path.insert(0, _Finder)


def run(name: str) -> None:
    """Run the code of a module that waits; nothing where it has run."""
    with _LOCK:
        module, _ = _WAITING.pop(name, (None, ()))
        if module is not None:
            assert module.__spec__ is not None and module.__spec__.loader is not None
            module.__spec__.loader.exec_module(module)


def later(module: str, name: str) -> Callable[..., Any]:
    """A function of a module that waits, which runs its code when it is called."""

    def called(*given: Any, **named: Any) -> Any:
        run(module)
        return getattr(importlib.import_module(module), name)(*given, **named)

    return called
