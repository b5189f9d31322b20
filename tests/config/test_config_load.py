"""The file becomes a configuration, or all of its faults with their places."""

from __future__ import annotations

import os
from ipaddress import ip_network
from pathlib import Path

import pytest

from shared.config.load import ConfigErrors, hostname_of_this_host, load, parse
from shared.config.model import Config
from shared.routing.next_hop import Tls
from shared.routing.site import SiteWord

HQ = """\
hostname: mail.hq.example
site: hq                                  # which of the sites below this host is
spool: spool
local:
  domains: [hq.example, Münchén.example]
  maildir: mail/{domain}/{user}
  users: users.yaml
tls: {certificate: tls/cert.pem, key: tls/key.pem}
receive:
  listeners:
    - {port: 25, kind: mx}
    - {port: 587, kind: submission}
    - {port: 465, kind: submission, tls: implicit}
    - {port: 2525, address: 127.0.0.1, networks: [127.0.0.0/8]}
  max_message_size: 50M
  workers: 2
  rules:
    - {networks: [192.168.1.50/32], action: relay, exempt: true}
    - networks: [0.0.0.0/0]
      action: refuse
  limits: {sessions: 900, sessions_per_client: 50, idle: 1m}
sites:
  hq:
    networks: [192.168.1.0/24, "2001:db8::/48"]
    delivery: relay
    smarthosts:
      - {host: smtp.isp.example, port: 465, login: office, password_file: secrets/isp}
      - {host: SMTP2.isp.example}
  branch:
    networks: [192.168.2.0/24]
    delivery: direct
routes:
  - {to: [partner.example], deliver: direct, tls: verify}
  - {to: ["*.hq.example"], via: {host: 10.0.0.5}}
retry: {first: 5m, factor: 2, longest: 4h, lifetime: 5d, bounce_lifetime: 1d, warn_after: 4h}
dns: {servers: ["127.0.0.1:5353"]}
direct: {port: 2525, allow_addresses: [10.0.0.0/8]}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "secrets").mkdir()
    secret = tmp_path / "secrets/isp"
    secret.write_text("sesame\n")
    secret.chmod(0o600)
    return tmp_path


def read(text: str, path: Path = Path("m.yaml")) -> Config:
    return parse(text, path, lambda: "host.example")


def errors_of(text: str, path: Path = Path("m.yaml")) -> list[str]:
    with pytest.raises(ConfigErrors) as refused:
        read(text, path)
    assert str(refused.value).splitlines() == [str(problem) for problem in refused.value.problems]
    return str(refused.value).splitlines()


def test_a_whole_site(folder: Path) -> None:
    (folder / "mercury.yaml").write_text(HQ)
    config = load(folder / "mercury.yaml")
    assert (config.hostname, config.site) == ("mail.hq.example", "hq")
    assert config.spool == folder / "spool"
    assert config.local.domains == ("hq.example", "xn--mnchn-esa3k.example")
    assert config.local.maildir == f"{folder}/mail/{{domain}}/{{user}}"
    assert (config.local.users, config.local.aliases) == (folder / "users.yaml", folder / "aliases")
    assert config.tls.pairs == ((folder / "tls/cert.pem", folder / "tls/key.pem"),)
    assert [(str(li.kind), str(li.tls)) for li in config.receive.listeners] == [
        ("mx", "starttls"), ("submission", "starttls"), ("submission", "implicit"), ("mx", "starttls"),
    ]  # fmt: skip
    assert config.receive.listeners[3].address == "127.0.0.1"
    assert config.receive.listeners[3].networks == (ip_network("127.0.0.0/8"),)
    assert config.receive.max_message_size == 50 * 2**20
    assert config.receive.workers == 2
    assert [(r.networks, str(r.action), r.exempt) for r in config.receive.rules] == [
        ((ip_network("192.168.1.50/32"),), "relay", True), ((ip_network("0.0.0.0/0"),), "refuse", False),
    ]  # fmt: skip
    assert [rule.source for rule in config.receive.rules] == [f"{folder}/mercury.yaml:{line}" for line in (18, 19)]
    limits = config.receive.limits
    assert (limits.sessions, limits.sessions_per_client, limits.recipients, limits.idle) == (900, 50, 1000, 60.0)
    first, second = config.sites["hq"].smarthosts
    assert (first.host, first.port, first.implicit, first.tls) == ("smtp.isp.example", 465, True, Tls.VERIFY)
    assert (first.login, first.password_file) == ("office", folder / "secrets/isp")
    assert (second.host, second.port, second.implicit, second.tls) == ("smtp2.isp.example", None, False, Tls.VERIFY)
    assert config.sites["branch"].delivery is SiteWord.DIRECT
    assert config.routes[0].to == ("partner.example",)
    assert (config.retry.first, config.retry.factor, config.retry.lifetime) == (300.0, 2.0, 432000.0)
    assert config.dns.servers == ("127.0.0.1:5353",)
    assert (config.direct.port, config.direct.allow_addresses) == (2525, (ip_network("10.0.0.0/8"),))


@pytest.mark.parametrize("text", ["", "# nothing yet\n", "---\n", "{}", "null\n", "receive:\nlocal:\nsites:\ntls:\n"])
def test_nothing_written_is_a_local_host(text: str) -> None:
    config = read(text)
    assert (config.hostname, config.site, config.local.domains) == ("host.example", "", ("host.example",))
    assert (str(config.spool), str(config.state), str(config.run)) == (
        "/var/spool/mercury", "/var/lib/mercury", "/run/mercury",
    )  # fmt: skip
    (listener,) = config.receive.listeners
    assert (listener.port, listener.address, listener.kind, listener.networks) == (25, "", "mx", ())
    assert config.receive.max_message_size == 50 * 2**20
    assert config.retry.warn_after == 4 * 3600
    assert config.tls.pairs == ()
    assert config.sites == {}
    assert config.dns.servers == ()


def test_what_this_host_calls_itself_can_stand_in_a_greeting() -> None:
    assert read(f"hostname: {hostname_of_this_host()}").hostname


def test_the_only_site_is_ours() -> None:
    assert read("sites: {hq: {delivery: hold}}").site == "hq"


def test_no_local_domains_can_be_said() -> None:
    assert read("local: {domains: []}").local.domains == ()


@pytest.mark.parametrize(
    ("port", "kind", "tls"),
    [
        (25, "mx", "starttls"),
        (587, "submission", "starttls"),
        (465, "submission", "implicit"),
        (2525, "mx", "starttls"),
    ],
)
def test_a_listener_follows_its_port(port: int, kind: str, tls: str) -> None:
    text = f"receive: {{listeners: [{{port: {port}}}]}}\ntls: {{certificate: c, key: k}}"
    (listener,) = read(text).receive.listeners
    assert (str(listener.kind), str(listener.tls)) == (kind, tls)


def test_what_is_said_of_a_listener_goes_before_its_port() -> None:
    (listener,) = read("receive: {listeners: [{port: 587, kind: mx, tls: off}]}").receive.listeners
    assert (str(listener.kind), str(listener.tls)) == ("mx", "off")


def test_every_certificate_with_its_key() -> None:
    text = "tls: {certificate: a, key: b, certificates: [{certificate: c, key: d}]}"
    config = read(text, Path("/etc/mercury/mercury.yaml"))
    assert config.tls.pairs == (
        (Path("/etc/mercury/a"), Path("/etc/mercury/b")), (Path("/etc/mercury/c"), Path("/etc/mercury/d")),
    )  # fmt: skip


def test_the_same_file_is_the_same_configuration_even_when_lines_move(folder: Path) -> None:
    path = folder / "mercury.yaml"
    one, other = parse(HQ, path), parse("# a note\n\n" + HQ, path)
    assert one == other
    assert one != parse(HQ.replace("port: 2525}", "port: 2526}").replace("2525, allow", "2526, allow"), path)


def test_nobody_changes_a_configuration() -> None:
    config = read("")
    with pytest.raises(AttributeError):
        config.hostname = "other"
    with pytest.raises(AttributeError):
        config.receive.workers = 9


def test_all_faults_at_once_in_the_order_of_the_file() -> None:
    text = """\
