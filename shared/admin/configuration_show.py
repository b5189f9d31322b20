"""`mercury config show`, `explain` and `schema`: what is in force, where it came from, and what it means."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterable
from typing import Any

import click

from shared.admin.command import NOTHING_MATCHED, SOME_FAILED, Office
from shared.admin.meanings import Meaning, meanings
from shared.admin.output import echo_json, echo_table
from shared.admin.table import Shape
from shared.config.names import names_of
from shared.config.scalars import did_you_mean
from shared.config.standing import Standing, standings
from shared.mail.reply import printable

_SHAPE = Shape(giving=("VALUE", "FROM"))


@click.command()
@click.argument("key", default="")
@click.option("--effective", is_flag=True, help="One setting a line, with the file and line it came from.")
@click.option("--changed", is_flag=True, help="The same, without the defaults.")
@click.option("--json", "as_json", is_flag=True, help="As JSON; one object a line with --effective or --changed.")
@click.pass_obj
def show(office: Office, key: str, effective: bool, changed: bool, as_json: bool) -> None:
    """What is in force, defaults included. KEY narrows it: `mercury config show receive.limits`."""
    if effective or changed:
        found = [one for one in standings(office.config) if _is_below(one.key, key)]
        _end_if_nothing(found or not key, key)
        _echo_standings([one for one in found if effective or not one.is_default], as_json)
        return
    value: Any = office.config.plain()
    for part in filter(None, re.split(r"[.\[\]]+", key)):
        value = _within(value, part)
    _end_if_nothing(value is not _ABSENT, key)
    if as_json:
        echo_json(value if isinstance(value, dict) else {key: value})
    elif isinstance(value, dict | list):
        import yaml

        click.echo(yaml.safe_dump(value, sort_keys=False, default_flow_style=False), nl=False)
    else:
        said = next((one.written for one in standings(office.config) if one.key == key), str(value))
        click.echo(printable(said))


def _echo_standings(found: Iterable[Standing], as_json: bool) -> None:
    if as_json:
        for one in found:
            echo_json(_as_json(one))
        return
    echo_table(("SETTING", "VALUE", "FROM"), [(one.key, one.written, one.place) for one in found], _SHAPE)


def _as_json(one: Standing) -> dict[str, Any]:
    return {"key": one.key, "value": one.value, "file": one.file or None, "line": one.line or None}


@click.command()
@click.argument("key")
@click.option("--json", "as_json", is_flag=True, help="One JSON object for each setting.")
@click.pass_obj
def explain(office: Office, key: str, as_json: bool) -> None:
    """What the setting KEY means, its default, and what it is here.

    KEY is its full name, with or without the names and numbers in between, or only its end: `warn_after`.
    """
    try:
        known = meanings()
    except OSError as error:
        click.echo(printable(f"mercury: cannot read {error.filename}: {error.strerror}"), err=True)
        sys.exit(SOME_FAILED)
    wanted = _matching(key, known)
    _end_if_nothing(wanted, key)
    for number, meaning in enumerate(wanted):
        here = [one for one in standings(office.config) if _general(one.key, known) == meaning.name]
        if as_json:
            values = [_as_json(one) for one in here]
            echo_json({"setting": meaning.name, "default": meaning.default, "meaning": meaning.text, "here": values})
        else:
            click.echo("\n" * bool(number) + "\n".join(_told(meaning, here)))


def _told(meaning: Meaning, here: list[Standing]) -> list[str]:
    lines = [click.style(meaning.name, bold=True), *click.wrap_text(meaning.text, 100, "  ", "  ").splitlines()]
    if meaning.default:
        lines.append(f"  default: {'none: it must be given' if meaning.default == '–' else meaning.default}")
    lines += [printable(f"  here:    {one.key}: {one.written}  ({one.place})") for one in here]
    return lines


def _matching(key: str, known: dict[str, Meaning]) -> list[Meaning]:
    general = _general(key, known)
    if general in known:
        return [known[general]]
    return [meaning for name, meaning in known.items() if _bare(name).endswith("." + _bare(key))]


def _general(key: str, known: dict[str, Meaning]) -> str:
    """`sites.hq.smarthosts[0].host` as the reference has it: `sites.*.smarthosts[].host`."""
    parts = re.sub(r"\[\d+\]", "[]", key).split(".")
    if len(parts) > 1 and f"{parts[0]}.*.{'.'.join(parts[2:])}" in known:
        parts[1] = "*"
    return ".".join(parts)


def _bare(name: str) -> str:
    return re.sub(r"\.\*|\[\]", "", name)


@click.command()
def schema() -> None:
    """A JSON Schema of the file, for editors: completion, meanings, and faults while one writes."""
    from shared.admin.schema import schema as made

    try:
        known = meanings()
    except OSError:
        known = {}  #  a schema without descriptions is one all the same
    click.echo(json.dumps(made(known), indent=1, ensure_ascii=False))


def _end_if_nothing(found: object, key: str) -> None:
    if not found:
        hint = did_you_mean(key, [*names_of()])
        click.echo(printable(f"mercury: there is no setting {key}{hint}"), err=True)
        sys.exit(NOTHING_MATCHED)


def _is_below(name: str, key: str) -> bool:
    return not key or name == key or name.startswith((f"{key}.", f"{key}["))


_ABSENT = object()


def _within(value: Any, part: str) -> Any:
    if isinstance(value, dict):
        return value.get(part, _ABSENT)
    if isinstance(value, list) and part.isdecimal() and int(part) < len(value):
        return value[int(part)]
    return _ABSENT
