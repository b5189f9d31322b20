"""The rows of the proof: what each is about, when it passes, and the tests that show it.

A test is named by its file and, if not all of the file is meant, by its function; one test may stand in several rows. What
each row does in detail: docs/proof.md. Not here: how the tests are run (run.py) and their results kept (table.py).
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    """`tests` are relative to tests/. `missing`: why there is nothing to run."""

    id: str
    what: str
    mark: str
    tests: tuple[str, ...] = ()
    missing: str = ""

    def has(self, node: str) -> bool:
        """Whether the test `node` (as pytest names it, from the folder of the project) is one of this row's."""
        path = node.removeprefix("tests/")
        return any(path == test or path.startswith((test + "::", test + "[")) for test in self.tests)


CRASH = "endtoend/test_crash.py::"
LANE = "spool/test_spool_lane.py::"
LIMITS = "endtoend/test_limits.py::"
LISTENER = "mercury_s/test_s_listener.py::"
CARRIER = "transport/test_transport_carrier.py::"
CONNECTION = "transport/test_transport_connection.py::"
POOL = "transport/test_transport_pool.py::"
RUNNER = "delivery/test_runner.py::"
STOP = "delivery/test_runner_stop.py::"

ROWS = (
    Row(
        "R-01",
        "500 kill -9 at random moments of all daemons and workers under load",
        "0 lost, 0 torn, no copy but of what was in flight",
        (
            "proof/test_proof_kill.py",
            CRASH + "test_the_server_is_killed_under_load",
        ),
    ),
    Row(
        "R-02",
        "each daemon killed alone, and each worker",
        "0 lost, the others go on, the orphans end",
        (
            CRASH + "test_the_relay_is_killed_at_work",
            CRASH + "test_the_end_to_end_client_is_killed_at_work",
            CRASH + "test_workers_do_not_outlive_their_daemon",
            "endtoend/test_workers.py::test_a_worker_killed_under_load_loses_nothing_and_is_replaced",
        ),
    ),
    Row(
        "R-03",
        "power cut: the device's write log, cut anywhere, un-flushed writes dropped at random",
        "0 acknowledged lost, 0 torn",
        ("proof/test_proof_write_log.py",),
    ),
    Row(
        "R-04",
        "power cut: instant images of the disk, and the file system shut down, under load",
        "0 acknowledged lost, 0 torn",
        ("proof/test_proof_image.py",),
    ),
    Row(
        "R-05",
        "SIGKILL at every system call of deposit, claim, settle, bounce, move",
        "absent and unacknowledged, or there once; settled is settled",
        ("endtoend/test_spool_kill.py", "spool/test_spool_crash.py", "spool/test_spool_ids.py"),
    ),
    Row(
        "R-06",
        "every system call fails: EIO, ENOSPC, EDQUOT, EMFILE; in the daemons too, by strace",
        "4xx, never 250 or 5xx, nothing left, a sync never repeated, 0 lost",
        (
            "proof/test_proof_errors.py",
            "maildir/test_committer.py",
            "maildir/test_spill.py",
            "spool/test_spool_deposit.py::test_an_error_at_any_call_is_told_and_leaves_nothing",
            LANE + "test_after_an_error_of_the_disk_the_claim_is_still_ours_and_can_be_settled",
            LANE + "test_shortage_is_not_damage",
            STOP + "test_a_delivered_message_that_cannot_be_retired_is_not_carried_again",
            STOP + "test_a_claim_that_fails_is_tried_at_the_next_scan",
        ),
    ),
    Row(
        "R-07",
        "short writes",
        "the message is whole",
        ("maildir/test_write.py", "spool/test_spool_trail.py"),
    ),
    Row(
        "R-08",
        "disk full while receiving, relaying and delivering; room again",
        "452 4.3.1, 0 lost, goes on by itself",
        (
            "proof/test_proof_disk.py::test_a_disk_that_fills_up",
            CRASH + "test_a_full_mailbox_disk_makes_local_mail_wait",
            CRASH + "test_a_full_disk_is_452_until_there_is_room",
            CRASH + "test_a_failing_disk_is_452_and_the_listener_goes_on",
            STOP + "test_a_bounce_that_finds_the_disk_full_keeps_its_cause",
            STOP + "test_a_full_disk_does_not_hold_up_what_is_only_deferred",
        ),
    ),
    Row(
        "R-09",
        "no inodes left; then there are",
        "452 or 451, 0 lost, goes on by itself",
        ("proof/test_proof_disk.py::test_inodes_run_out",),
    ),
    Row(
        "R-10",
        "the kernel makes the spool read-only in the middle of the load",
        "4xx, an event, alive and quiet; after repair 0 lost",
        ("proof/test_proof_disk.py::test_the_spool_becomes_read_only",),
    ),
    Row(
        "R-11",
        "64 descriptors, 200 clients",
        "refused politely, no spinning, sessions go on, service back in 2 s",
        (LIMITS + "test_with_64_descriptors_and_200_clients_it_refuses_politely_and_does_not_spin",),
    ),
    Row(
        "R-12",
        "100 clients with 10 MiB each at once",
        "memory below 256 MiB, all delivered whole",
        ("proof/test_proof_crowd.py::test_large_messages_do_not_fill_the_memory",),
    ),
    Row(
        "R-13",
        "10,000 idle sessions from 200 addresses while mail flows",
        "mail flows; who has too many from one address is told 421",
        (
            "proof/test_proof_crowd.py::test_mail_flows_among_ten_thousand_idle_sessions",
            LISTENER + "test_a_network_has_its_share",
            LISTENER + "test_the_last_places_are_for_those_we_know",
        ),
    ),
    Row(
        "R-14",
        "slowloris: 500 clients, an octet now and then, in every phase",
        "each is cut by its time, a good client is served meanwhile",
        (
            "proof/test_proof_crowd.py::test_slow_clients_in_every_phase",
            LIMITS + "test_an_octet_now_and_then_holds_nobody",
            LIMITS + "test_when_it_gets_crowded_strangers_get_little_time_and_the_site_comes_through",
            LIMITS + "test_a_handshake_has_its_time_and_ends_it_when_it_is_done",
        ),
    ),
    Row(
        "R-15",
        "clients that never read their replies",
        "bounded memory, dropped in time",
        ("proof/test_proof_crowd.py::test_who_never_reads_is_let_go",),
    ),
    Row(
        "R-16",
        "10,000 connections reset or half closed in every state",
        "descriptors back to where they were, nothing half in the spool",
        ("proof/test_proof_crowd.py::test_resets_in_every_state_leave_nothing_behind",),
    ),
    Row(
        "R-17",
        "the 250 is lost after every octet of it",
        "kept once; no second copy but by the client's own repeat",
        ("proof/test_proof_crowd.py::test_the_reply_is_cut_after_every_octet",),
    ),
    Row(
        "R-18",
        "the peer drops after the final dot without an answer",
        "tried again, not bounced, noted as perhaps delivered",
        ("endtoend/test_relay_maybe_delivered.py", "delivery/test_same_host.py"),
    ),
    Row(
        "R-19",
        "DNS that is dead, slow, refusing, failing, truncating, lying",
        "put off and never bounced; answers of others are not believed",
        (
            "proof/test_proof_names.py",
            "endtoend/test_dns_real_server.py",
            "endtoend/test_bounce.py::test_what_the_dns_says_is_final_or_not",
            "dns/test_dns_resolver.py",
        ),
    ),
    Row(
        "R-20",
        "DNS gone while 500 messages wait, then back",
        "0 bounced, all delivered after its return",
        ("proof/test_proof_names.py::test_mail_waits_for_a_dns_that_is_dead_slow_or_lying",),
    ),
    Row(
        "R-21",
        "smarthost: 4xx storm at the banner, at MAIL, at RCPT, at DATA, after the dot",
        "0 bounced, few connections, all delivered after it",
        (
            "proof/test_proof_smarthost.py",
            "endtoend/test_relay_hostile.py",
            POOL + "test_a_server_that_puts_mail_off_gets_fewer_connections_and_one_that_takes_it_more",
            "retry/test_retry_schedule.py",
        ),
    ),
    Row(
        "R-22",
        "smarthost: black holes and slow readers at every state",
        "given up in the times of RFC 5321, other destinations go on",
        (
            "proof/test_proof_smarthost.py",
            "endtoend/test_fairness.py",
            CRASH + "test_a_silent_smarthost_does_not_hold_up_the_end",
            CONNECTION + "test_a_peer_that_reads_nothing_is_given_up",
            CONNECTION + "test_the_last_answer_has_ten_minutes_and_not_one_more_for_every_octet",
            CONNECTION + "test_a_handshake_that_stalls_is_given_up",
        ),
    ),
    Row(
        "R-23",
        "TLS that fails: expired, wrong name, self-signed, plain words, reset",
        "the policy decides; never clear text with a password, never a bounce at once",
        (
            "endtoend/test_tls.py",
            CARRIER + "test_a_broken_tls_that_was_only_welcome_is_done_without_once",
            CARRIER + "test_a_password_or_a_demand_is_never_given_up_for_clear_text",
            CARRIER + "test_requiretls_makes_every_hop_a_verified_one",
        ),
    ),
    Row(
        "R-24",
        "the clock jumps a day ahead, a day back, ten years ahead, running and over restarts",
        "nothing expires by it, names stay unique, mail goes on",
        (
            "proof/test_proof_clock.py",
            RUNNER + "test_a_clock_that_goes_back_does_not_strand_what_waits",
            RUNNER + "test_a_clock_that_goes_ahead_and_back_between_two_scans_strands_nothing",
            RUNNER + "test_a_clock_that_goes_ahead_bounces_nothing",
            "spool/test_spool_ids.py::test_a_clock_that_goes_back_brings_no_id_back",
            "spool/test_spool_owner.py::test_another_hosts_clock_does_not_matter",
        ),
    ),
    Row(
        "R-25",
        "a lane of 100,000 deferred messages",
        "first attempt 2 s after the start, 120 MB, queue summary 1 s, new mail within 1 s",
        ("proof/test_proof_scale.py",),
    ),
    Row(
        "R-26",
        "corrupt, truncated, empty, foreign, linked, unreadable files in every folder of the spool",
        "set aside and said, never followed, never fatal; good mail goes on",
        (
            "proof/test_proof_rot.py",
            "spool/test_spool_set_aside.py",
            "spool/test_spool_record.py",
            CRASH + "test_a_rotten_entry_is_set_aside_and_the_lane_goes_on",
        ),
    ),
    Row(
        "R-27",
        "loops: bounce of a bounce, an alias to itself, a smarthost that leads back",
        "each comes to an end, below 110 deliveries",
        (
            "proof/test_proof_loop.py",
            "endtoend/test_reports.py::test_a_bounce_of_a_bounce_reaches_the_postmaster_and_ends_there",
            "endtoend/test_bounce.py::test_a_bounce_to_a_mailbox_that_is_gone_ends_there",
            "mercury_s/test_local_carrier.py::test_a_message_that_comes_back_to_an_alias_fails",
        ),
    ),
    Row(
        "R-28",
        "a spool of each release, opened by this version",
        "0 lost, each delivered to whom it was still to go",
        ("endtoend/test_released_spools.py",),
    ),
    Row(
        "R-29",
        "stop, restart, reload, new certificates under load",
        "what is under way ends, exit code 0 within 10 s, 0 lost",
        (
            CRASH + "test_ending_under_load_loses_nothing",
            "endtoend/test_workers.py::test_the_end_under_load_loses_nothing",
            "endtoend/test_workers.py::test_a_reload_reaches_every_worker",
            "endtoend/test_choice.py::test_relay_becomes_direct_while_mail_is_queued",
            "endtoend/test_logins.py::test_renewed_certificates_are_used_after_a_reload_or_by_themselves",
            STOP.removesuffix("::"),
        ),
    ),
    Row(
        "R-30",
        "a soak of two minutes with mixed faults (in place of 72 hours)",
        "descriptors, memory, threads flat; taken in = delivered + bounced + waiting",
        ("proof/test_proof_soak.py",),
    ),
    Row(
        "R-31",
        "a mailbox that cannot be written, a full quota",
        "put off for this mailbox, the others go on",
        (
            "proof/test_proof_rot.py::test_one_mailbox_is_broken",
            "mercury_s/test_local_carrier.py::test_a_mailbox_that_cannot_be_made_is_a_deferral",
            "mercury_s/test_local_carrier.py::test_what_a_file_system_answers_is_a_deferral",
            "mercury_s/test_local_quota.py",
        ),
    ),
    Row(
        "R-32",
        "two instances on one spool",
        "the second refuses to start and says why",
        (
            "proof/test_proof_rot.py::test_a_second_instance_refuses",
            "service/test_service_start.py::test_one_instance_and_no_more",
        ),
    ),
    Row(
        "R-33",
        "servers of others as smarthosts (Postfix with Dovecot, Exim), and with OpenSMTPD as mail exchangers",
        "what arrives is what was sent; a login refused waits, a recipient refused goes back; postgrey and a Postfix of "
        "few connections get what they want",
        ("endtoend/test_real_hosts.py", "endtoend/test_manners_to_postfix.py"),
    ),
    Row(
        "H-02",
        "two hosts, one spool on GlusterFS: both at work, one killed, the file system hangs for 50 s",
        "taken over within 60 s, 0 lost, copies only of what was in hand, no queue id twice",
        ("proof/test_proof_two_hosts.py", "spool/test_spool_owner.py"),
    ),
    Row(
        "H-03",
        "two hosts, one spool on NFSv4.2 (a guest's kernel): both at work, the server away for 10 s, one killed",
        "taken over within 60 s, 0 lost, copies only of what was in hand, no queue id twice",
        ("proof/test_proof_nfs.py",),
    ),
)  # fmt: skip
