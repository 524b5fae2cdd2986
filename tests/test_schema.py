"""Field types: the rules they take, the rules that do not fit, and that they are plain values."""

import copy
import math
import pickle
from datetime import datetime, timedelta, timezone
from decimal import Decimal

import numpy as np
import pytest
from fastfeat import Boolean, Categorical, DefinitionError, Float64, Int64, String, Timestamp


@pytest.mark.parametrize(
    ("kind", "rules", "told"),
    [
        (Float64, {"ge": 5, "le": 1}, "ge=5.0 and le=1.0 leaves no value"),
        (Float64, {"gt": 1, "lt": 1}, "gt=1.0 and lt=1.0 leaves no value"),
        (Float64, {"ge": 1, "lt": 1}, "leaves no value"),
        (Float64, {"ge": 0, "gt": 0}, "ge=0.0 and gt=0.0 say the same twice; keep one"),
        (Float64, {"le": 0, "lt": 0}, "keep one of them"),
        (Float64, {"ge": "0"}, "ge is '0'; write a number"),
        (Float64, {"ge": True}, "ge is True; write a number"),
        (Float64, {"lt": math.nan}, "lt is nan"),
        (Float64, {"le": 10**400}, "beyond the largest double"),
        (Float64, {"default": -1, "ge": 0}, "default=-1.0 breaks ge=0.0"),
        (Float64, {"default": 3, "one_of": [1, 2]}, "default=3.0 is not in one_of"),
        (Float64, {"default": math.inf}, "default=inf is not finite; write allow_nan=True"),
        (Float64, {"default": math.nan}, "default=nan is not finite"),
        (Float64, {"one_of": []}, "one_of is empty"),
        (Float64, {"one_of": [1, 1.0]}, "one_of has 1.0 twice"),
        (Float64, {"one_of": [-1], "ge": 0}, "one_of=-1.0 breaks ge=0.0"),
        (Float64, {"one_of": {1.0}}, "write a list"),
        (Float64, {"allow_nan": 1}, "allow_nan is 1; write True or False"),
        (Int64, {"ge": 3.0}, "ge is 3.0; write a whole number"),
        (Int64, {"ge": False}, "ge is False; write a whole number"),
        (Int64, {"le": 2**63}, "beyond 64 bits"),
        (Int64, {"gt": 1, "lt": 2}, "gt=1 and lt=2 leaves no value"),
        (Int64, {"gt": 2**63 - 1}, "leaves no value"),
        (Int64, {"default": 2.5}, "default is 2.5; write a whole number"),
        (Int64, {"default": 10, "lt": 10}, "default=10 breaks lt=10"),
        (Int64, {"one_of": "123"}, "one_of is '123'; write a list"),
        (String, {"max_bytes": 0}, "max_bytes=0; write 1 to 1048576"),
        (String, {"max_bytes": 1_048_577}, "write 1 to 1048576"),
        (String, {"max_bytes": "64"}, "max_bytes is '64'; write a whole number"),
        (String, {"pattern": 5}, "pattern is 5; write a text"),
        (String, {"one_of": "abc"}, "one_of is 'abc'; write a list"),
        (String, {"one_of": ["a", "a"]}, "one_of has 'a' twice"),
        (String, {"one_of": ["a", 1]}, "one_of is 1; write a text"),
        (String, {"one_of": ["abcd"], "max_bytes": 3}, "longer than max_bytes=3"),
        (String, {"default": "é", "max_bytes": 1}, "longer than max_bytes=1"),
        (String, {"default": "x" * 4_097}, "longer than max_bytes=4096"),
        (String, {"default": "x", "one_of": ["a"]}, "default='x' is not in one_of"),
        (String, {"default": 5}, "default is 5; write a text"),
        (String, {"default": "\ud800"}, "lone surrogate"),
        (Boolean, {"default": 0}, "default is 0; write True or False"),
        (Boolean, {"nullable": "yes"}, "nullable is 'yes'; write True or False"),
    ],
)
def test_a_rule_that_does_not_fit_is_refused_where_it_is_written(kind: type, rules: dict, told: str):
    with pytest.raises(DefinitionError) as caught:
        kind(**rules)
    assert caught.value.place == kind.__name__
    assert told in caught.value.message


