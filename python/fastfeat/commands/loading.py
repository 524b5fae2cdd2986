"""`module:object` on a command line -> what it names."""

from __future__ import annotations

import importlib
import os
import sys
from typing import Any

from fastfeat.engine import Engine
from fastfeat.errors import nearest, shown
from fastfeat.features import FeatureSet
from fastfeat.pipeline import Pipeline, Repartition

__all__ = ["LoadError", "load_features", "load_object", "load_pipeline", "load_work"]


class LoadError(Exception):
    """What was named on the command line is not there, or not what it should be."""


def load_features(target: str) -> FeatureSet:
    """The features, of an engine or a pipeline too."""
    found = load_object(target)
    if isinstance(found, (Engine, Pipeline)):
        return found.features
    if not isinstance(found, FeatureSet):
        raise LoadError(f"`{target}` is {shown(found)}; name what stream.features(...) returned, or an Engine of it")
    return found


def load_pipeline(target: str) -> Pipeline:
    """The pipeline."""
    found = load_object(target)
    if not isinstance(found, Pipeline):
        raise LoadError(f"`{target}` is {shown(found)}; name an ff.Pipeline(...)")
    return found


def load_work(target: str) -> Pipeline | Repartition:
    """What a worker can run."""
    found = load_object(target)
    if not isinstance(found, (Pipeline, Repartition)):
        raise LoadError(f"`{target}` is {shown(found)}; name an ff.Pipeline(...) or what ff.repartition(...) returned")
    return found


def load_object(target: str) -> Any:
    """Whatever it is; modules are looked for in the working directory first."""
    module_name, colon, path = target.partition(":")
    if not colon or not module_name or not path:
        raise LoadError(f"`{target}` names no object; write module:object, such as app:features")
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    found: Any
    try:
        found = importlib.import_module(module_name)
    except ImportError as error:
        missing = getattr(error, "name", None)
        hint = (
            "run it where the module is, or set PYTHONPATH"
            if missing == module_name.split(".")[0]
            else "fix that import"
        )
        raise LoadError(f"module `{module_name}` cannot be imported: {error}; {hint}") from error
    for name in path.split("."):
        try:
            found = getattr(found, name)
        except AttributeError:
            hint = (
                nearest(name, [each for each in vars(found) if not each.startswith("_")]) or " name one of its objects"
            )
            raise LoadError(f"`{target}`: there is no `{name}`;{hint}") from None
    return found
