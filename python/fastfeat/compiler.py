"""The one door from definitions to the compiled module: JSON in, what the plan says of itself out."""

from __future__ import annotations

from dataclasses import dataclass

from fastfeat import _core

__all__ = ["Compiled", "compile_definition"]


@dataclass(frozen=True, slots=True)
class Compiled:
    """What the compiler says of a definition that it accepts."""

    names: tuple[str, ...]
    types: tuple[str, ...]
    fingerprint: str
    description: str


def compile_definition(definition: str) -> Compiled:
    """Checks a definition, as JSON; raises `DefinitionError` where it cannot work."""
    plan = _core.Plan(definition)
    types = tuple(name.lower() for name in plan.types)
    return Compiled(tuple(plan.names), types, plan.fingerprint, plan.describe())
