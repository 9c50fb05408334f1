"""
Run a command in a network namespace of its own whose DNS server records every look-up.

`python watched_network.py REPORT COMMAND...` runs inside `unshare --map-root-user --net --mount` and writes a JSON list
of the names that were looked up. It has the loopback interface only: a connection to any other address fails.
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
        status = subprocess.run(command, check=False).returncode
    report.write_text(json.dumps(sorted(set(names))))
    return status


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2:]))
