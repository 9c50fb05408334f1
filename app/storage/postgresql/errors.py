"""Turn errors of psycopg into errors of the domain. Messages name the server and never a password."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from psycopg import errors

from app.domain.errors import Overloaded, ServiceError, StorageFull, StorageUnavailable


@contextmanager
def domain_errors() -> Iterator[None]:
    try:
        yield
    except (errors.LockNotAvailable, errors.DeadlockDetected) as error:
        raise Overloaded("another process is writing to the gallery") from error
    except errors.DiskFull as error:
        raise StorageFull("no space is left for the gallery") from error
    except (psycopg.OperationalError, psycopg.InterfaceError, errors.ReadOnlySqlTransaction) as error:
        raise StorageUnavailable(f"the database cannot be used now: {_first_line(error)}") from error
    except psycopg.Error as error:
        raise ServiceError(f"the database cannot do this: {_first_line(error)}") from error


def _first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), "") or type(error).__name__
