"""The folder conf.d: read after the file, joined with it, and every value keeps its place."""

from __future__ import annotations

from pathlib import Path

import pytest

from shared.config.load import ConfigErrors, load
from shared.config.standing import changed_keys, standings

MAIN = """\
hostname: mail.hq.example
sites:
  hq:
    networks: [192.168.1.0/24]
    delivery: hold
routes:
  - {to: [a.example], deliver: direct}
"""


def house(folder: Path, **parts: str) -> Path:
    (folder / "mercury.yaml").write_text(MAIN)
    (folder / "conf.d").mkdir()
    for name, text in parts.items():
        (folder / "conf.d" / f"{name}.yaml").write_text(text)
    return folder / "mercury.yaml"


def test_groups_are_joined_and_lists_go_on_in_the_order_of_the_names(tmp_path: Path) -> None:
    path = house(
        tmp_path,
        b="routes: [{to: [c.example], deliver: hold}]\nretry: {first: 2m}\n",
        a="site: hq\nroutes:\n  - {to: [b.example], deliver: hold}\nsites: {hq: {language: de}}\n",
    )
    (tmp_path / "conf.d" / "notes.txt").write_text("not: [ours")
    config = load(path)
    assert [route.to for route in config.routes] == [("a.example",), ("b.example",), ("c.example",)]
    assert config.routes[1].source == f"{tmp_path}/conf.d/a.yaml:3"
    places = {one.key: one.place for one in standings(config) if not one.is_default}
    assert places["site"] == f"{tmp_path}/conf.d/a.yaml:1"
    assert places["retry.first"] == f"{tmp_path}/conf.d/b.yaml:2"
    assert places["sites.hq.delivery"] == f"{tmp_path}/mercury.yaml:5"
    assert places["sites.hq.language"] == f"{tmp_path}/conf.d/a.yaml:4"


def test_faults_are_told_with_the_file_they_stand_in(tmp_path: Path) -> None:
    path = house(
        tmp_path, a="hostname: other.example\nretri: {}\nretry: {first: never}\nroutes:\n  - {deliver: hold}\n"
    )
    with pytest.raises(ConfigErrors) as caught:
        load(path)
    part = f"{tmp_path}/conf.d/a.yaml"
    assert [str(problem).partition(": error: ")[::2] for problem in caught.value.problems] == [
        (f"{part}:1:1", f"'hostname' is already given at {tmp_path}/mercury.yaml:1"),
        (f"{part}:2:1", "unknown setting 'retri'; did you mean 'retry'?"),
        (f"{part}:3:16", "'never' is no duration: write a number with s, m, h, d or w, like 5m or 1h30m"),
        (f"{part}:5:5", "'to' is missing"),
    ]


def test_files_that_cannot_be_read_are_told_all_together_and_hidden_ones_are_not_read(tmp_path: Path) -> None:
    path = house(tmp_path, b="bad: [\n", c="a: 1\n---\nb: 2\n", d="", e="hostname: x.example\n")
    folder = tmp_path / "conf.d"
    (folder / "a.yaml").mkdir()
    (folder / "f.yaml").symlink_to("/nowhere/at/all")
    (folder / "g.yaml").write_bytes(b"site: hq\n# \xff\n")
    (folder / ".h.yaml").write_text("not: [ours")
    (folder / "i.yaml.bak").write_text("not: [ours")
    with pytest.raises(ConfigErrors) as caught:
        load(path)
    assert [str(problem).removeprefix(str(folder))[:40] for problem in caught.value.problems] == [
        "/a.yaml: error: cannot be read: Is a dir",
        "/b.yaml:2:1: error: while parsing a flow",
        "/c.yaml:2:1: error: expected a single do",
        "/e.yaml:1:1: error: 'hostname' is alread",
        "/f.yaml: error: cannot be read: No such ",
        "/g.yaml:2:3: error: the file is not UTF-",
    ]


def test_an_empty_part_and_no_folder_at_all_change_nothing(tmp_path: Path) -> None:
    path = house(tmp_path, a="", b="# nothing yet\n")
    whole = load(path)
    for part in (tmp_path / "conf.d").iterdir():
        part.unlink()
    (tmp_path / "conf.d").rmdir()
    assert load(path) == whole
    (tmp_path / "conf.d").write_text("not a folder")
    assert load(path) == whole


def test_a_name_that_is_nearly_right_is_not_passed_over(tmp_path: Path) -> None:
    path = house(tmp_path)
    for name in ("site.yml", "SITE.YAML"):
        (tmp_path / "conf.d" / name).write_text("site: hq\n")
    with pytest.raises(ConfigErrors) as caught:
        load(path)
    assert ["is not read" in problem.text for problem in caught.value.problems] == [True, True]


def test_what_changed_is_told_by_names_and_not_by_lines_or_values(tmp_path: Path) -> None:
    old = load(house(tmp_path))
    (tmp_path / "mercury.yaml").write_text("\n\n" + MAIN.replace("hold", "direct"))
    (tmp_path / "conf.d/a.yaml").write_text("sites: {branch: {delivery: direct}}\nsite: hq\n")
    changed = changed_keys(old, load(tmp_path / "mercury.yaml"))
    assert changed[0] == "sites.hq.delivery"
    assert "sites.branch" in changed and "routes[0].to" not in changed
    assert not [name for name in changed if name.startswith("sites.branch.")], "what is new is named as a whole"
    assert all(name.startswith("sites.") for name in changed)
