"""What is written becomes groups of settings, or all of its faults; and what holds for every group."""

from __future__ import annotations

import pickle
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import pytest

from shared.config.names import group_in
from shared.config.reading import (
    MISSING,
    NO_GROUP,
    NO_LIST,
    NO_NAMES,
    UNKNOWN,
    WRONG_VALUE,
    Faults,
    read,
)
from shared.config.scalars import Count, Duration, File, Several, Text, parse_word
from shared.config.setting import Parsed, Setting, beside, fields_of, section
from shared.config.yaml import read_yaml


class Colour(StrEnum):
    RED = "red"
    BLUE = "blue"


class Wheel(Setting):
    size: Count
    colour: Annotated[Colour, Parsed(parse_word(Colour))] = Colour.RED


class Engine(Setting):
    rest: Duration = 5.0
    manual: File = beside("manual")


class Car(Setting):
    name: Text
    wheels: Several[Wheel] = ()
    engine: Engine = section()
    spare: Wheel | None = None
    seats: dict[str, Wheel] = section()


def faults_of(written: object) -> list[tuple[Any, ...]]:
    with pytest.raises(Faults) as caught:
        read(Car, written)
    return [(fault.place, fault.kind) for fault in caught.value.faults]


def test_what_is_left_out_has_its_default_and_paths_count_from_the_folder() -> None:
    car = read(Car, {"name": "a"}, "/etc/cars")
    assert car == Car(name="a", engine=Engine(manual=Path("/etc/cars/manual")))
    assert car.given == {"name"} and not car.engine.given
    assert (car.wheels, car.spare, car.seats, car.engine.rest) == ((), None, {}, 5.0)


@pytest.mark.parametrize("empty", [None, {}])
def test_an_empty_heading_has_its_defaults(empty: object) -> None:
    assert read(Car, {"name": "a", "engine": empty, "seats": empty}) == read(Car, {"name": "a"})


def test_all_faults_are_told_at_once_with_their_places() -> None:
    written = {
        "wheels": ({"size": 0}, {"size": 1, "colour": "green"}, {}, 3),
        "engine": {"rest": "soon", "horses": 9},
        "spare": "x",
        "seats": {"front": {"size": "x"}},
    }
    assert faults_of(written) == [
        (("name",), MISSING),
        (("wheels", 0, "size"), WRONG_VALUE),
        (("wheels", 1, "colour"), WRONG_VALUE),
        (("wheels", 2, "size"), MISSING),
        (("wheels", 3), NO_GROUP),
        (("engine", "rest"), WRONG_VALUE),
        (("engine", "horses"), UNKNOWN),
        (("spare",), NO_GROUP),
        (("seats", "front", "size"), WRONG_VALUE),
    ]


@pytest.mark.parametrize(
    ("written", "fault"),
    [
        ([], ((), NO_GROUP)),
        ({"name": "a", "wheels": "x"}, (("wheels",), NO_LIST)),
        ({"name": "a", "wheels": {}}, (("wheels",), NO_LIST)),
        ({"name": "a", "wheels": ()}, (("wheels",), WRONG_VALUE)),
        ({"name": "a", "seats": ()}, (("seats",), NO_NAMES)),
        ({"name": "a", "seats": {"x": None}}, (("seats", "x"), NO_GROUP)),
        ({"name": "a", "wheels": None}, (("wheels",), NO_LIST)),
        ({"name": None}, (("name",), WRONG_VALUE)),
        ({"name": 1}, (("name",), WRONG_VALUE)),
    ],
)
def test_no_value_is_bent_into_the_type_that_is_wanted(written: object, fault: object) -> None:
    assert faults_of(written) == [fault]


def test_a_group_remembers_where_it_stood_and_is_the_same_elsewhere() -> None:
    text = "name: a\nspare:\n  size: 1\n"
    one, other = (read(Car, read_yaml(written, "cars.yaml")[0]) for written in (text, "\n" + text))
    assert one.spare is not None and one.spare.source == "cars.yaml:3" and one.engine.source == ""
    assert one == other and hash(one.spare) == hash(other.spare)
    assert one != read(Car, {"name": "b", "spare": {"size": 1}}) and one != "a"


def test_nothing_is_changed_once_it_is_read() -> None:
    car = Car(name="a")
    with pytest.raises(AttributeError):
        car.name = "b"
    other = car.replaced(name="b")
    assert (car.name, other.name, other.given) == ("a", "b", {"name"})


@pytest.mark.parametrize("values", [{}, {"name": "a", "doors": 4}])
def test_the_constructor_takes_what_there_is_and_all_that_must_be_given(values: dict[str, Any]) -> None:
    with pytest.raises(TypeError):
        Car(**values)


def test_a_group_goes_to_another_process_whole() -> None:
    car = read(Car, read_yaml("name: a\nspare: {size: 1}\n", "cars.yaml")[0])
    again = pickle.loads(pickle.dumps(car))
    assert again == car and again.given == car.given and again.spare.source == "cars.yaml:2"


def test_a_group_as_plain_values_can_be_read_again() -> None:
    car = read(Car, {"name": "a", "wheels": ({"size": 2, "colour": "blue"},)}, "/etc")
    plain = car.plain()
    assert plain["wheels"] == [{"size": 2, "colour": "blue"}] and plain["engine"]["manual"] == "/etc/manual"
    assert read(Car, {**plain, "wheels": tuple(plain["wheels"])}) == car


def test_fields_stand_in_their_order_those_of_the_base_first() -> None:
    class Truck(Car):
        load: Count = 1
        name: Text = "truck"

    assert list(fields_of(Truck)) == ["name", "wheels", "engine", "spare", "seats", "load"]
    assert not fields_of(Truck)["name"].is_required
    assert group_in(fields_of(Truck)["wheels"].annotation) == ("[]", Wheel)
