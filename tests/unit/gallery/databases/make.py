"""
Make the databases of schema version 0 that tests/unit/gallery/test_migrations.py migrates.

They were written by commit 322169d, the last one without schema versions, through its own services and networks. This
script runs only with a checkout of that commit: `cd CHECKOUT && .venv/bin/python .../make.py FOLDER`. The two people
are Eileen Collins and Grace Hopper, whose portraits are in the public domain (docs/images).
"""

# mypy: ignore-errors
# ruff: noqa: I001 (some of these modules exist only in that commit)
import asyncio
import base64
import json
import sys
import tempfile
from pathlib import Path

from app.audit.log import AuditLog
from app.domain.callers import SYSTEM, Scope
from app.gallery.records import Records
from app.services.bundle import Services
from app.services.extraction import Upload
from app.services.timing import StageTimer
from app.settings import Settings
from app.bootstrap.storage import open_database, open_keys, open_repository
from app.bootstrap.services import open_services

KEY = base64.b64encode(bytes([7]) * 32).decode()
FILES = {"version_0.sqlite3": None, "version_0_encrypted.sqlite3": KEY}


async def fill(services: Services) -> None:
    async def enroll(subject: str, photo: str, key: str | None = None) -> list[str]:
        upload = Upload("image", Path("docs/images", photo).read_bytes())  # noqa: ASYNC240

        def shape(enrolled, rejected):  # noqa: ARG001
            return {"enrolled": [each.template.face_id for each in enrolled]}

        answer = await services.enrollment.enroll(
            "people", subject, [upload], "largest", key=key, shape=shape, timer=StageTimer()
        )
        return list(answer["enrolled"])

    await enroll("collins", "collins.jpg", "once")
    await enroll("collins", "collins-again.jpg", "twice")
    await enroll("hopper", "hopper.jpg", "once")
    (mistake,) = await enroll("mistake", "hopper.jpg")
    await services.galleries.put_subject("people", "collins", {"name": "Eileen Collins", "born": 1956}, SYSTEM)
    await services.galleries.delete_face("people", "mistake", mistake, SYSTEM)
    await services.galleries.delete_subject("people", "mistake", SYSTEM)


def described(records: Records) -> dict[str, object]:
    people = {}
    for subject in records.subjects("people", 99, ""):
        faces = records.faces("people", subject.subject_id)
        people[subject.subject_id] = {
            "metadata": subject.metadata,
            "faces": {face.face_id: base64.b64encode(face.embedding.vector.tobytes()).decode() for face in faces},
            "boxes": [[face.face.box.left, face.face.box.top] for face in faces],
        }
    gallery = records.gallery("people")
    return {"model": gallery.model, "revision": gallery.revision, "people": people}


def make(path: Path, encryption_key: str | None) -> dict[str, object]:
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(data_dir=Path(folder), encryption_key=encryption_key, _env_file=None)

        async def run() -> None:
            async with open_services(settings) as services:
                await fill(services)

        asyncio.run(run())
        with open_keys(settings) as keys:
            _, active = keys.create([Scope.VERIFY, Scope.IDENTIFY], name="active", galleries=["people"], rate=5)
            revoked, text = keys.create([Scope.ADMIN], name="revoked")
            keys.revoke(revoked.id)
        with open_repository(settings) as records, open_database(settings) as database:
            found = described(records)
            with database.reading() as db:
                answers = db.execute("SELECT subject, key, request FROM answers ORDER BY subject, key").fetchall()
            found["answers"] = [[*row, records.remembered("people", *row)] for row in answers]
            verdict = AuditLog(database).verify()
            database.rebuild()
        (made,) = Path(folder).glob("*.sqlite3*")  # the last connection has emptied the write-ahead log
        path.write_bytes(made.read_bytes())
    return {**found, "keys": {"active": active, "revoked": text}, "head": verdict.head, "entries": verdict.entries}


if __name__ == "__main__":
    target = Path(sys.argv[1])
    expected = {name: make(target / name, key) for name, key in FILES.items()}
    (target / "expected.json").write_text(json.dumps(expected, indent=1) + "\n")
