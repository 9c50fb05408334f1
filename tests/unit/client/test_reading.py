"""An answer that is not as the API promises is told with the place in it."""

from typing import Any

import pytest

from app.client.reading import read
from app.client.results import Detection, Verification


@pytest.mark.parametrize(
    ("kind", "value", "message"),
    [
        (int, "1", "int: expected int, got str"),
        (Verification, [], "Verification: expected an object, got list"),
        (Verification, {"match": True}, "Verification: expected a member 'distance', got none"),
        (Detection, {"faces": {}}, r"Detection.faces: expected .*, got dict"),
        (Detection, {"faces": [None]}, "Detection.faces: expected an object, got NoneType"),
    ],
)
def test_what_is_missing_or_of_another_type_is_named(kind: type, value: Any, message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}$"):
        read(kind, value)
