"""A machine for a test: this one's own systemd as PID 1 of new namespaces, over a throw-away copy of this file system.

The copy is an overlay whose upper layer is memory; the network is a new one with a loopback alone. What cannot be
taken apart is kept away: kernel settings are read-only, and units that would touch hardware are masked. Needs root.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import sysconfig
from pathlib import Path

from endtoend.deadline import eventually

CHECKOUT = Path(__file__).resolve().parents[2]
PACKAGES = Path(sysconfig.get_path("purelib"))
#  Where the machine has both.
LENT = Path("/srv/lent")
CGROUPS = Path("/sys/fs/cgroup")
MASKED = (
    "systemd-sysctl", "systemd-modules-load", "systemd-timesyncd", "systemd-remount-fs", "systemd-udevd", "systemd-pstore",
    "systemd-binfmt", "e2scrub_reap", "getty@", "console-getty", "systemd-networkd", "systemd-networkd-wait-online",
    "NetworkManager-wait-online", "ifupdown-wait-online",
)  # fmt: skip

#  Run in the new namespaces, with the copy in $1 and the name in $2; ends as systemd.
INSIDE = r"""
set -e; hostname "$2"; cd "$1"
mount -t proc proc proc
mount --bind proc/sys proc/sys; mount -o remount,bind,ro proc/sys
mount -t sysfs -o ro sysfs sys
for folder in run:755 tmp:1777 dev:755; do mount -t tmpfs -o mode=${folder#*:} tmpfs ${folder%:*}; done
for device in null zero full random urandom tty; do touch dev/$device; mount --bind /dev/$device dev/$device; done
mkdir dev/pts dev/shm
mount -t devpts -o newinstance,ptmxmode=0666,mode=620,gid=5 devpts dev/pts; ln -s pts/ptmx dev/ptmx
mount -t tmpfs -o mode=1777 tmpfs dev/shm
ln -s /proc/self/fd dev/fd; ln -s fd/0 dev/stdin; ln -s fd/1 dev/stdout; ln -s fd/2 dev/stderr
if [ -e /sys/fs/cgroup/cgroup.controllers ]; then
    mount -t cgroup2 cgroup2 sys/fs/cgroup
else
    mount -t tmpfs -o mode=755 tmpfs sys/fs/cgroup
    for group in $3; do
        mkdir sys/fs/cgroup/$group
        case $group in
            systemd) mount -t cgroup -o none,name=systemd cgroup sys/fs/cgroup/$group ;;
            unified) mount -t cgroup2 cgroup2 sys/fs/cgroup/$group ;;
            *) mount -t cgroup -o $group cgroup sys/fs/cgroup/$group ;;
        esac
    done
fi
ip link set lo up
mkdir -p old; pivot_root . old; umount -l /old; mount --make-rshared /
exec env -i container=test PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
    /lib/systemd/systemd --system --unit=proof.target --show-status=no --log-target=journal
