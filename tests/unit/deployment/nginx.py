"""A real nginx with the files of docker/tls, on a free loopback port, and a client that has an address of its own."""

import ipaddress
import shutil
import ssl
import subprocess
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Self

import httpx2
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tests.support.server import HOST, Server, free_port

from .manifests import REPOSITORY

TLS = REPOSITORY / "docker" / "tls"
READY_WITHIN = 30.0
NGINX = shutil.which("nginx", path="/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin")


def write_certificate(folder: Path) -> None:
    """Write fullchain.pem and privkey.pem of a self-signed certificate for 127.0.0.1."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, HOST)])
    today = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(today - timedelta(days=1))
        .not_valid_after(today + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(HOST))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem, no_password = serialization.Encoding.PEM, serialization.NoEncryption()
    (folder / "fullchain.pem").write_bytes(certificate.public_bytes(pem))
    (folder / "privkey.pem").write_bytes(key.private_bytes(pem, serialization.PrivateFormat.PKCS8, no_password))


class Nginx:
    """`nginx.conf` and `likeness.conf` with the test's paths and ports in front of `server`; a context manager."""

    def __init__(self, folder: Path, server: Server) -> None:
        self.folder, self.port = folder, free_port()
        self.url = f"https://{HOST}:{self.port}"
        write_certificate(folder)
        self._write(
            "likeness.conf", {"listen 443 ssl": f"listen {HOST}:{self.port} ssl", "/etc/nginx/tls": str(folder)}
        )
        self._write("nginx.conf", {"likeness-upstream:8000": f"{HOST}:{server.port}", "/tmp/": f"{folder}/"})  # noqa: S108

    def _write(self, name: str, changes: dict[str, str]) -> None:
        text = (TLS / name).read_text()
        for old, new in {**changes, "/var/log/nginx": str(self.folder), "/etc/nginx": str(self.folder)}.items():
            text = text.replace(old, new)
        (self.folder / name).write_text(text)

    def __enter__(self) -> Self:
        assert NGINX is not None
        command = [NGINX, "-c", str(self.folder / "nginx.conf"), "-g", "daemon off;"]
        self._process = subprocess.Popen([*command], stderr=subprocess.PIPE, text=True)
        deadline = time.monotonic() + READY_WITHIN
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self._process.kill()
                pytest.fail(f"nginx did not become ready: {self._process.communicate()[1]}")
            time.sleep(0.1)
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.communicate(timeout=READY_WITHIN)

    def _answers(self) -> bool:
        try:
            with self.client() as client:
                return client.get("/readyz").status_code == 200
        except httpx2.TransportError:
            return False

    def client(self, address: str = HOST) -> httpx2.Client:
        """A client that trusts the certificate and sends from `address`, any of 127.0.0.0/8."""
        context = ssl.create_default_context(cafile=str(self.folder / "fullchain.pem"))
        transport = httpx2.HTTPTransport(verify=context, local_address=address)
        return httpx2.Client(base_url=self.url, transport=transport, timeout=60)
