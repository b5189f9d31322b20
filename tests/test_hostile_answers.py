"""What strangers can write into the DNS and onto their policy pages (docs/tls.md has the same rows with what becomes of
the mail), and the tests that show it: the map, and that every test in it is there."""

from __future__ import annotations

import re

import pytest
from fakes.claims import TESTS, missing

MX, REACH, ROUTE = "mercury_e/test_mx.py", "mercury_e/test_reach.py", "mercury_e/test_route.py"
DANE, STS = "mercury_e/test_dane.py", "mercury_e/test_mta_sts.py"
NAMES, WIRE, CACHE = "dns/test_dns_names.py", "dns/test_dns_wire.py", "dns/test_dns_cache.py"
RESOLVER, EXCHANGE = "dns/test_dns_resolver.py", "dns/test_dns_exchange.py"
BOUNDS, TLS = "transport/test_transport_bounds.py", "endtoend/test_tls_to_strangers.py"
REAL, STRANGE = "endtoend/test_dns_real_server.py", "endtoend/test_strange_answers.py"
BOGUS, OWN = "endtoend/test_bogus_answers.py", "mercury_e/test_interfaces.py"
#  A real name server, real daemons, and what they say in the end.
IN_THE_END = (STRANGE, "test_what_is_certain_goes_back_at_once_and_servfail_when_its_lifetime_ends")

SHOWN = {
    "D-01 null MX, alone and beside others": [
        (MX, "test_without_hosts_the_answer_is_an_outcome"),
        (MX, "test_the_answer_becomes_the_hosts_that_take_mail"),
        IN_THE_END,
    ],
    "D-02 addresses of this host, of this network, of nobody": [
        (REACH, "test_a_stranger_cannot_send_us_there"),
        (REACH, "test_the_operator_opens_networks_of_either_family_and_no_more"),
        (MX, "test_forbidden_addresses_are_left_out_and_the_others_dialled"),
        (MX, "test_an_own_address_cuts_off_its_host_and_all_that_are_no_better"),
        (MX, "test_nobody_as_good_as_ourselves_or_worse_is_left"),
        (MX, "test_an_address_literal_goes_straight_there_if_it_may"),
        (ROUTE, "test_another_name_of_ours_and_an_own_address_cut_off_too"),
        (OWN, "test_those_that_strangers_see_are_ours_too"),
        IN_THE_END,
    ],
    "D-03 a thousand hosts, a thousand addresses each, all dead": [
        (MX, "test_a_thousand_exchangers_are_ten"),
        (ROUTE, "test_a_set_of_a_thousand_hosts_with_a_thousand_addresses_stays_small"),
        (BOUNDS, "test_a_thousand_hosts_with_a_thousand_addresses_all_dead_cost_five_tries"),
        (BOUNDS, "test_after_two_sessions_that_break_off_nobody_else_is_asked"),
        (BOUNDS, "test_hosts_that_take_the_connection_and_say_nothing_have_ten_minutes_together"),
        (BOUNDS, "test_a_host_that_says_each_word_at_the_last_moment_has_no_more"),
    ],
    "D-04 aliases: one, twenty, a loop": [
        (RESOLVER, "test_mail_exchangers"),
        (RESOLVER, "test_addresses"),
        (RESOLVER, "test_an_alias_that_goes_from_question_to_question_in_a_circle_ends"),
        (REAL, "test_mail_exchangers"),
        (REAL, "test_addresses"),
    ],
    "D-05 NXDOMAIN, SERVFAIL, silence, nothing": [
        (MX, "test_without_hosts_the_answer_is_an_outcome"),
        (MX, "test_an_implicit_exchanger_without_an_address"),
        (ROUTE, "test_without_mx_the_domain_is_its_own_exchanger_by_either_family"),
        (EXCHANGE, "test_the_next_server_is_asked_and_without_one_the_trouble_has_words"),
        (REAL, "test_a_server_that_says_nothing_is_given_up_after_the_time_out"),
        IN_THE_END,
    ],
    "D-06 names that are none": [
        (NAMES, "test_what_is_no_host_name_stays"),
        (NAMES, "test_whatever_octets_come_only_harmless_characters_leave"),
        (RESOLVER, "test_records_of_hosts_that_are_none_are_left_out_and_all_of_them_is_not_none"),
        (RESOLVER, "test_octets_that_are_no_letters_do_not_come_through"),
        IN_THE_END,
    ],
    "D-07 records nobody asked for, forged, cut, endless": [
        (RESOLVER, "test_records_that_nobody_asked_for_are_not_read"),
        (WIRE, "test_what_is_no_reply_is_passed_over"),
        (WIRE, "test_no_octets_do_harm"),
        (REAL, "test_forged_and_broken_replies_are_not_believed"),
        (REAL, "test_an_answer_too_large_for_a_datagram_comes_by_tcp"),
        (EXCHANGE, "test_the_ad_bit_is_believed_only_when_every_server_is_on_this_host"),
    ],
    "D-08 bogus, TLSA that cannot be used or looked up": [
        (BOGUS, "test_an_answer_that_dnssec_disproves_waits"),
        (DANE, "test_a_host_whose_records_cannot_be_looked_up_is_left_out_and_the_others_are_tried"),
        (DANE, "test_without_any_host_left_the_mail_waits"),
        (DANE, "test_records_that_cannot_be_used_demand_tls_of_whoever_answers"),
        (DANE, "test_what_an_answer_demands"),
        (TLS, "test_the_table_of_the_documentation"),
    ],
    "D-09 policy pages that are none": [
        (TLS, "test_a_page_that_is_no_policy_keeps_no_mail_back"),
        (STS, "test_a_policy_is_read"),
        (STS, "test_what_is_no_policy"),
        (STS, "test_a_broken_page_leaves_the_policy_that_is_known"),
        (STS, "test_a_new_id_and_old_age_renew_it_behind_the_mail"),
        (BOGUS, "test_a_policy_page_that_never_ends_has_a_minute"),
    ],
    "D-10 a hundred equals, a TTL of 0 and of 2^31": [
        (MX, "test_equals_come_in_every_order"),
        (CACHE, "test_an_answer_is_believed_for_its_time_within_bounds"),
        (RESOLVER, "test_the_ttl_is_that_of_the_shortest_record"),
    ],
}


@pytest.mark.parametrize("answer", SHOWN)
def test_each_answer_has_its_tests(answer: str) -> None:
    assert missing(SHOWN[answer]) == []


def test_no_answer_is_left_out_here_or_in_the_book() -> None:
    rows = [f"D-{number:02}" for number in range(1, 11)]
    assert [answer.split()[0] for answer in SHOWN] == rows
    book = (TESTS.parent / "docs" / "tls.md").read_text()
    assert re.findall(r"^\| (D-\d\d) \|", book, re.MULTILINE) == rows