"""


def python_for_services() -> Path | None:
    """An interpreter of our version that is in no home folder, which services do not see."""
    version = f"{sys.version_info[0]}.{sys.version_info[1]}"
    for path in (Path(sys.executable).resolve(), Path(f"/usr/bin/python{version}")):
        if path.exists() and not any(path.is_relative_to(hidden) for hidden in ("/root", "/home")):
            return path
    return None


def why_not() -> str:
    """What is missing here for such a machine."""
    if os.geteuid() != 0:
        return "only root can boot a systemd"
    if not Path("/lib/systemd/systemd").exists():
        return "there is no systemd here"
    missing = [
        program for program in ("unshare", "nsenter", "ip", "mount", "pivot_root") if not shutil.which(program)
    ]
    if missing:
        return f"there is no {missing[0]} here"
    if python_for_services() is None:
        return "there is no Python of this version outside of home folders"
    made = subprocess.run(["unshare", "--mount", "--pid", "--fork", "true"], capture_output=True, check=False)
    return "" if made.returncode == 0 else "namespaces cannot be made here"


class Machine:
    """Laid out by the constructor, running from `boot` to `end`."""

    def __init__(self, name: str, folder: Path, has_mercury: bool = True) -> None:
        """`has_mercury`: an environment with the checkout in /opt/mercury; else that is for a package to bring."""
        self.name = name
        self._folder = folder
        self.root = folder / "root"
        self._outer: subprocess.Popen[bytes] | None = None
        self._leader = 0
        _sh("mount", "-t", "tmpfs", "-o", "mode=755,size=2G", "tmpfs", folder)
        for part in ("upper", "work", "root"):
            (folder / part).mkdir()
        layers = f"lowerdir=/,upperdir={folder}/upper,workdir={folder}/work"
        _sh("mount", "-t", "overlay", "overlay", "-o", layers, self.root)
        self._lay_out()
        self._lend()
        if has_mercury:
            self._install()

    def _lay_out(self) -> None:
        units = self.root / "etc/systemd/system"
        (self.root / "usr/sbin/policy-rc.d").unlink(missing_ok=True)
        (self.root / "etc/fstab").unlink(missing_ok=True)
        (self.root / "etc/machine-id").write_text("")
        (self.root / "etc/hostname").write_text(f"{self.name}\n")
        for unit in MASKED:
            (units / f"{unit}.service").unlink(missing_ok=True)
            (units / f"{unit}.service").symlink_to("/dev/null")
        (units / "proof.target").write_text(
            "[Unit]\nRequires=basic.target dbus.socket\nAfter=basic.target\nWants=mercury.target\nAllowIsolate=yes\n"
        )

    def _lend(self) -> None:
        """The checkout and the packages it needs."""
        for folder, lent in ((CHECKOUT, LENT / "source"), (PACKAGES, LENT / "packages")):
            place = self.root / lent.relative_to("/")
            place.mkdir(parents=True)
            _sh("mount", "--bind", folder, place)

    def _install(self) -> None:
        """An environment in /opt/mercury that uses what was lent."""
        python = python_for_services()
        assert python is not None
        home = self.root / "opt/mercury"
        site = home / f"lib/python{sys.version_info[0]}.{sys.version_info[1]}/site-packages"
        for folder in (home / "bin", site):
            folder.mkdir(parents=True)
        (home / "pyvenv.cfg").write_text(f"home = {python.parent}\ninclude-system-site-packages = false\n")
        (home / "bin/python").symlink_to(python)
        (site / "mercury.pth").write_text(f"{LENT}/source\n{LENT}/packages\n")
        for name, module in (
            ("mercury-s", "mercury_s.__main__"), ("mercury-c", "mercury_c.__main__"), ("mercury-e", "mercury_e.__main__"),
            ("mercury", "shared.admin.__main__"), ("mercury-web", "shared.web.__main__"), ("mercury-sendmail", "shared.admin.sendmail"),
        ):  # fmt: skip
            program = home / "bin" / name
            program.write_text(f"#!/opt/mercury/bin/python -B\nfrom {module} import main\nmain()\n")
            program.chmod(0o755)

    def boot(self) -> None:
        groups = _cgroups()
        places = [CGROUPS / group / f"mercury-{self.name}" for group in groups]
        for place in places:
            place.mkdir(exist_ok=True)
        #  No login session may end it, and nothing of ours goes on when it is gone.
        joins = "".join(f"echo $$ > {place}/cgroup.procs\n" for place in places)
        command = ["unshare", "--fork", "--pid", "--mount", "--uts", "--ipc", "--net", "--cgroup", "--kill-child"]
        command += ["--propagation", "private", "sh", "-c", INSIDE, "inside", str(self.root), self.name]
        script = f'{joins}exec "$@"'
        with open(self._folder / "console", "wb") as console:
            self._outer = subprocess.Popen(
                ["sh", "-c", script, "join", *command, " ".join(group for group in groups if group)],
                stdin=subprocess.DEVNULL, stdout=console, stderr=console, start_new_session=True,
            )  # fmt: skip
        self._leader = eventually(self._find_leader, 30, "systemd is PID 1")
        eventually(self._is_up, 120, "the machine has booted")

    def _find_leader(self) -> int:
        assert self._outer is not None
        assert self._outer.poll() is None, (self._folder / "console").read_text()
        children = Path(f"/proc/{self._outer.pid}/task/{self._outer.pid}/children").read_text().split()
        return next((int(pid) for pid in children if Path(f"/proc/{pid}/comm").read_text() == "systemd\n"), 0)

    def _is_up(self) -> bool:
        return self.say("systemctl", "is-system-running") in ("running", "degraded")

    def run(self, *words: str, given: bytes = b"", check: bool = True) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            self.words(*words), input=given.decode(), capture_output=True, text=True, timeout=120, check=False
        )
        assert not check or done.returncode == 0, f"{' '.join(words)}: {done.returncode}\n{done.stdout}{done.stderr}"
        return done

    def say(self, *words: str) -> str:
        """What a command says, however it ends."""
        return self.run(*words, check=False).stdout.strip()

    def words(self, *words: str) -> list[str]:
        """A command of the machine, as one of the host's."""
        return ["nsenter", "-t", str(self._leader), "-a", *words]

    def python(self, program: str, *arguments: str) -> list[str]:
        """A program of tests/booted, with our packages, whatever is in /opt."""
        python = str(python_for_services())
        return [
            "env",
            f"PYTHONPATH={LENT}/packages",
            python,
            "-B",
            f"{LENT}/source/tests/booted/{program}",
            *arguments,
        ]

    def show(self, unit: str, name: str) -> str:
        return self.say("systemctl", "show", unit, "--property", name, "--value")

    def inside(self, path: str) -> Path:
        """A file of the running machine, as the host sees it."""
        return Path(f"/proc/{self._leader}/root") / path.lstrip("/")

    def end(self) -> None:
        """The power goes."""
        if self._leader:
            os.kill(self._leader, signal.SIGKILL)
        if self._outer is not None:
            self._outer.wait(30)
        _sh("umount", "-R", "-l", self.root)
        _sh("umount", "-l", self._folder)
        for group in _cgroups():
            place = CGROUPS / group / f"mercury-{self.name}"
            if place.exists():
                eventually(lambda place=place: _remove_tree(place), 30, f"{place} is empty")  # type: ignore[misc]


def _cgroups() -> list[str]:
    """Hierarchies of this host; one without a name when there is only version 2."""
    if (CGROUPS / "cgroup.controllers").exists():
        return [""]
    wanted = ("memory", "pids", "cpu", "cpuacct", "freezer", "blkio", "systemd", "unified")
    return [group for group in wanted if (CGROUPS / group / "cgroup.procs").exists()]


def _remove_tree(place: Path) -> bool:
    for folder, _, _ in os.walk(place, topdown=False):
        try:
            os.rmdir(folder)
        except OSError:
            return False
    return True


def _sh(*words: str | Path) -> None:
    done = subprocess.run([*map(str, words)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{words}: {done.stderr}"
