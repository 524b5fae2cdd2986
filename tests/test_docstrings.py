"""Every example in a docstring is run, with the public names at hand."""

import doctest
import importlib
import pkgutil

import fastfeat
import pytest

MODULES = ["fastfeat", *(f"fastfeat.{module.name}" for module in pkgutil.iter_modules(fastfeat.__path__))]


@pytest.mark.parametrize("name", [name for name in MODULES if not name.endswith(("._core", ".__main__"))])
def test_the_examples_are_true(name: str):
    public = {each: getattr(fastfeat, each) for each in fastfeat.__all__} | {"ff": fastfeat}
    failed, _ = doctest.testmod(importlib.import_module(name), extraglobs=public)
    assert failed == 0
