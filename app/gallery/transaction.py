"""All statements on the tables of the galleries, within one transaction."""

from __future__ import annotations

from app.gallery.face_statements import FaceStatements
from app.gallery.gallery_statements import GalleryStatements
from app.gallery.response_statements import ResponseStatements
from app.gallery.subject_statements import SubjectStatements


class GalleryTransaction(GalleryStatements, SubjectStatements, FaceStatements, ResponseStatements):
    """An open transaction on the galleries."""
