"""Hostile servers, and the tests that show what our client does with each: the map, and that every test in it is there."""

from __future__ import annotations

import pytest
from fakes.claims import missing

OPENING, MAIL = "smtp/test_smtp_client_opening.py", "smtp/test_smtp_client_transactions.py"
ERRAND, REPLIES = "smtp/test_smtp_client_errand.py", "smtp/test_smtp_client_replies.py"
STUFFING, TLS = "smtp/test_smtp_client_stuffing.py", "tls/test_tls_client.py"
LIMITS = "tls/test_tls_client_limits.py"
CONNECTION, POOL = "transport/test_transport_connection.py", "transport/test_transport_pool.py"
FITTING, HOSTILE = "transport/test_transport_fitting.py", "endtoend/test_relay_hostile.py"

#  What the server does: file and test, one or several.
SHOWN = {
    "C-01 words behind the answer to STARTTLS": [
        (OPENING, "test_words_behind_the_answer_to_starttls_end_the_conversation"),
        (HOSTILE, "test_words_slipped_in_before_the_handshake_are_not_believed"),
    ],
    "C-02 half a line behind it": [(OPENING, "test_words_behind_the_answer_to_starttls_end_the_conversation")],
    "C-03 no STARTTLS, 454, 502, plain text for the handshake": [
        (OPENING, "test_a_demanded_tls_is_demanded"),
        (OPENING, "test_plain_text_in_place_of_the_handshake_ends_it"),
        (OPENING, "test_a_password_is_not_sent_in_clear"),
        (OPENING, "test_tls_that_is_only_welcome_may_be_refused"),
    ],
    "C-04 certificates that prove nothing": [
        (TLS, "test_a_certificate_for_somebody_else_is_not"),
        (TLS, "test_why_a_chain_is_not_believed_is_said"),
        (TLS, "test_a_common_name_names_nobody"),
        ("endtoend/test_tls_to_strangers.py", "test_the_table_of_the_documentation"),
    ],
    "C-05 AUTH offered only before TLS, or something weaker": [
        (OPENING, "test_tls_comes_first_and_only_what_is_offered_inside_counts"),
        (OPENING, "test_nothing_weaker_is_used"),
    ],
    "C-06 replies without end, without sense, too long": [
        (REPLIES, "test_the_limits_hold"),
        (REPLIES, "test_what_is_no_reply_is_malformed"),
        (REPLIES, "test_of_a_long_line_the_beginning_is_kept"),
        (HOSTILE, "test_the_mail_arrives_all_the_same"),
    ],
    "C-07 enhanced codes that end early or contradict": [
        (REPLIES, "test_a_reply_is_read_whole_and_one_octet_at_a_time")
    ],
    "C-08 line ends of other scripts in a reply": [(REPLIES, "test_text_comes_out_printable_on_one_line")],
    "C-09 421 anywhere, gone after the dot": [
        (MAIL, "test_421_may_come_at_any_point_and_delivers_nothing"),
        (MAIL, "test_a_connection_lost_after_the_end_may_have_delivered"),
        ("endtoend/test_relay_maybe_delivered.py", "test_the_same_host_is_asked_first_and_the_trail_says_so"),
        (HOSTILE, "test_the_mail_arrives_all_the_same"),
    ],
    "C-10 another answer for each recipient, 354 for nobody": [
        (MAIL, "test_each_recipient_has_its_own_answer"),
        (MAIL, "test_an_invitation_to_send_to_nobody_is_not_accepted"),
    ],
    "C-11 an answer in the middle of the message, or no reading": [
        (CONNECTION, "test_an_answer_is_heard_while_we_are_speaking"),
        (CONNECTION, "test_a_peer_that_reads_nothing_is_given_up"),
        (HOSTILE, "test_a_server_that_reads_slowly_gets_every_octet"),
    ],
    "C-12 answers out of count": [
        (MAIL, "test_an_answer_too_many_is_counted_for_nobody"),
        (MAIL, "test_answers_out_of_count_deliver_nothing"),
    ],
    "C-13 SIZE that is none, or too small; no 8BITMIME, no SMTPUTF8": [
        (ERRAND, "test_a_size_that_is_no_limit"),
        (ERRAND, "test_a_message_larger_than_the_server_takes_fails_here"),
        (ERRAND, "test_an_address_beyond_ascii_needs_smtputf8"),
        (FITTING, "test_eight_bit_mail_is_converted_for_a_server_of_seven"),
    ],
    "C-14 a message with bare line ends and dots": [
        (STUFFING, "test_dots_are_doubled_and_line_ends_made_whole"),
        (STUFFING, "test_no_body_ends_the_data_early_and_none_is_changed_but_in_its_line_ends"),
    ],
    "C-15 an address with a line end": [
        (ERRAND, "test_an_address_cannot_leave_its_brackets"),
        (ERRAND, "test_whatever_an_address_holds_a_command_is_one_line"),
    ],
    "C-16 silence, and an octet now and then": [
        (OPENING, "test_each_state_has_its_patience"),
        (CONNECTION, "test_the_last_answer_has_ten_minutes_and_not_one_more_for_every_octet"),
        (CONNECTION, "test_a_handshake_that_stalls_is_given_up"),
        (POOL, "test_a_hop_that_does_not_answer_holds_up_nobody_else"),
    ],
    "C-17 a server with our own name": [(OPENING, "test_a_server_with_our_name_is_ourselves")],
    "C-18 gone in the middle of an answer, with TLS's goodbye or without; renegotiation, early data": [
        (MAIL, "test_half_an_answer_is_none"),
        (LIMITS, "test_an_answer_that_tls_cuts_off_is_none"),
        (LIMITS, "test_an_answer_that_was_whole_counts_whatever_became_of_tls"),
        (LIMITS, "test_nobody_renegotiates_with_us"),
        (LIMITS, "test_a_server_that_takes_early_data_gets_none"),
        (HOSTILE, "test_the_mail_arrives_all_the_same"),
    ],
}


@pytest.mark.parametrize("server", SHOWN)
def test_each_has_its_tests(server: str) -> None:
    assert missing(SHOWN[server]) == []


def test_none_is_left_out() -> None:
    assert [server.split()[0] for server in SHOWN] == [f"C-{number:02}" for number in range(1, 19)]
