"""Whatever two processes do to a gallery, and whichever rows get damaged, it answers as a plain dictionary would."""

import shutil
import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis.stateful import invariant, precondition, rule

from app.domain.identity import SYSTEM
from app.gallery import key_rotation
from app.storage.cipher import KEY_BYTES, AesGcmCipher
from tests.unit.gallery.attacker import keys_of
from tests.unit.gallery.machine import PICK, PROCESS, TwoProcesses

pytestmark = pytest.mark.slow  # long searches


class TwoProcessesOnOneFile(TwoProcesses):
    def make_database(self) -> Path:
        self.folder = Path(tempfile.mkdtemp())
        self.path = self.folder / "gallery.sqlite3"
        return self.path

    def remove_database(self) -> None:
        shutil.rmtree(self.folder)

    def overwrite(self, column: str, junk: Any, gallery: int, face: str) -> None:
        with closing(sqlite3.connect(self.path)) as db, db:
            db.execute(f"UPDATE faces SET {column} = ? WHERE gallery = ? AND id = ?", (junk, gallery, face))  # noqa: S608


class TwoProcessesOnOneEncryptedFile(TwoProcessesOnOneFile):
    first_cipher = AesGcmCipher([bytes(KEY_BYTES)])

    def __init__(self) -> None:
        super().__init__()
        self.keys = [bytes(KEY_BYTES)]

    @precondition(lambda self: not any(gallery.damaged() for gallery in self.model.values()))
    @rule()
    def rotate_and_restart(self) -> None:
        self.keys = [len(self.keys).to_bytes(KEY_BYTES), *self.keys]
        key_rotation.rotate(self.processes[0].repository.database, AesGcmCipher(self.keys[:2]), SYSTEM)
        self.cipher = AesGcmCipher(self.keys[:1])
        for by in range(2):
            self.restart(by)

    @rule(by=PROCESS, pick=PICK)
    def rekey(self, by: int, pick: int) -> None:
        name, gallery = sorted(self.model.items())[pick % len(self.model)]
        self.processes[by].repository.rekey_gallery(name)
        gallery.revision += 1

    @invariant()
    def every_subject_has_a_key_and_nobody_else(self) -> None:
        assert len(keys_of(self.path)) == sum(len(gallery.subjects) for gallery in self.model.values())


TestTwoProcessesOnOneFile = TwoProcessesOnOneFile.TestCase
TestTwoProcessesOnOneFile.settings = settings(max_examples=40, stateful_step_count=25)
TestTwoProcessesOnOneEncryptedFile = TwoProcessesOnOneEncryptedFile.TestCase
TestTwoProcessesOnOneEncryptedFile.settings = settings(max_examples=10, stateful_step_count=20)
