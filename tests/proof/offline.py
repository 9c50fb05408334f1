"""
Start the service in a network name space without a network, verify two photos, and print the outcome.

`python offline.py PHOTO PHOTO MODULE...` is run by the Python of a bare installation, with the standard library only.
"""

import fcntl
import importlib.util
import json
import os
import socket
import struct
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

SIOCGIFFLAGS, SIOCSIFFLAGS, IFF_UP = 0x8913, 0x8914, 1
READY_WITHIN = 90.0
PORT = 8000
URL = f"http://127.0.0.1:{PORT}"


def loopback_up() -> None:
    """Do what `ip link set lo up` does."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        asked = fcntl.ioctl(control, SIOCGIFFLAGS, struct.pack("16sh14x", b"lo", 0))
        flags = struct.unpack("16sh14x", asked)[1]
        fcntl.ioctl(control, SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", flags | IFF_UP))


def reaches(address: str) -> bool:
    try:
        socket.create_connection((address, 53), timeout=3).close()
    except OSError:
        return False
    return True


def form(photos: list[bytes]) -> bytes:
    head = b'--x\r\nContent-Disposition: form-data; name="image%d"; filename="photo"\r\n\r\n'
    return b"".join(head % number + photo + b"\r\n" for number, photo in enumerate(photos, 1)) + b"--x--\r\n"


def is_ready() -> bool:
    try:
        with urllib.request.urlopen(f"{URL}/readyz", timeout=5) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def verify(photos: list[bytes]) -> dict[str, object]:
    headers = {"Content-Type": "multipart/form-data; boundary=x"}
    asked = urllib.request.Request(f"{URL}/verify", form(photos), headers)
    with urllib.request.urlopen(asked, timeout=60) as answer:
        return dict(json.load(answer))


def main(photos: list[bytes], modules: list[str]) -> None:
    loopback_up()
    with tempfile.TemporaryDirectory() as data:
        environment = {**os.environ, "LIKENESS_DATA_DIR": data, "LIKENESS_PORT": str(PORT)}
        server = subprocess.Popen([Path(sys.executable).with_name("likeness"), "serve"], env=environment)
        try:
            deadline = time.monotonic() + READY_WITHIN
            while not is_ready() and server.poll() is None and time.monotonic() < deadline:
                time.sleep(0.2)
            answer = verify(photos)
        finally:
            server.terminate()
            try:
                status = server.wait(30)
            finally:
                server.kill()
    found = [module for module in modules if importlib.util.find_spec(module)]
    outside = [address for address in ("1.1.1.1", "8.8.8.8") if reaches(address)]
    print(json.dumps({"answer": answer, "found": found, "outside": outside, "status": status}))  # noqa: T201


if __name__ == "__main__":
    main([Path(name).read_bytes() for name in sys.argv[1:3]], sys.argv[3:])
