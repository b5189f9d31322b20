"""Where a process finds a secret: in its credentials if it was given one, else in the file."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from shared.config.load import ConfigErrors, parse
from shared.config.secret import credential_for, fault_of_secret

TEXT = """
hostname: mail.hq.example
sites:
  hq:
    delivery: relay
    smarthosts: [{host: smtp.isp.example, login: office, password_file: secrets/mercury-c/isp}]
"""


@pytest.fixture
def given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "credentials"
    folder.mkdir()
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(folder))
    return folder


@pytest.mark.parametrize("name", ["mercury-c_isp", "isp"])
def test_the_credential_takes_the_place_of_the_file(given: Path, tmp_path: Path, name: str) -> None:
    (given / name).write_text("pass\n")
    (given / name).chmod(0o440)  # what the rights look like that systemd gives
    config = parse(TEXT, tmp_path / "mercury.yaml", lambda: "")
    assert config.sites["hq"].smarthosts[0].password_file == given / name


def test_the_name_with_the_folder_goes_before(given: Path) -> None:
    (given / "c_isp").write_text("x")
    (given / "isp").write_text("y")
    assert credential_for(Path("/etc/mercury/secrets/c/isp")) == given / "c_isp"
    assert credential_for(Path("/etc/mercury/secrets/c/other")) == Path("/etc/mercury/secrets/c/other")


def test_without_credentials_it_is_the_file(tmp_path: Path) -> None:
    assert credential_for(tmp_path / "isp", {}) == tmp_path / "isp"
    with pytest.raises(ConfigErrors, match="does not exist"):
        parse(TEXT, tmp_path / "mercury.yaml", lambda: "")


def test_a_folder_closed_to_us_is_another_daemons(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def closed(path: object) -> os.stat_result:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "stat", closed)
    assert fault_of_secret(tmp_path / "isp") == ""
