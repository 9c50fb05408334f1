"""Commands of Docker and Compose."""

import os
import shutil
import subprocess
from collections.abc import Sequence

from tests.support.server import REPOSITORY
from tests.unit.deployment.manifests import compose_file

COMPOSE_COMMANDS = {"v1": ("docker-compose",), "v2": ("docker", "compose")}


def run(command: Sequence[str], **environment: str) -> subprocess.CompletedProcess[str]:
    """Run it without the LIKENESS_ and COMPOSE_ variables of this process."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("LIKENESS_", "COMPOSE_"))}
    return subprocess.run(
        command, cwd=REPOSITORY, env={**inherited, **environment}, capture_output=True, text=True, check=False
    )


def succeed(command: Sequence[str], **environment: str) -> str:
    done = run(command, **environment)
    assert done.returncode == 0, (
        f"{' '.join(command)}: exit {done.returncode}\n{done.stdout[-4000:]}{done.stderr[-4000:]}"
    )
    return done.stdout.strip()


def docker(*arguments: str) -> str:
    return succeed(["docker", *arguments])


def build(target: str, tag: str | None = None, *options: str) -> str:
    """Build the image `likeness:<tag or target>` on this machine's network, which is known to reach the packages."""
    tag = f"likeness:{tag or target}"
    docker(
        *("build", "--network", "host", "--file", "docker/Dockerfile", "--target", target),
        *("--build-arg", f"REVISION={commit()}", *options, "--tag", tag, "."),
    )
    return tag


def stand_in_for_nginx() -> str | None:
    """Return None where the image of nginx that the compose files pin can be had, else an image of Debian's nginx."""
    pinned = compose_file()["services"]["balancer"]["image"]
    if answers("docker", "image", "inspect", pinned) or answers("docker", "pull", "--quiet", pinned):
        return None
    tag, context = "likeness-test:nginx", str(REPOSITORY / "docker" / "tls")
    file = str(REPOSITORY / "tests" / "docker" / "nginx.Dockerfile")
    docker("build", "--network", "host", "--file", file, "--tag", tag, context)
    print(f"{pinned} cannot be had here: {tag} runs Debian's nginx instead")  # noqa: T201
    return tag


def commit() -> str:
    return succeed(["git", "rev-parse", "HEAD"])


def logs(container: str) -> str:
    """Return what the container has written to both of its streams."""
    done = run(["docker", "logs", container])
    return done.stdout + done.stderr


def inspect(thing: str, field: str) -> str:
    return docker("inspect", "--format", f"{{{{{field}}}}}", thing)


def answers(*command: str) -> bool:
    return shutil.which(command[0]) is not None and run(command).returncode == 0
