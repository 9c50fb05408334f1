import pytest

from app.audit.log import AuditLog
from app.storage.database import Database


@pytest.fixture
def log(database: Database) -> AuditLog:
    return AuditLog(database)
