"""The demonstration believes what it finds on disk, and nothing else."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from rich.console import Console

from shared.admin.demo.letters import ANNA, Answer, Ending, Letter, find_queue_id, the_letters
from shared.admin.demo.progress import Progress
from shared.admin.demo.stage import Ports, Stage
from shared.admin.demo.view import PlainView, table_of, words_to_try_by_hand

TAKEN = Answer(250, "2.0.0 queued as 7Q2M-K4ZC", "7Q2M-K4ZC")
LETTERS = {letter.ending: letter for letter in the_letters()}


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    stage = Stage(tmp_path, Ports(2525, 2587, 2526, 5353))
    stage.events.mkdir(parents=True)
    return stage


def put(maildir: Path, data: bytes) -> Path:
    (maildir / "new").mkdir(parents=True)
    (maildir / "new" / "1").write_bytes(data)
    return maildir / "new" / "1"


def course_of(stage: Stage, letter: Letter, answer: Answer = TAKEN) -> Progress:
    progress = Progress(stage, (letter,))
    progress.note_answer(progress.courses[0], answer)
    progress.look()
    return progress


@pytest.mark.parametrize(
    ("ending", "folder"),
    [
        (Ending.LOCAL, "mail/office.example/bert"),
        (Ending.SMARTHOST, "smarthost/customer.example/carol"),
        (Ending.PARTNER, "partner/partner.example/jürgen"),
    ],
)
def test_a_letter_has_arrived_when_its_copy_is_whole(stage: Stage, ending: Ending, folder: str) -> None:
    letter = next(letter for letter in the_letters() if letter.ending is ending)
    assert not course_of(stage, letter).is_over
    text = letter.message.replace(b"\r\n", b"\n")
    path = put(stage.folder / folder, b"Received: by us\n" + text[:-5])
    assert not course_of(stage, letter).is_over, "cut short"
    path.write_bytes(b"Received: by us\n" + text)
    assert course_of(stage, letter).courses[0].where == path


def test_a_bounce_is_a_report_about_this_letter(stage: Stage) -> None:
    letter = LETTERS[Ending.BOUNCED]
    head = b"Return-Path: <>\nContent-Type: multipart/report; report-type=delivery-status\n\n"
    path = put(stage.folder / "mail" / "office.example" / ANNA.split("@")[0], head + b"about something else\n")
    assert not course_of(stage, letter).is_over
    path.write_bytes(head + letter.recipient.encode() + letter.message)
    assert course_of(stage, letter).is_over


def test_a_refusal_must_be_550(stage: Stage) -> None:
    letter = LETTERS[Ending.REFUSED]
    assert course_of(stage, letter, Answer(550, "5.1.1 no such user")).courses[0].has_ended_well
    assert course_of(stage, letter).courses[0].trouble == "MercuryS took it and should not have"
    other = LETTERS[Ending.LOCAL]
    assert "refused" in course_of(stage, other, Answer(451, "4.3.0 later")).courses[0].trouble


def test_lane_and_last_event_are_shown(stage: Stage) -> None:
    (stage.spool / ".relay" / "cur").mkdir(parents=True)
    (stage.spool / ".relay" / "cur" / "1790000000.7Q2M-K4ZC.host,S=10,N=1:2,").touch()
    event = {"at": 1.0, "daemon": "mercury-c", "event": "recipient-deferred", "id": "7Q2M-K4ZC"}
    (stage.events / "mercury-c.jsonl").write_text(json.dumps(event) + "\n" + '{"half')
    progress = course_of(stage, LETTERS[Ending.SMARTHOST])
    assert progress.courses[0].lane == "relay"
    assert progress.courses[0].last_event == "recipient-deferred (mercury-c)"


def test_mail_by_hand_gets_a_row_of_its_own(stage: Stage) -> None:
    event = {"at": 1.0, "daemon": "mercury-s", "event": "message-accepted", "id": "9999-ZZZZ"}
    (stage.events / "mercury-s.jsonl").write_text(json.dumps(event) + "\n")
    progress = course_of(stage, LETTERS[Ending.LOCAL])
    assert [course.queue_id for course in progress.courses] == ["7Q2M-K4ZC", "9999-ZZZZ"]


def test_a_plain_view_says_each_change_once_and_no_control_characters(stage: Stage) -> None:
    out = io.StringIO()
    view = PlainView(Console(file=out))
    progress = course_of(stage, LETTERS[Ending.LOCAL], Answer(451, "4.3.0 \x1b[2J"))
    view.show(progress)
    view.show(progress)
    assert out.getvalue().count("\n") == 1
    assert "\x1b" not in out.getvalue()


def test_the_table_shows_text_as_text(stage: Stage) -> None:
    out = io.StringIO()
    progress = course_of(stage, LETTERS[Ending.LOCAL], Answer(451, "4.3.0 [bold]\x1b[2J"))
    Console(file=out, width=200).print(table_of(progress))
    assert "[bold]" in out.getvalue() and "\x1b" not in out.getvalue()


def test_the_words_for_the_hand_name_the_ports_and_folders(stage: Stage) -> None:
    words = words_to_try_by_hand(stage)
    assert "telnet 127.0.0.1 2525" in words and str(stage.local_mail) in words


@pytest.mark.parametrize("text", ["2.0.0 Ok: queued as 7Q2M-K4ZC", "2.0.0 7Q2M-K4ZC: taken", "[7Q2M-K4ZC]"])
def test_the_queue_id_is_found_in_the_reply(text: str) -> None:
    assert find_queue_id(text) == "7Q2M-K4ZC"
    assert find_queue_id("2.0.0 fine") == ""
