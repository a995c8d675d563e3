"""The wording of validation errors: the place, our own words, and never a value."""

import enum
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from pydantic import Field, TypeAdapter, ValidationError, field_validator, model_validator
from pydantic_core._pydantic_core import list_all_errors

from app.validation import _WORDS, FrozenList, StrictModel, explain

SECRET = "s3cret"
"""Stands for any value of a user's file."""


class Box(StrictModel):
    x: float
    label: str = ""


class Document(StrictModel):
    count: int = 1
    size: float = 1.0
    title: str = "title"
    enabled: bool = True
    nothing: None = None
    mode: Literal["a", "b"] = "a"
    boxes: FrozenList[Box] = ()
    pair: tuple[int, int] = (1, 2)
    names: list[str] = Field(default_factory=list)
    table: dict[Literal["one", "two"], int] = Field(default_factory=dict)
    numbers: dict[str, int] = Field(default_factory=dict)
    box: Box | None = None
    at_least: Annotated[int, Field(ge=1)] = 1
    above: Annotated[float, Field(gt=0)] = 1.0
    at_most: Annotated[int, Field(le=9)] = 1
    below: Annotated[float, Field(lt=1)] = 0.5
    even: Annotated[int, Field(multiple_of=2)] = 2
    finite: Annotated[float, Field(allow_inf_nan=False)] = 0.0
    short: Annotated[str, Field(min_length=1, max_length=3)] = "abc"
    digest: Annotated[str, Field(pattern="^[0-9a-f]{4}$")] = "0000"
    few: Annotated[FrozenList[int], Field(min_length=1, max_length=2)] = (1,)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"count": SECRET}, "count: is not a whole number"),
        ({"count": 1.5}, "count: is not a whole number"),
        ({"count": 1.0}, "count: is not a whole number"),
        ({"count": True}, "count: is not a whole number"),
        ({"count": None}, "count: is not a whole number"),
        ({"size": SECRET}, "size: is not a number"),
        ({"size": True}, "size: is not a number"),
        ({"title": 3}, "title: is not a string"),
        ({"enabled": 1}, "enabled: is not true or false"),
        ({"enabled": "yes"}, "enabled: is not true or false"),
        ({"nothing": SECRET}, "nothing: must be null"),
        ({"mode": SECRET}, "mode: must be 'a' or 'b'"),
        ({"boxes": SECRET}, "boxes: is not a list"),
        ({"boxes": {"x": 1.0}}, "boxes: is not a list"),
        ({"boxes": [{"x": 1.0}, 7]}, "boxes[1]: is not an object"),
        ({"boxes": [{}]}, "boxes[0].x: missing"),
        ({"boxes": [{"x": "1"}]}, "boxes[0].x: is not a number"),
        ({"boxes": [{"x": 1.0, "y": SECRET}]}, "boxes[0].y: unknown key"),
        ({"pair": [1, 2]}, "pair: is not a list"),
        ({"pair": (1, 2, 3)}, "pair: must have at most 2 items"),
        ({"names": "abc"}, "names: is not a list"),
        ({"names": ["a", 2]}, "names[1]: is not a string"),
        ({"table": []}, "table: is not an object"),
        ({"table": {"three": 3}}, "table.three: unknown key"),
        ({"numbers": {"a b": SECRET}}, 'numbers["a b"]: is not a whole number'),
        ({"numbers": {"a\nb": SECRET}}, 'numbers["a\\nb"]: is not a whole number'),
        ({"numbers": {"a" * 999: SECRET}}, f"numbers.{'a' * 60}: is not a whole number"),
        ({"numbers": {5: 5}}, "numbers[5]: its key is not a string"),
        ({"box": SECRET}, "box: is not an object"),
        ({"at_least": 0}, "at_least: must be at least 1"),
        ({"above": 0.0}, "above: must be greater than 0.0"),
        ({"at_most": 10}, "at_most: must be at most 9"),
        ({"below": 1.0}, "below: must be less than 1.0"),
        ({"even": 3}, "even: must be a multiple of 2"),
        ({"finite": float("nan")}, "finite: is not a finite number"),
        ({"short": ""}, "short: must have at least 1 character"),
        ({"short": "abcd"}, "short: must have at most 3 characters"),
        ({"digest": SECRET}, "digest: must match the pattern ^[0-9a-f]{4}$"),
        ({"few": []}, "few: must have at least 1 item"),
        ({"few": [1, 2, 3]}, "few: must have at most 2 items"),
        ({"other": SECRET}, "other: unknown key"),
    ],
)
def test_words(values: dict[str, Any], expected: str) -> None:
    with pytest.raises(ValidationError) as caught:
        Document.model_validate(values)
    assert explain(caught.value) == expected


