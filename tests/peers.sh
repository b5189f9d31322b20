#!/bin/sh
# tests/peers.sh [[?]PROGRAM[:PACKAGE]]...: the programs of others that the end-to-end tests speak with, and those named,
# with their package where that has another name; with a ? those that a test can do without. Quiet when all are there.
#
# curl, swaks, msmtp, nsd, unbound, haproxy, dovecot, slapd, strace, nftables and iproute2 come as Debian packages. Postfix gives
# only smtp-source and smtp-sink: its package is unpacked into .peers/postfix and never installed, as a second mail
# server on the machine is no one's wish.
set -eu
cd "$(dirname "$0")/.."
POSTFIX=.peers/postfix
LIBRARIES=$POSTFIX/usr/lib/postfix

if [ "$(id -u)" -eq 0 ]; then as_root=""; else as_root="sudo"; fi

has() { PATH="$PATH:/usr/sbin:/sbin" command -v "$1" >/dev/null; }

missing=""
for program in curl swaks nsd unbound strace haproxy slapd msmtp "$@"; do
    case $program in \?*) continue ;; esac
    # Unpacked below.
    [ "$program" != prometheus ] || continue
    # The tools of the bench are compiled, and speak TLS.
    [ "$program" != gcc ] || [ -e /usr/include/openssl/ssl.h ] || missing="$missing libssl-dev"
    has "${program%:*}" && continue
    missing="$missing ${program#*:}"
    [ "$program" != gcc ] || missing="$missing libc6-dev"
done
# The packet filter that blocks port 25 in a network of the test's own; for root only, as is that test.
has nft || missing="$missing nftables"
has ip || missing="$missing iproute2"
# Dovecot is three packages: its programs are found where it keeps them.
has dovecot || missing="$missing dovecot-core"
[ -x /usr/lib/dovecot/imap ] || missing="$missing dovecot-imapd"
[ -x /usr/lib/dovecot/lmtp ] || missing="$missing dovecot-lmtpd"
# swaks does without these until a test asks for TLS or AUTH; then it fails in the middle of a dialogue.
if has perl; then
    perl -MNet::SSLeay -e1 2>/dev/null || missing="$missing libnet-ssleay-perl"
    perl -MIO::Socket::SSL -e1 2>/dev/null || missing="$missing libio-socket-ssl-perl"
    perl -MAuthen::SASL -e1 2>/dev/null || missing="$missing libauthen-sasl-perl"
    # A parser of reports that is not Python's.
    perl -MMIME::Parser -e1 2>/dev/null || missing="$missing libmime-tools-perl"
    # A reader of signatures that is not Python's.
    perl -MMail::DKIM -e1 2>/dev/null || missing="$missing libmail-dkim-perl"
else
    missing="$missing libnet-ssleay-perl libio-socket-ssl-perl libauthen-sasl-perl libmime-tools-perl libmail-dkim-perl"
fi

install() {
    if ! has apt-get; then
        echo "The tests need these programs, in Debian's names:$*. Install them and come again." >&2
        exit 1
    fi
    if [ -n "$as_root" ] && ! has sudo; then
        echo "The tests need packages that only root may install: apt-get install$*" >&2
        exit 1
    fi
    # nsd, unbound, dovecot, slapd and glusterd are started by the tests alone: no service of theirs may come up now or at the next boot.
    policy=/usr/sbin/policy-rc.d
    made=""
    if [ ! -e $policy ]; then
        printf '#!/bin/sh\nexit 101\n' | $as_root tee $policy >/dev/null
        $as_root chmod 755 $policy
        made=yes
    fi
    new=""
    for service in nsd unbound dovecot slapd glusterd; do
        has "$service" || new="$new $service"
    done
    ok=yes
    $as_root apt-get update -q && $as_root env DEBIAN_FRONTEND=noninteractive \
        apt-get install -q -y --no-install-recommends "$@" || ok=""
    [ -z "$made" ] || $as_root rm -f $policy
    for service in $new; do
        ! has systemctl || $as_root systemctl --quiet disable "$service" 2>/dev/null || true
    done
    [ -n "$ok" ] || exit 1
}

