"""One account: who gets which token when, what is asked of the provider and how often, and what stays on the disk."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Awaitable, Callable, Mapping
from functools import wraps
from pathlib import Path
from typing import Any

import pytest

from shared.config.oauth import OAuth
from shared.config.reading import read
from shared.oauth import account as room
from shared.oauth.account import Account, NoToken, granted
from shared.oauth.answers import Granted
from shared.oauth.endpoint import EndpointDown
from shared.oauth.forms import Form, Forms
from shared.oauth.standing import standing_of
from shared.oauth.token_file import Kept, TokenFile

Said = tuple[int, Mapping[str, object] | None]
DOWN = EndpointDown("login.example: connection refused")
LOST: Said = (400, {"error": "invalid_grant", "error_description": "consent withdrawn\r\nreally"})


def ok(number: int, lifetime: float = 3600, **more: object) -> Said:
    return 200, {"access_token": f"token-{number}", "token_type": "Bearer", "expires_in": lifetime, **more}


class Scene:
    """An account with a provider whose answers the test gives, and a clock it sets."""

    def __init__(self, state: Path, **settings: Any) -> None:
        given = {"client_id": "app", "token_url": "https://login.example/t", "device_url": "https://login.example/d"}
        self.settings = read(OAuth, {**given, **settings}, str(state))
        self.file = TokenFile(state, "office", self.settings)
        self.time = 1000.0
        self.answers: list[Said | EndpointDown | asyncio.Future[Said]] = []
        self.asked: list[dict[str, str]] = []
        self.was_asked = asyncio.Event()
        self.told: list[tuple[str, str]] = []
        self.tell_error: OSError | None = None
        self.account = self.make()

    def make(self) -> Account:
        forms = Forms(self.settings, lambda path: "s3cret", lambda: self.time)
        return Account("office", self.settings, self.file, self, forms, lambda: self.time, self.tell)  # type: ignore[arg-type]

    async def ask(self, url: str, form: Form) -> Said:
        self.asked.append(form.fields)
        self.was_asked.set()
        answer = self.answers.pop(0)
        if isinstance(answer, EndpointDown):
            raise answer
        return await answer if isinstance(answer, asyncio.Future) else answer

    async def tell(self, subject: str, text: str) -> None:
        if self.tell_error is not None:
            raise self.tell_error
        self.told.append((subject, text))

    def log_in(self, number: int = 0, lifetime: float = 3600) -> None:
        """What `mercury login` does."""
        kept = Kept(self.file.made_for)
        self.file.write(granted(kept, Granted(f"token-{number}", lifetime, f"refresh-{number}"), self.time))

    @property
    def kept(self) -> Kept:
        return self.file.read()

    def standing(self) -> tuple[str, str]:
        standing = standing_of("office", self.settings, self.kept, self.time)
        return standing.word.value, standing.text


def played(scene: Callable[[Path], Awaitable[None]]) -> Callable[[Path], None]:
    @wraps(scene)
    def run(tmp_path: Path) -> None:
        asyncio.run(asyncio.wait_for(scene(tmp_path), 30))  # type: ignore[arg-type]

    return run


async def finished(account: Account) -> None:
    if account._refresh is not None:
        await asyncio.wait([account._refresh])


@played
async def test_nobody_has_logged_in_and_then_somebody_has(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    with pytest.raises(NoToken, match="run 'mercury login office'"):
        await scene.account.token()
    scene.log_in()
    assert await scene.account.token() == "token-0"
    assert scene.asked == [] and scene.told == []


@played
async def test_a_token_is_renewed_ahead_of_its_end_and_nobody_waits_for_that(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    scene.log_in()
    await scene.account.token()
    scene.time += 3600 - 301
    assert await scene.account.token() == "token-0" and scene.asked == []
    scene.time += 2
    slow: asyncio.Future[Said] = asyncio.get_running_loop().create_future()
    scene.answers = [slow]
    assert await scene.account.token() == "token-0"
    assert await scene.account.token() == "token-0"
    await asyncio.sleep(0)
    slow.set_result(ok(1, refresh_token="refresh-1"))
    await finished(scene.account)
    assert await scene.account.token() == "token-1"
    assert [asked["refresh_token"] for asked in scene.asked] == ["refresh-0"]
    assert (scene.kept.token, scene.kept.refresh_token) == ("token-1", "refresh-1")
    await scene.account.close()


@played
async def test_all_who_find_it_expired_wait_for_one_refresh(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    scene.log_in()
    scene.time += 4000
    scene.answers = [ok(1)]
    tokens = await asyncio.gather(*(scene.account.token() for _ in range(5)))
    assert tokens == ["token-1"] * 5 and len(scene.asked) == 1
    assert scene.kept.refresh_token == "refresh-0", "none was given, so the old one stays"
    await scene.account.close()


@played
async def test_it_is_renewed_when_nobody_asks(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    scene.log_in(lifetime=3600)
    scene.time += 3600
    scene.answers = [ok(1)]
    scene.account.start()
    await scene.was_asked.wait()
    await finished(scene.account)
    assert scene.kept.token == "token-1" and not scene.told
    await scene.account.close()


@played
async def test_a_provider_that_is_down_is_asked_again_after_a_pause(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    scene.log_in()
    scene.time += 4000
    scene.answers = [DOWN, (503, None), ok(1)]
    for _ in range(3):
        with pytest.raises(NoToken, match="connection refused"):
            await scene.account.token()
    assert len(scene.asked) == 1 and scene.told == []
    assert scene.standing()[0] == "waiting"
    scene.time += room.FIRST_PAUSE
    with pytest.raises(NoToken, match="status 503"):
        await scene.account.token()
    scene.time += 2 * room.FIRST_PAUSE
    assert await scene.account.token() == "token-1"
    assert scene.standing() == ("good", "token good for 60 min") and scene.told == []
    await scene.account.close()


@played
async def test_a_consent_that_is_gone_is_told_once_and_not_asked_for_again(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    scene.log_in()
    scene.time += 4000
    scene.answers = [LOST]
    for _ in range(3):
        with pytest.raises(NoToken, match=r"consent withdrawn.*really; run 'mercury login office'"):
            await scene.account.token()
        scene.time += 86400
    assert len(scene.asked) == 1
    [(subject, text)] = scene.told
    assert "office" in subject and "mercury login office" in text
    assert all(line.isprintable() for line in text.split("\n"))
    assert scene.standing()[0] == "lost"
    #  After a restart it is asked once more, and the postmaster knows already.
    scene.answers = [LOST]
    again = scene.make()
    with pytest.raises(NoToken):
        await again.token()
    assert len(scene.asked) == 2 and len(scene.told) == 1
    scene.log_in(5)
    assert await again.token() == "token-5" and scene.standing()[0] == "good"
    await again.close()


@played
async def test_a_notice_that_could_not_be_kept_is_sent_later(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    scene.log_in()
    scene.time += 4000
    scene.answers, scene.tell_error = [LOST], OSError("disk full")
    with pytest.raises(NoToken):
        await scene.account.token()
    scene.tell_error = None
    with pytest.raises(NoToken):
        await scene.account.token()
    await finished(scene.account)
    assert len(scene.told) == 1 and len(scene.asked) == 1 and scene.kept.is_told


@played
async def test_what_is_wrong_with_us_is_tried_again_as_it_may_be_set_right(tmp_path: Path) -> None:
    scene = Scene(tmp_path, grant="client", secret_file="secret", scopes=("smtp",))
    scene.answers = [(401, {"error": "invalid_client"}), (401, {"error": "invalid_client"}), ok(1)]
    with pytest.raises(NoToken, match="invalid_client"):
        await scene.account.token()
    for _ in range(2):
        scene.time += room.REFUSED_PAUSE + 1
        try:
            assert await scene.account.token() == "token-1"
        except NoToken:
            pass
    assert await scene.account.token() == "token-1"
    assert len(scene.told) == 1 and not scene.kept.is_lost
    assert scene.asked[0] == {"grant_type": "client_credentials", "scope": "smtp"}
    await scene.account.close()


@played
async def test_a_token_that_a_server_refuses_is_replaced_once(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    scene.log_in()
    scene.answers = [ok(1), ok(2)]
    refused = await scene.account.token()
    fresh = await asyncio.gather(*(scene.account.renewed(refused) for _ in range(3)))
    assert fresh == ["token-1"] * 3 and len(scene.asked) == 1
    assert await scene.account.renewed("token-1") is None, "it is not the token"
    assert await scene.account.renewed(refused) == "token-1"
    scene.time += 301
    assert await scene.account.renewed("token-1") == "token-2"
    await scene.account.close()


@played
async def test_a_login_during_a_refresh_is_the_newer_word(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    scene.log_in()
    scene.time += 4000
    slow: asyncio.Future[Said] = asyncio.get_running_loop().create_future()
    scene.answers = [slow]
    asking = asyncio.create_task(scene.account.token())
    await scene.was_asked.wait()
    scene.log_in(7)
    slow.set_result(LOST)
    assert await asking == "token-7"
    assert scene.kept.token == "token-7" and scene.told == []


@played
async def test_a_short_token_is_not_renewed_all_the_time(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    scene.log_in(lifetime=60)
    scene.time += 29
    assert await scene.account.token() == "token-0" and scene.asked == []
    await scene.account.close()


def test_the_file_is_for_its_owner_and_its_account_alone(tmp_path: Path) -> None:
    scene_settings: dict[str, Any] = {"client_id": "app", "token_url": "https://a.example/t"}
    file = TokenFile(tmp_path, "office", read(OAuth, scene_settings))
    file.write(Kept(file.made_for, "t0ken", 1.0, 2.0, "r3fresh"))
    path = tmp_path / "oauth" / "office.json"
    assert path.stat().st_mode & 0o777 == 0o600 and path.parent.stat().st_mode & 0o777 == 0o700
    assert os.listdir(path.parent) == ["office.json"]
    assert file.read().token == "t0ken"
    assert "t0ken" not in repr(file.read()) and "r3fresh" not in repr(file.read())
    other = TokenFile(tmp_path, "office", read(OAuth, {**scene_settings, "client_id": "other"}))
    assert other.read() == Kept(other.made_for)
    for rubbish in ("", "[]", "{", json.dumps({"made_for": 1, "x": 2})):
        path.write_text(rubbish)
        assert file.read() == Kept(file.made_for)


def test_a_write_that_fails_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = TokenFile(tmp_path, "office", read(OAuth, {"client_id": "a", "token_url": "https://a.example/t"}))
    file.write(Kept(file.made_for, "old"))

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("shared.oauth.token_file.os.fsync", full)
    with pytest.raises(OSError):
        file.write(Kept(file.made_for, "new"))
    assert file.read().token == "old" and os.listdir(tmp_path / "oauth") == ["office.json"]
