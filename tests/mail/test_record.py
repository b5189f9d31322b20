"""Our frozen records behave as the standard library's dataclasses do."""

from __future__ import annotations

import copy
import dataclasses
import pickle
from collections.abc import Callable
from typing import Any, ClassVar

import pytest

from shared.mail.record import dataclass


def make(kind: Callable[..., Any]) -> Any:
    """The same class, by either."""

    @kind(frozen=True, slots=True)
    class Parcel:
        sizes: ClassVar[int] = 3
        name: str
        weight: int = 1
        marks: list[str] = dataclasses.field(default_factory=list)
        origin: str = dataclasses.field(default="", compare=False, repr=False)
        number: int = dataclasses.field(default=7, init=False, repr=False)
        parts: list[int] = dataclasses.field(default_factory=list, init=False, repr=False, compare=False)
        length: int = dataclasses.field(init=False, repr=False)

        def __post_init__(self) -> None:
            if self.weight < 0:
                raise ValueError("no weight")
            object.__setattr__(self, "length", len(self.name))

        @property
        def is_heavy(self) -> bool:
            return self.weight > 9

    return Parcel


@dataclass(frozen=True, slots=True)
class Base:
    a: int
    b: int = 2


@dataclass(frozen=True, slots=True)
class Below(Base):
    b: int = 3
    c: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Nothing:
    """Without fields."""


@dataclass(frozen=True, slots=True)
class Odd:
    word: str

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Odd) and other.word.lower() == self.word.lower()

    def __hash__(self) -> int:
        return hash(self.word.lower())

    def __repr__(self) -> str:
        return self.word


PARCELS = [make(dataclass), make(dataclasses.dataclass)]


@pytest.mark.parametrize("parcel", PARCELS, ids=["ours", "library"])
def test_it_is_made_compared_and_shown_alike(parcel: Any) -> None:
    one = parcel("a", marks=["x"])
    assert (one.name, one.weight, one.marks, one.origin, parcel.sizes) == ("a", 1, ["x"], "", 3)
    assert (one.number, one.parts, one.length) == (7, [], 1)
    assert parcel("a").marks is not parcel("a").marks
    assert one == parcel("a", 1, ["x"], "elsewhere") and one != parcel("a", 2, ["x"]) and one != "a"
    assert repr(one).endswith("Parcel(name='a', weight=1, marks=['x'])")
    assert dataclasses.replace(one, weight=10).is_heavy and not one.is_heavy
    assert dataclasses.asdict(one) == {
        "name": "a",
        "weight": 1,
        "marks": ["x"],
        "origin": "",
        "number": 7,
        "parts": [],
        "length": 1,
    }
    assert parcel.__match_args__ == ("name", "weight", "marks", "origin") and not hasattr(one, "__dict__")
    with pytest.raises(ValueError, match="no weight"):
        parcel("a", -1)
    for wrong in ((), ("a", 1, [], "", 5)):
        with pytest.raises(TypeError):
            parcel(*wrong)
    with pytest.raises(TypeError, match="colour"):
        parcel("a", colour=1)


@pytest.mark.parametrize("parcel", PARCELS, ids=["ours", "library"])
def test_it_is_frozen_and_hashed_alike(parcel: Any) -> None:
    one = parcel("a", 2, ())
    assert hash(one) == hash(parcel("a", 2, (), "elsewhere"))
    with pytest.raises(dataclasses.FrozenInstanceError):
        one.name = "b"
    with pytest.raises(dataclasses.FrozenInstanceError):
        del one.name


def test_below_another_it_has_its_fields() -> None:
    below = Below(1, c=(5,))
    assert (below.a, below.b, below.c) == (1, 3, (5,)) and below != Base(1, 3)
    match below:
        case Below(a, b, c):
            assert (a, b, c) == (1, 3, (5,))


def test_copies_and_pickles_are_equal() -> None:
    for one in (Below(1, 2, (3,)), Base(1), Nothing(), Odd("x")):
        assert pickle.loads(pickle.dumps(one)) == copy.copy(one) == copy.deepcopy(one) == one


def test_without_fields_and_with_methods_of_its_own() -> None:
    assert Nothing() == Nothing() and repr(Nothing()) == "Nothing()" and len({Nothing(), Nothing()}) == 1
    assert Odd("A") == Odd("a") and repr(Odd("a")) == "a" and len({Odd("A"), Odd("a")}) == 1


def test_any_other_kind_is_the_librarys() -> None:
    @dataclass
    class Plain:
        a: int = 1

    @dataclass(slots=True)
    class Slotted:
        a: int = 1

    @dataclass(frozen=True, slots=True, order=True)
    class Ordered:
        a: int = 1

    plain, slotted = Plain(), Slotted()
    plain.a = slotted.a = 2
    assert plain == Plain(2) and slotted == Slotted(2) and Ordered(1) < Ordered(2)