# shellcheck disable=SC2086  # a list of words
[ -z "$missing" ] || install $missing

# What a test or two do without, and say so, where it cannot be had; first the file system that two hosts share, FUSE, and
# shells whose completion is tried.
wanted=""
for program in "?glusterd:glusterfs-server" "?glusterfs:glusterfs-client" "?fusermount3:fuse3" "?zsh" "?fish" "$@"; do
    case $program in \?*) program=${program#\?} ;; *) continue ;; esac
    has "${program%:*}" || wanted="$wanted ${program#*:}"
done
# shellcheck disable=SC2086  # a list of words
[ -z "$wanted" ] || (install $wanted) || echo "Left out, and what needs them is not tested:$wanted" >&2

# Exim, OpenSMTPD and postgrey, the same way: smarthosts and mail exchangers that are not ours. One that cannot be had here is left
# out, and its tests say so.
unpacked() {  # FOLDER PROGRAM PACKAGE...
    into=.peers/$1 program=.peers/$1/usr/$2
    shift 2
    [ ! -x "$program" ] || return 0
    has apt-get && has dpkg-deb || return 0
    folder=$(mktemp -d)
    chmod 755 "$folder"
    if (cd "$folder" && apt-get download -q "$@" >/dev/null 2>&1) ||
        { $as_root apt-get update -q >/dev/null 2>&1 && (cd "$folder" && apt-get download -q "$@" >/dev/null 2>&1); }; then
        mkdir -p "$into"
        for file in "$folder"/*.deb; do dpkg-deb -x "$file" "$into"; done
        # shellcheck disable=SC2046
        ! ldd "$program" 2>/dev/null | grep -q 'not found' ||
            install $(dpkg-deb -f "$folder"/"$1"_*.deb Depends | tr ',' '\n' | sed 's/^ *//;s/[ (|].*//' | grep '^lib')
    fi
    rm -rf "$folder"
}
unpacked exim sbin/exim4 exim4-daemon-light
unpacked opensmtpd sbin/smtpd opensmtpd
# A greylist, with the Perl that it wants.
unpacked postgrey sbin/postgrey postgrey libberkeleydb-perl libio-multiplex-perl libnet-dns-perl libnet-server-perl libnetaddr-ip-perl
# 96 MB, and its service would come with it: for the proof only.
case " $* " in *" prometheus "*) unpacked prometheus bin/prometheus prometheus ;; esac

runs() { LD_LIBRARY_PATH=$LIBRARIES ldd "$POSTFIX/usr/sbin/smtp-sink" 2>/dev/null | grep -q '=>' &&
    ! LD_LIBRARY_PATH=$LIBRARIES ldd "$POSTFIX/usr/sbin/smtp-sink" | grep -q 'not found'; }

if ! runs; then
    if ! has apt-get || ! has dpkg-deb; then
        echo "The tests need Postfix's smtp-source and smtp-sink; put them into $POSTFIX/usr/sbin" >&2
        exit 1
    fi
    rm -rf "$POSTFIX"
    mkdir -p "$POSTFIX"
    folder=$(mktemp -d)
    trap 'rm -rf "$folder"' EXIT
    chmod 755 "$folder"
    download() { (cd "$folder" && apt-get download -q postfix >/dev/null 2>"$folder/said"); }
    if ! download; then
        [ -n "$as_root" ] && ! has sudo || $as_root apt-get update -q
        download || { cat "$folder/said" >&2; exit 1; }
    fi
    dpkg-deb -x "$folder"/postfix_*.deb "$POSTFIX"
    if ! runs; then
        # Its shared libraries are in the package; those of others are among its dependencies.
        # shellcheck disable=SC2046
        install $(dpkg-deb -f "$folder"/postfix_*.deb Depends | tr ',' '\n' | sed 's/^ *//;s/[ (|].*//' | grep '^lib')
        runs || { echo "smtp-sink does not find its libraries:" >&2; LD_LIBRARY_PATH=$LIBRARIES ldd "$POSTFIX/usr/sbin/smtp-sink" >&2; exit 1; }
    fi
fi
