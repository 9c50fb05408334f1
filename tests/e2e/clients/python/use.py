"""Use the generated client as a caller would: python use.py URL KEY PHOTO OTHER-PHOTO NO-FACE."""

import json
import sys
from io import BytesIO
from pathlib import Path

from likeness_client import AuthenticatedClient
from likeness_client.api.faces import identify, verify
from likeness_client.api.galleries import delete_subject, enroll_faces, list_subjects, put_subject
from likeness_client.models.enroll_faces_files_body import EnrollFacesFilesBody
from likeness_client.models.enrollment import Enrollment
from likeness_client.models.identification import Identification
from likeness_client.models.identify_files_body import IdentifyFilesBody
from likeness_client.models.problem import Problem
from likeness_client.models.put_subject_subject_fields import PutSubjectSubjectFields
from likeness_client.models.subject_out import SubjectOut
from likeness_client.models.subject_page import SubjectPage
from likeness_client.models.verification import Verification
from likeness_client.models.verify_files_body import VerifyFilesBody
from likeness_client.types import File

GALLERY = "python"


def photo(path: str) -> File:
    return File(payload=BytesIO(Path(path).read_bytes()), file_name=Path(path).name, mime_type="image/jpeg")


def listed(client: AuthenticatedClient) -> list[str]:
    """Return the ids of all subjects, one a page."""
    found: list[str] = []
    cursor = ""
    while True:
        page = list_subjects.sync(GALLERY, client=client, limit=1, cursor=cursor)
        assert isinstance(page, SubjectPage)
        found += [subject.subject_id for subject in page.subjects]
        if page.next_cursor is None:
            return found
        cursor = page.next_cursor


def main(url: str, key: str, one: str, other: str, no_face: str) -> None:
    client = AuthenticatedClient(base_url=f"{url}/v1", token=key)

    verified = verify.sync(client=client, body=VerifyFilesBody(image1=photo(one), image2=photo(other), fmr=1e-4))
    assert isinstance(verified, Verification)

    described = PutSubjectSubjectFields(consent="form 7", expires_at="2999-01-01T00:00:00Z")
    subject = put_subject.sync(GALLERY, "a/b", client=client, body=described)
    assert isinstance(subject, SubjectOut)
    put_subject.sync(GALLERY, "z", client=client)
    enrolled = enroll_faces.sync(
        GALLERY,
        "a/b",
        client=client,
        body=EnrollFacesFilesBody(image=[photo(one), photo(no_face)]),
        idempotency_key="1",
    )
    assert isinstance(enrolled, Enrollment)

    identified = identify.sync(client=client, body=IdentifyFilesBody(image=photo(other), gallery=GALLERY))
    assert isinstance(identified, Identification)

    refused = verify.sync(client=client, body=VerifyFilesBody(image1=photo(one), image2=photo(no_face)))
    assert isinstance(refused, Problem)

    before = listed(client)
    erased = delete_subject.sync_detailed(GALLERY, "a/b", client=client)
    document = {
        "match": verified.match,
        "consent": subject.consent,
        "expires_at": subject.expires_at,
        "enrolled": [face.subject_id for face in enrolled.enrolled],
        "rejected": [rejected.problem.code for rejected in enrolled.rejected],
        "named": [candidate.subject_id for face in identified.faces for candidate in face.candidates],
        "problem": [refused.status, refused.code, refused.image],
        "listed": before,
        "erased": erased.status_code,
        "left": listed(client),
    }
    print(json.dumps(document))  # noqa: T201


main(*sys.argv[1:])
