"""
Run a command in a network namespace of its own, and report the names that it looked up and how often it went outside.

`python watched_network.py REPORT COMMAND...` runs inside `unshare --map-root-user --net --mount`. The namespace has the
loopback interface only, with a DNS server that records every look-up. Whatever is sent to another address has no route
there, which the kernel counts. The report is JSON: {"names": [...], "unreachable": 0}.
"""

import json
import socket
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

from tests.proof.offline import loopback_up

NAMESPACE = ("unshare", "--map-root-user", "--net", "--mount")
NO_SUCH_NAME = b"\x81\x83"


def name_in(query: bytes) -> str:
    labels, position = [], 12
    while length := query[position]:
        labels.append(query[position + 1 : position + 1 + length].decode("latin-1"))
        position += 1 + length
    return ".".join(labels)


def answer_queries(server: socket.socket, names: list[str]) -> None:
    while True:
        query, client = server.recvfrom(4096)
        names.append(name_in(query))
        server.sendto(query[:2] + NO_SUCH_NAME + query[4:6] + bytes(6) + query[12:], client)


def unreachable() -> int:
    """Return how many connections and packets of this namespace had no route."""
    titles, values = (line.split() for line in Path("/proc/net/snmp").read_text().splitlines()[:2])
    version_6 = dict(line.split() for line in Path("/proc/net/snmp6").read_text().splitlines())
    return int(values[titles.index("OutNoRoutes")]) + int(version_6["Ip6OutNoRoutes"])


def main(report: Path, command: list[str]) -> int:
    loopback_up()
    names: list[str] = []
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    server.bind(("127.0.0.1", 53))
    threading.Thread(target=answer_queries, args=(server, names), daemon=True).start()
    with tempfile.NamedTemporaryFile("w") as resolver:
        resolver.write("nameserver 127.0.0.1\n")
        resolver.flush()
        subprocess.run(["mount", "--bind", resolver.name, "/etc/resolv.conf"], check=True)
        before = unreachable()
        status = subprocess.run(command, check=False).returncode
    report.write_text(json.dumps({"names": sorted(set(names)), "unreachable": unreachable() - before}))
    return status


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2:]))
