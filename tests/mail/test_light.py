"""What is made quickly is the same value: fields, defaults, checks, equality, hash."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import pytest

from shared.mail.light import light


@light
@dataclass(frozen=True, slots=True)
class Parcel:
    weight: int
    to: str = "nobody"
    stamps: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        if self.weight < 0:
            raise ValueError("a parcel weighs something")


def test_fields_and_their_defaults() -> None:
    parcel = Parcel(3)
    assert (parcel.weight, parcel.to, parcel.stamps) == (3, "nobody", [])
    assert Parcel(3).stamps is not parcel.stamps
    assert repr(Parcel(1, to="me")) == "Parcel(weight=1, to='me', stamps=[])"
    with pytest.raises(TypeError):
        Parcel()  # type: ignore[call-arg]


def test_its_checks_are_made() -> None:
    with pytest.raises(ValueError, match="weighs"):
        Parcel(-1)
    with pytest.raises(ValueError, match="weighs"):
        replace(Parcel(1), weight=-1)


def test_equal_values_are_one() -> None:
    @light
    @dataclass(frozen=True, slots=True)
    class Place:
        street: str
        number: int = 1

    assert Place("a") == Place("a", 1) != Place("b")
    assert len({Place("a"), Place("a"), Place("a", 2)}) == 2
    with pytest.raises(AttributeError):
        Place("a").town = "x"  # type: ignore[attr-defined]