hostname: mail_hq
adress: x
site: hp
receive:
  listeners:
    - {prt: 25, kind: mx}
    - {port: 0025}
    - {port: 465}
  max_message_size: 50 megs
  limits: {session: 4, errors: yes}
sites:
  hq: {delivery: automatic, networks: [10.0.0.0/8], smart_hosts: []}
  b: {delivery: relay, networks: [10.1.0.0/16]}
  c: {networks: [10.1.2.0/24]}
  d: {delivery: direct, networks: [10.1.2.0/23]}
  "e f": {delivery: hold}
routes:
  - {to: [x.example]}
  - {deliver: direct, to: ["*x"]}
metrics: {listen: localhost}
web: {listen: "192.0.2.1:80"}
spool: 5
retry: [1]
spool: 6
dns: {servers: 127.0.0.1}
"""
    assert errors_of(text) == [
        "m.yaml:1:11: error: 'mail_hq': the domain is not a valid name",
        "m.yaml:2:1: error: unknown setting 'adress'",
        "m.yaml:3:7: error: there is no site 'hp' below 'sites'",
        "m.yaml:6:7: error: 'port' is missing",
        "m.yaml:6:8: error: unknown setting 'prt'; did you mean 'port'?",
        "m.yaml:7:14: error: '0025' is no port: write a number from 1 to 65535",
        "m.yaml:8:7: error: implicit TLS needs a certificate: name 'certificate' and 'key' below 'tls'",
        "m.yaml:9:21: error: '50 megs' is no size: write octets, or a number with K, M or G, like 50M",
        "m.yaml:10:12: error: unknown setting 'session'; did you mean 'sessions'?",
        "m.yaml:10:32: error: 'yes' is no number from 1 to 10000000",
        "m.yaml:12:18: error: 'automatic' is not possible here: say relay, direct, auto or hold; did you mean 'auto'?",
        "m.yaml:12:53: error: unknown setting 'smart_hosts'; did you mean 'smarthosts'?",
        "m.yaml:13:17: error: site 'b' relays, but names no 'smarthosts'",
        "m.yaml:14:6: error: 'delivery' is missing",
        "m.yaml:15:35: error: 10.1.2.0/23 overlaps with 10.1.0.0/16 of site 'b': a client belongs to one site",
        "m.yaml:16:3: error: 'e f' is no name for a site: use letters, digits, '.', '_' and '-'",
        "m.yaml:18:5: error: the route says neither 'deliver' nor 'via'",
        "m.yaml:19:28: error: '*x': a star stands alone or for the first labels: '*' or '*.example.org';"
        " write a domain, '*.domain', 'user@domain' or '*'",
        "m.yaml:20:19: error: 'localhost' is no address with a port, like 127.0.0.1:9925 or [::1]:9925",
        "m.yaml:21:15: error: '192.0.2.1:80' can be reached from other hosts, and the page speaks no TLS: use unix:/path or"
        " 127.0.0.1, and `ssh -L` or a web server with TLS in front of it",
        "m.yaml:22:8: error: expects text; put it in quotes: '5'",
        "m.yaml:23:8: error: expects settings, each as 'name: value'",
        "m.yaml:24:1: error: duplicate key 'spool' (first on line 22)",
        "m.yaml:25:16: error: expects a list, like [one, two] or one '- item' a line",
    ]


def test_a_password_in_the_file_is_refused_and_never_repeated() -> None:
    text = "sites: {a: {delivery: relay, smarthosts: [{host: b, login: c, password: sesame}]}}"
    (error,) = errors_of(text)
    assert "password_file" in error
    assert "sesame" not in error


def test_a_secret_is_in_no_repr(folder: Path) -> None:
    assert "sesame" not in repr(parse(HQ, folder / "mercury.yaml"))


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(ConfigErrors) as refused:
        load(tmp_path / "none.yaml")
    assert str(refused.value) == f"{tmp_path}/none.yaml: error: cannot be read: No such file or directory"
    with pytest.raises(ConfigErrors, match="cannot be read: Is a directory"):
        load(tmp_path)


def test_a_file_that_is_not_utf_8(tmp_path: Path) -> None:
    (tmp_path / "m.yaml").write_bytes(b"site: hq\nspool: /\xe9t\xe9\n")
    with pytest.raises(ConfigErrors) as refused:
        load(tmp_path / "m.yaml")
    assert str(refused.value) == f"{tmp_path}/m.yaml:2:9: error: the file is not UTF-8"


def test_a_byte_order_mark_is_no_fault(tmp_path: Path) -> None:
    (tmp_path / "m.yaml").write_bytes(
        b"\xef\xbb\xbfhostname: a.example\r\nsite: ''\r\n".replace(b"site: ''\r\n", b"")
    )
    assert load(tmp_path / "m.yaml").hostname == "a.example"


def test_relative_paths_start_at_the_file_wherever_we_stand(folder: Path) -> None:
    (folder / "mercury.yaml").write_text("spool: ../queue\nrun: /run/m\n")
    before = Path.cwd()
    try:
        os.chdir(folder)
        config = load(Path("mercury.yaml"), lambda: "h.example")
    finally:
        os.chdir(before)
    assert (config.spool, config.run) == (folder.parent / "queue", Path("/run/m"))


@pytest.mark.parametrize(
    ("template", "words"),
    [
        ("mail/{domain}", "holds no {user}"),
        ("mail/{usr}", "only {domain} and {user}"),
        ("mail/{user!r}", "only {domain} and {user}"),
        ("mail/{user:9}", "only {domain} and {user}"),
        ("mail/{}/{user}", "only {domain} and {user}"),
        ("mail/{user", "a brace that does not close"),
        ("mail/{user}/{0.__class__}", "only {domain} and {user}"),
    ],
)
def test_a_maildir_names_its_user_and_nothing_strange(template: str, words: str) -> None:
    (error,) = errors_of(f"local: {{maildir: '{template}'}}")
    assert words in error


def test_who_may_not_read_it_is_told_who_may(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: Path) -> bytes:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "read_bytes", refuse)
    with pytest.raises(ConfigErrors, match="Permission denied: use sudo, or be in the group of its folder"):
        load(tmp_path / "mercury.yaml")
