"""Questions about photos: /verify, /identify, /detect, /embed."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends

from app.api import schemas
from app.api.dependencies import MAX_IMAGES, ServicesOf, ShaperOf, Timer, documented, images
from app.api.problems import PROBLEMS
from app.api.uploads import Submission
from app.domain.errors import LikenessError

router = APIRouter(tags=["faces"], responses=PROBLEMS)
PAIR = ("image1", "image2")


@router.post("/verify", openapi_extra=documented(schemas.VerifyFields, *PAIR))
async def verify(
    submission: Annotated[Submission, Depends(images(*PAIR))], services: ServicesOf, timer: Timer, shaper: ShaperOf
) -> schemas.Verification:
    """Are these two photos of one person?"""
    fields = submission.parse(schemas.VerifyFields)
    verified = await services.verification.pair(
        submission.uploads, fields.face, fmr=fields.fmr, threshold=fields.threshold, timer=timer
    )
    return shaper.verification(verified, PAIR)


@router.post("/identify", openapi_extra=documented(schemas.IdentifyFields, "image"))
async def identify(
    submission: Annotated[Submission, Depends(images("image"))], services: ServicesOf, timer: Timer, shaper: ShaperOf
) -> schemas.Identification:
    """Who of the enrolled people is this, if anyone?"""
    fields = submission.parse(schemas.IdentifyFields)
    found = await services.identification.identify(
        submission.uploads[0],
        "all" if fields.faces == "all" else fields.face,
        fields.gallery,
        top_k=fields.top_k,
        fpir=fields.fpir,
        threshold=fields.threshold,
        timer=timer,
    )
    return shaper.identification(found)


@router.post("/detect", openapi_extra=documented(schemas.NoFields, "image"))
async def detect(
    submission: Annotated[Submission, Depends(images("image"))], services: ServicesOf, timer: Timer, shaper: ShaperOf
) -> schemas.Detection:
    """Every face of a photo, largest first; none is an empty list."""
    submission.parse(schemas.NoFields)
    sight = await services.extraction.sight(submission.uploads[0], "all", timer)
    return shaper.detection(sight)


@router.post("/embed", openapi_extra=documented(schemas.EmbedFields, "image", most=MAX_IMAGES))
async def embed(
    submission: Annotated[Submission, Depends(images("image", most=MAX_IMAGES))],
    services: ServicesOf,
    timer: Timer,
    shaper: ShaperOf,
) -> schemas.Embeddings:
    """A unit vector a face; one result an image, in order, and an image that fails does not spoil the others."""
    fields = submission.parse(schemas.EmbedFields)
    wanted = "all" if fields.faces == "all" else fields.face
    sights = await services.extraction.all_sights(submission.uploads, wanted, timer)
    probes = await services.extraction.probes([s for s in sights if not isinstance(s, LikenessError)], timer)
    return shaper.embeddings(sights, probes)