@pytest.mark.parametrize(
    ("arguments", "rules", "told"),
    [
        (([],), {}, "categories is empty"),
        (("chip",), {}, "categories is 'chip'; write a list"),
        ((["a", "a"],), {}, "categories has 'a' twice"),
        ((["a", None],), {}, "categories is None; write a text"),
        (({"a", "b"},), {}, "write a list"),
        ((["chip", "online"],), {"default": "onlin"}, "is not a category; did you mean `online`?"),
    ],
)
def test_categories_are_a_list_of_different_texts(arguments: tuple, rules: dict, told: str):
    with pytest.raises(DefinitionError) as caught:
        Categorical(*arguments, **rules)
    assert told in caught.value.message


@pytest.mark.parametrize("unit", ["min", "US", "", None, 5])
def test_an_unknown_unit_is_refused(unit: object):
    with pytest.raises(DefinitionError, match="write `s`, `ms`, `us` or `ns`"):
        Timestamp(unit)  # type: ignore[arg-type]


@pytest.mark.parametrize("make", [Float64, Int64, String, Boolean, lambda **rules: Timestamp("us", **rules)])
def test_a_default_of_none_means_something_only_where_null_is_a_value(make):
    with pytest.raises(DefinitionError, match="write nullable=True, or leave the default out"):
        make(default=None)
    assert make(nullable=True, default=None) == make(nullable=True)
    assert make(nullable=True) != make()


@pytest.mark.parametrize(
    ("kind", "rules"),
    [
        (Float64, {"pattern": "x"}),
        (Int64, {"allow_nan": True}),
        (Boolean, {"one_of": [True]}),
        (String, {"ge": "a"}),
    ],
)
def test_a_type_takes_only_rules_that_mean_something_for_it(kind: type, rules: dict):
    with pytest.raises(TypeError, match="unexpected keyword argument"):
        kind(**rules)


@pytest.mark.parametrize(
    ("kind", "printed"),
    [
        (Float64(), "Float64()"),
        (Float64(ge=0, lt=1, allow_nan=True, nullable=True), "Float64(ge=0.0, lt=1.0, allow_nan=True, nullable=True)"),
        (Float64(allow_nan=True, default=math.nan), "Float64(allow_nan=True, default=float('nan'))"),
        (Float64(le=math.inf), "Float64(le=float('inf'))"),
        (Int64(one_of=[2, 1], default=1), "Int64(one_of=(2, 1), default=1)"),
        (String(max_bytes=8, pattern="c-[0-9]+"), "String(max_bytes=8, pattern='c-[0-9]+')"),
        (String(default=""), "String(default='')"),
        (Categorical(["a", "b"], default="b"), "Categorical(('a', 'b'), default='b')"),
        (Boolean(default=False), "Boolean(default=False)"),
        (Timestamp("ms", default=0), "Timestamp('ms', default=0)"),
    ],
)
def test_a_type_prints_as_it_is_written_and_is_a_value(kind: object, printed: str):
    assert repr(kind) == printed
    again = eval(printed)
    assert again == kind
    assert hash(again) == hash(kind)
    assert pickle.loads(pickle.dumps(kind)) == copy.deepcopy(kind) == kind
    with pytest.raises(AttributeError):
        kind.nullable = True  # type: ignore[attr-defined]


def test_types_that_differ_are_not_equal():
    assert Float64(default=0.0) != Float64(default=-0.0)
    assert Int64() != Float64()
    assert String(max_bytes=1) != String(max_bytes=2)
    assert Float64(ge=0) == Float64(ge=0.0)


def test_numbers_of_other_libraries_are_numbers():
    assert Int64(ge=np.int32(3)) == Int64(ge=3)
    assert Float64(ge=np.float32(0.5), le=Decimal("1.5")) == Float64(ge=0.5, le=1.5)  # type: ignore[arg-type]
    assert Int64(one_of=np.array([1, 2])) == Int64(one_of=[1, 2])  # type: ignore[arg-type]


def test_a_default_instant_is_utc_and_in_the_unit():
    noon = datetime(2026, 1, 1, 12)
    paris = datetime(2026, 1, 1, 13, tzinfo=timezone(timedelta(hours=1)))
    assert Timestamp("s", default=noon) == Timestamp("s", default=paris) == Timestamp("s", default=1_767_268_800)
    with pytest.raises(DefinitionError, match="outside 1677 to 2262"):
        Timestamp("s", default=2**62)
    with pytest.raises(DefinitionError, match="outside 1677 to 2262"):
        Timestamp("us", default=datetime(1, 1, 1))
    with pytest.raises(DefinitionError, match="write a datetime, or a whole number in us"):
        Timestamp("us", default="2026-01-01")  # type: ignore[arg-type]
