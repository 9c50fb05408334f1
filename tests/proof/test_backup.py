"""A backup that is made of a service under load serves, restored on an empty machine, what the service does."""

import json
from pathlib import Path

from tests.support.api import Api, Fields, subject_path
from tests.support.commands import encryption_key, eventually, ran
from tests.support.load import GALLERY, Ledger, enrolling, stored
from tests.support.photos import COLLINS
from tests.support.server import Server


def everything(api: Api, subject: str) -> Fields:
    """Return the export of a subject; of its events only changes, since later enrolments name it as a duplicate."""
    export: Fields = api.http.get(f"{subject_path(GALLERY, subject)}/export").json()
    export["events"] = [event for event in export["events"] if event["action"] == "face.enroll"]
    return export


def test_a_backup_of_a_service_under_load_serves_as_the_service_did(tmp_path: Path) -> None:
    encrypted = {"LIKENESS_ENCRYPTION_KEY": encryption_key()}
    file, elsewhere, ledger = tmp_path / "all.backup", tmp_path / "elsewhere" / "data", Ledger()
    with Server(tmp_path / "data", **encrypted) as server, Api.of(server) as api:
        with enrolling(server.url, ledger):
            assert eventually(lambda: len(ledger.promised) > 8 and len(ledger.deleted) > 1, within=60)
            acknowledged, erased = set(ledger.promised), set(ledger.deleted)
            made = json.loads(ran(server.data_dir, "backup", file, "--json", **encrypted))
            assert eventually(lambda: len(ledger.promised) > len(acknowledged) + 4, within=60), "it no longer enrolled"
        kept = [subject for subject in acknowledged if subject in ledger.promised]
        expected = {subject: everything(api, subject) for subject in kept}
    restored = json.loads(ran(elsewhere, "restore", file, "--json", **encrypted))
    with Server(elsewhere, **encrypted) as server, Api.of(server) as api:
        found = stored(api)
        assert {subject: everything(api, subject) for subject in kept} == expected
        assert api.candidates(COLLINS, GALLERY)
    verified = ran(elsewhere, "audit", "verify", "--head", restored["audit_head"], **encrypted)

    assert len(kept) > 4
    assert all(len(each["faces"]) == len(each["events"]) == 1 for each in expected.values())
    assert found.keys() & erased == set()
    assert found.keys() < ledger.tried
    assert (restored["damage"], restored["counts"]["faces"]) == ([], len(found))
    assert made["counts"] == restored["counts"]
    assert verified
