"""A gallery with something of everything."""

from app.gallery.records import Records
from tests.support.templates import numbered

ODD = "Žofie / 李 '; DROP TABLE faces; --\u2028"


def fill(records: Records) -> None:
    records.put_subject("guests", "ada", {"name": "Ada", "tags": [1, None, "ü"]})
    records.enroll("guests", "ada", numbered("ada", 1, 2))
    records.enroll("guests", ODD, numbered(ODD, 3))
    records.put_subject("guests", "nobody yet", {})