def test_a_list_becomes_a_tuple() -> None:
    document = Document.model_validate({"boxes": [{"x": 1}], "few": [1, 2]})
    assert document.boxes == (Box(x=1.0),)
    assert document.few == (1, 2)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f'{{"title": "{SECRET}', "is not valid JSON at line 1 column 17"),
        ("[]", "is not an object"),
        ('{"pair": [1]}', "pair[1]: missing"),
        ('{"count": 1e400}', "count: is not a whole number"),
    ],
)
def test_words_for_json(text: str, expected: str) -> None:
    with pytest.raises(ValidationError) as caught:
        Document.model_validate_json(text)
    assert explain(caught.value) == expected


def test_words_for_toml() -> None:
    with pytest.raises(ValidationError) as caught:
        Document.model_validate({"box": 1, "table": 1})
    assert explain(caught.value, container="table") == (
        "table: is not a table; box: is not a table"
    )


def test_several_errors() -> None:
    with pytest.raises(ValidationError) as caught:
        Document.model_validate({"count": "a", "size": "b", "title": 3, "even": 1, "names": 2})
    assert explain(caught.value) == (
        "count: is not a whole number; size: is not a number; title: is not a string; and 2 more"
    )


class Checked(StrictModel):
    low: int
    high: int = 0

    @field_validator("high")
    @classmethod
    def _even(cls, value: int) -> int:
        if value % 2:
            raise ValueError("must be even")
        return value

    @model_validator(mode="after")
    def _ordered(self) -> "Checked":
        if self.low > self.high:
            raise AssertionError("low must not exceed high")
        return self


def test_words_of_validators() -> None:
    for values, expected in (
        ({"low": 1, "high": 3}, "high: must be even"),
        ({"low": 5, "high": 4}, "low must not exceed high"),
    ):
        with pytest.raises(ValidationError) as caught:
            Checked.model_validate(values)
        assert explain(caught.value) == expected
    with pytest.raises(ValidationError) as caught:
        TypeAdapter(list[Checked]).validate_python([{"low": 5}])
    assert explain(caught.value) == "[0]: low must not exceed high"


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Cat(StrictModel):
    kind: Literal["cat"]


class Dog(StrictModel):
    kind: Literal["dog"]


@pytest.mark.parametrize(
    ("annotation", "value", "expected"),
    [
        (Colour, SECRET, "must be 'red' or 'blue'"),
        (set[int], SECRET, "is not a list"),
        (frozenset[int], SECRET, "is not a list"),
        (int, "1" * 5000, "is too large a number"),
        (bytes, 5, "is not a string"),
        (dict[Colour, int], {SECRET: 1}, "s3cret: unknown key"),
        (
            Annotated[Cat | Dog, Field(discriminator="kind")],
            {},
            "'kind' is missing or is not valid",
        ),
        (
            Annotated[Cat | Dog, Field(discriminator="kind")],
            {"kind": SECRET},
            "'kind' must be 'cat', 'dog'",
        ),
        (complex, SECRET, "is not valid"),
        (Path, 5, "is not the path of a file or folder"),
    ],
)
def test_words_for_other_types(annotation: Any, value: Any, expected: str) -> None:
    with pytest.raises(ValidationError) as caught:
        TypeAdapter(annotation).validate_python(value)
    assert explain(caught.value) == expected


def test_every_word_belongs_to_an_error_of_pydantic() -> None:
    errors: dict[str, dict[str, Any]] = {
        error["type"]: error.get("example_context") or {} for error in list_all_errors()
    }
    errors["path_type"] = {}  # raised by the schema of paths, which no list has
    assert _WORDS.keys() <= errors.keys()
    for kind, words in _WORDS.items():
        words.format_map(errors[kind])
