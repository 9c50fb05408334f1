"""
Enrol the photos that a CompreFace service has saved (its setting `save_images_to_db`) in a gallery of Likeness.

It may be started again: a photo that was enrolled before is not enrolled twice. Needs Likeness's client
(docs/quickstart.md, "From Python").
"""

import argparse
import sys
from collections.abc import Iterator
from typing import Any

import httpx

from app.client import Client, Problem

RECOGNITION = "/api/v1/recognition"
PAGE = 100


def main() -> int:
    given = arguments()
    source = httpx.Client(base_url=given.source, headers={"x-api-key": given.source_key}, timeout=60)
    enrolled = left_out = 0
    with source, Client(given.to, key=given.to_key) as target:
        for subject in answer(source, "/subjects")["subjects"]:
            target.put_subject(given.gallery, subject)
        for face in saved_faces(source):
            problem = move(face, source, target, given.gallery)
            enrolled, left_out = (enrolled, left_out + 1) if problem else (enrolled + 1, left_out)
            if problem:
                print(f"{face['subject']}, {face['image_id']}: {problem}", file=sys.stderr)
    print(f"{enrolled} photos enrolled, {left_out} left out")
    return 1 if left_out else 0


def move(face: dict[str, str], source: httpx.Client, target: Client, gallery: str) -> str | None:
    """Enrol one photo; return why it was left out, or None."""
    photo = source.get(f"{RECOGNITION}/faces/{face['image_id']}/img").raise_for_status().content
    if not photo:
        return "CompreFace has not saved this photo"
    try:
        target.enroll(gallery, face["subject"], photo, idempotency_key=face["image_id"])
    except Problem as problem:
        return str(problem)
    return None


def saved_faces(source: httpx.Client) -> Iterator[dict[str, str]]:
    number, pages = 0, 1
    while number < pages:
        page = answer(source, "/faces", page=number, size=PAGE)
        yield from page["faces"]
        number, pages = number + 1, page["total_pages"]


def answer(source: httpx.Client, path: str, **query: int) -> Any:
    return source.get(RECOGNITION + path, params=query).raise_for_status().json()


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--from", dest="source", required=True, metavar="URL", help="address of CompreFace")
    parser.add_argument("--from-key", dest="source_key", required=True, help="API key of its recognition service")
    parser.add_argument("--to", default="http://127.0.0.1:8000", metavar="URL", help="address of Likeness")
    parser.add_argument("--to-key", help="a key of Likeness with the scope `enroll`")
    parser.add_argument("--gallery", default="default", help="the gallery to fill")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
