"""A certificate that nobody has signed but its owner, made by openssl."""

from __future__ import annotations

import subprocess
from pathlib import Path


def self_signed(folder: Path, name: str, *more: str) -> tuple[Path, Path]:
    """Certificate and key for `name` (a host name, or IP:address in `more`)."""
    certificate, key = folder / f"{name}.cert.pem", folder / f"{name}.key.pem"
    names = ",".join([f"DNS:{name}", *more])
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
         "-days", "30", "-subj", f"/CN={name}", "-addext", f"subjectAltName={names}",
         "-keyout", str(key), "-out", str(certificate)],
        check=True, capture_output=True,
    )  # fmt: skip
    key.chmod(0o600)
    return certificate, key
