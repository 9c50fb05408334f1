"""
Sign in with a face: a web app whose back end asks a Likeness service (docs/login.md).

The API key stays here. The browser gets a signed session cookie and sentences, and no distances.
"""

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated
from uuid import uuid4

from fastapi import Depends, FastAPI, Form, Request, UploadFile
from fastapi.staticfiles import StaticFiles
from messages import TEXTS, Answer, answer_with_sentences
from starlette.middleware.sessions import SessionMiddleware

from app.client import Client, Problem

GALLERY, CONSENT, KEPT_FOR = "login", "consent-2026-11", timedelta(days=365)
FMR = float(os.environ.get("LOGIN_FMR", "1e-4"))
RULES = {"face": "only", "liveness": os.environ.get("LOGIN_LIVENESS", "report")}  # off, report or require
HTTPS = os.environ.get("LOGIN_HTTPS", "on") == "on"

likeness = Client(os.environ["LIKENESS_URL"], key=os.environ["LIKENESS_KEY"], timeout=20, retries=0)
Name = Annotated[str, Form(pattern=r"^[a-z0-9.-]{1,64}$")]


def same_site(request: Request) -> None:
    """Refuse forms of other pages, which could sign a visitor in as somebody else."""
    if request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        raise Problem(403, {"code": "other_site"})


site = FastAPI(dependencies=[Depends(same_site)], openapi_url=None)
site.add_middleware(
    SessionMiddleware, secret_key=os.environ["LOGIN_SECRET"], max_age=3600, same_site="strict", https_only=HTTPS
)
answer_with_sentences(site)


@site.post("/register")
def register(request: Request, name: Name, photo: UploadFile, consent: Annotated[str, Form()] = "") -> Answer:
    if consent != "given":
        raise Problem(422, {"code": "no_consent"})
    now, new = datetime.now(UTC), f"new-{uuid4()}"
    likeness.put_subject(GALLERY, new, consent=f"{CONSENT}, {now:%Y-%m-%d %H:%M} UTC", expires_at=now + KEPT_FOR)
    try:
        likeness.enroll(GALLERY, new, photo.file, **RULES)
        likeness.rename(GALLERY, new, name)  # fails if the name is taken: nobody adds a face to another account
    except Exception:
        likeness.delete_subject(GALLERY, new)
        raise
    return signed_in(request, name)


@site.post("/login")
def login(request: Request, name: Name, photo: UploadFile) -> Answer:
    result = likeness.verify_subject(GALLERY, name, photo.file, fmr=FMR, **RULES)
    if not result.match:
        raise Problem(401, {"code": "no_match"})
    looks_live = all(face.liveness.live for face in result.faces if face.liveness)
    return signed_in(request, name, notice=None if looks_live else TEXTS["looks_recorded"])


@site.post("/logout")
def logout(request: Request) -> Answer:
    request.session.clear()
    return {"message": "You are signed out."}


@site.post("/withdraw")
def withdraw(request: Request) -> Answer:
    """Erase the account of who is signed in."""
    if name := request.session.pop("name", None):
        likeness.delete_subject(GALLERY, name)
    return {"message": "Your face is erased."}


@site.get("/me")
def me(request: Request) -> Answer:
    return {"name": request.session.get("name")}


def signed_in(request: Request, name: str, notice: str | None = None) -> Answer:
    request.session["name"] = name
    return {"message": f"Welcome, {name}.", "notice": notice}


site.mount("/", StaticFiles(directory=Path(__file__).parent / "page", html=True))
