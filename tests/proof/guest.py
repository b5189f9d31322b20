"""A guest with a kernel of its own, which has what this one may lack: an NFS server and an NFS client.

Debian's kernel and a small Debian with Python under an emulated processor (qemu, TCG): no right is needed but root's for making it, and
no virtualization by the machine. It is made once, in build/nfs-guest, and never written to; what a run gives it is on a second disk. Not
here: what is run in it (two_hosts_story.py).
"""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
PLACE = ROOT / "build" / "nfs-guest"
PROGRAMS = {
    "qemu-system-x86_64": "qemu-system-x86", "mmdebstrap": "mmdebstrap", "busybox": "busybox-static", "cpio": "cpio",
    "modprobe": "kmod", "mke2fs": "e2fsprogs",
}  # fmt: skip
PACKAGES = "nfs-kernel-server,nfs-common,python3,iproute2"
MODULES = ("virtio_pci", "virtio_blk", "ext4", "crc32c_generic", "nfsd", "nfsv4")
#  The version of its Python; its last step, without which what is there is half made.
_MADE = PLACE / "made"
_WHY_NOT = PLACE / "why-not"
_PATH = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"

#  The first program of the guest, before its disk is there.
_INIT = """#!/bin/busybox sh
/bin/busybox --install -s /bin
mount -t proc proc /proc
mount -t devtmpfs dev /dev
for module in /modules/*; do insmod $module; done
mount -t ext4 /dev/vda /disk
mount -t ext4 -o ro /dev/vdb /disk/mnt
exec switch_root /disk /mnt/begin
"""


class NotHere(Exception):
    """One line: why there can be no guest."""


def prepare() -> None:
    """Make it, unless it is there. Needs the network, so before a room is sealed; what failed is told by why_not()."""
    if _MADE.exists():
        return
    shutil.rmtree(PLACE, ignore_errors=True)
    PLACE.mkdir(parents=True)
    try:
        _need()
        with tempfile.TemporaryDirectory(dir=PLACE) as folder:
            _make(Path(folder))
    except (NotHere, OSError, subprocess.TimeoutExpired) as trouble:
        _WHY_NOT.write_text(f"{trouble}\n")


def why_not() -> str:
    """Why there is no guest; empty when there is one."""
    if not shutil.which("qemu-system-x86_64", path=_PATH):
        return f"{PROGRAMS['qemu-system-x86_64']} not installed: tests/peers.sh fetches it"
    if _MADE.exists():
        mine, its = ".".join(platform.python_version_tuple()[:2]), _MADE.read_text()
        return f"the guest's Python is {its}, ours {mine}" if its != mine else ""
    return _WHY_NOT.read_text().strip() if _WHY_NOT.exists() else "the guest was not made: `make proof` makes it"


def _need() -> None:
    if os.geteuid() != 0:
        raise NotHere("making the guest needs root")
    if platform.machine() != "x86_64":
        raise NotHere(f"the guest is made for x86_64, and this is {platform.machine()}")
    missing = [package for program, package in PROGRAMS.items() if not shutil.which(program, path=_PATH)]
    if missing:
        raise NotHere(f"{', '.join(missing)} not installed: tests/peers.sh fetches it")


def _make(folder: Path) -> None:
    kernel = _kernel(folder)
    version = next((kernel / "lib" / "modules").iterdir()).name
    shutil.copy(kernel / "boot" / f"vmlinuz-{version}", PLACE / "vmlinuz")
    _initrd(folder / "initrd", kernel, version)
    tree = folder / "tree"
    sources = [*Path("/etc/apt/sources.list.d").glob("debian.sources"), Path("/etc/apt/sources.list")]
    suite = platform.freedesktop_os_release().get("VERSION_CODENAME", "stable")
    #  It mounts /proc and others in there: where only it sees them, nobody else can come upon them, however it ends.
    run(
        "unshare", "--mount", "--propagation", "private", "--pid", "--fork", "--kill-child",
        "mmdebstrap", "-q", "--variant=minbase", f"--include={PACKAGES}", "--dpkgopt=path-exclude=/usr/share/doc/*",
        suite, tree, *[source for source in sources if source.is_file()][:1],
    )  # fmt: skip
    run("mke2fs", "-q", "-t", "ext4", "-d", tree, "-E", "root_owner=0:0", PLACE / "disk.img", "1500M")
    python = os.readlink(tree / "usr/bin/python3").removeprefix("python")
    _MADE.write_text(python)


def _kernel(folder: Path) -> Path:
    depends = run("apt-cache", "depends", "linux-image-amd64")
    name = next(
        (word for word in depends.split() if word.startswith("linux-image-") and word != "linux-image-amd64"), ""
    )
    if not name:
        raise NotHere("no package linux-image-amd64 is to be had")
    run("apt-get", "download", "-q", name, cwd=folder)
    run("dpkg", "-x", next(folder.glob("linux-image-*.deb")), folder / "kernel")
    return folder / "kernel"


