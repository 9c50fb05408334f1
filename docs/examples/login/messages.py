"""A sentence for the user for every problem that a request can have; docs/api.md lists those of the service."""

import logging

import httpx
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse

from app.client import Problem

Answer = dict[str, str | None]
log = logging.getLogger("login")
TRY_LATER = "Sign-in does not work at the moment. Try again later."
TEXTS = {
    # what the user can do something about: of the photo, of this site, of the moment
    "face_not_found": "We see no face. Look into the camera, with light on your face.",
    "multiple_faces": "We see several people. Be alone in the picture.",
    "low_quality": "The picture is too blurred, too small or from the side. Hold still and look into the camera.",
    "spoof_suspected": "This looks like a picture of a picture. Use the camera itself, and show more than your face.",
    "invalid_image": "This file is not a picture. Take another one.",
    "unsupported_image": "We cannot read this kind of picture. Take it as JPEG or PNG.",
    "image_too_large": "The picture is too large. Take a smaller one.",
    "duplicate_face": "This face has an account under another name.",
    "subject_exists": "This name is taken. Choose another one.",
    "bad_name": "A name has 1 to 64 small letters, digits, dots and dashes, and a picture belongs to it.",
    "no_consent": "Without your consent we may not store your face. You can use a password instead.",
    "no_match": "This face and this name do not belong together. Try again, or use your password.",
    "looks_recorded": "The picture looks like a picture of a picture. Confirm with your password before you pay.",
    "other_site": "Open this page itself to sign in.",
    "rate_limited": "Too many attempts. Wait a few minutes, or use your password.",
    "overloaded": "Many people are signing in. Try again in a moment.",
    "upload_timeout": "The picture took too long to arrive. Try a better connection.",
    "deadline_exceeded": "That took too long. Try again.",
    # what only the operator can cure; the log has the cause
    "unauthorized": TRY_LATER,
    "forbidden": TRY_LATER,
    "invalid_request": TRY_LATER,
    "invalid_cursor": TRY_LATER,
    "too_many_fields": TRY_LATER,
    "metadata_too_large": TRY_LATER,
    "unsupported_operating_point": TRY_LATER,
    "model_mismatch": TRY_LATER,
    "method_not_allowed": TRY_LATER,
    "storage_full": TRY_LATER,
    "storage_unavailable": TRY_LATER,
    "internal_error": TRY_LATER,
    "invalid_http": TRY_LATER,
    "headers_too_large": TRY_LATER,
}
UNKNOWN_NAME, WRONG_FACE = "not_found", Problem(401, {"code": "no_match"})


def answer_with_sentences(site: FastAPI) -> None:
    @site.exception_handler(Problem)
    def refuse(_: Request, problem: Problem) -> JSONResponse:
        if problem.code == UNKNOWN_NAME:  # nobody learns by signing in which names exist
            problem = WRONG_FACE
        text = TEXTS.get(problem.code, TRY_LATER)
        if text == TRY_LATER:
            log.error("%s (request %s)", problem, problem.request_id)
        return JSONResponse({"message": text, "code": problem.code}, 503 if text == TRY_LATER else problem.status)

    @site.exception_handler(RequestValidationError)
    def refuse_fields(request: Request, _: RequestValidationError) -> JSONResponse:
        return refuse(request, Problem(422, {"code": "bad_name"}))

    @site.exception_handler(httpx.HTTPError)
    def refuse_without_service(_: Request, error: httpx.HTTPError) -> JSONResponse:
        log.error("the face service gave no answer: %s", error)
        return JSONResponse({"message": TRY_LATER, "code": "unreachable"}, 503)