def _initrd(folder: Path, kernel: Path, version: str) -> None:
    for name in ("bin", "modules", "proc", "dev", "disk"):
        (folder / name).mkdir(parents=True)
    shutil.copy(str(shutil.which("busybox")), folder / "bin")
    run("depmod", "-b", kernel, version)
    paths: dict[str, None] = {}
    for module in MODULES:
        said = run("modprobe", "-d", kernel, "-S", version, "--show-depends", module)
        paths.update(dict.fromkeys(line.split()[1] for line in said.splitlines() if line.startswith("insmod ")))
    for number, path in enumerate(paths, 100):
        shutil.copy(path, folder / "modules" / f"{number}-{Path(path).name}")
    (folder / "init").write_text(_INIT)
    (folder / "init").chmod(0o755)
    run("sh", "-c", f"find . | cpio --quiet -o -H newc | gzip -1 > {PLACE}/initrd", cwd=folder)


class Guest:
    """`run` boots it with a folder for its second disk, whose program `begin` is then the first and only one."""

    def __init__(self, folder: Path) -> None:
        self._disk = folder / "second.img"
        self.tree = folder / "tree"
        self.tree.mkdir()

    def give_project(self) -> None:
        """Our code and tests, and the packages they need, compiled: where an instruction takes ten, that counts."""
        packages = self.tree / "packages"
        for name in ("shared", "mercury_s", "mercury_c", "mercury_e", "tests"):
            shutil.copytree(ROOT / name, packages / name, ignore=shutil.ignore_patterns("__pycache__"))
        for distribution in _closure(["mercury-mail", "aiosmtpd"]):
            _copy(distribution, packages)
        run(sys.executable, "-m", "compileall", "-q", "-j", "2", "-x", "/tests/(spools|vectors)", packages)

    def run(self, begin: str, seconds: float) -> str:
        """What it said on its console. Raises subprocess.TimeoutExpired."""
        path = self.tree / "begin"
        path.write_text(begin)
        path.chmod(0o755)
        run("mke2fs", "-q", "-t", "ext4", "-d", self.tree, "-E", "root_owner=0:0", self._disk, "400M")
        done = subprocess.run(
            [
                _path("qemu-system-x86_64"), "-M", "q35", "-accel", "tcg,thread=multi", "-cpu", "max", "-smp", "2", "-m", "1536",
                "-nographic", "-no-reboot", "-net", "none", "-snapshot",
                "-drive", f"file={PLACE}/disk.img,format=raw,if=virtio,cache=unsafe",
                "-drive", f"file={self._disk},format=raw,if=virtio,cache=unsafe",
                "-kernel", str(PLACE / "vmlinuz"), "-initrd", str(PLACE / "initrd"),
                "-append", "console=ttyS0 quiet panic=-1",
            ],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=seconds,
        )  # fmt: skip
        return done.stdout.decode(errors="replace").replace("\r", "")


def _closure(names: Iterable[str]) -> list[metadata.Distribution]:
    """The installed distributions behind `names`, and those they need."""
    from packaging.requirements import Requirement

    found: dict[tuple[str, str], metadata.Distribution] = {}
    pending = [(name, "") for name in names]
    while pending:
        name, extra = pending.pop()
        if (name, extra) in found:
            continue
        found[name, extra] = distribution = metadata.distribution(name)
        for line in distribution.requires or ():
            needed = Requirement(line)
            if needed.marker is None or needed.marker.evaluate({"extra": extra}):
                pending += [(needed.name.lower(), extra) for extra in (*needed.extras, "")]
    return [distribution for (name, _), distribution in found.items() if name != "mercury-mail"]


def _copy(distribution: metadata.Distribution, goal: Path) -> None:
    for file in distribution.files or ():
        source = Path(str(distribution.locate_file(file)))
        if ".." in file.parts or "__pycache__" in file.parts or "test" in file.parts or not source.is_file():
            continue
        (goal / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(source, goal / file)


def _path(program: str) -> str:
    return shutil.which(program, path=_PATH) or program


def run(program: str, *words: object, cwd: Path | None = None) -> str:
    """What it says. Raises NotHere when it fails, with its last line."""
    done = subprocess.run([_path(program), *map(str, words)], capture_output=True, text=True, cwd=cwd, timeout=900)
    if done.returncode != 0:
        said = (done.stderr or done.stdout).strip().splitlines() or [f"exit {done.returncode}"]
        raise NotHere(f"making the guest: {program}: {said[-1][:160]}")
    return done.stdout


if __name__ == "__main__":
    prepare()
    print(why_not() or "made")
