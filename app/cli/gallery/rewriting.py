"""`likeness gallery rebuild`, `rekey` and `rotate`: write stored values anew."""

from __future__ import annotations

from rich.progress import BarColumn, MofNCompleteColumn, TimeRemainingColumn

from app.bootstrap.search import is_external, open_external_search
from app.bootstrap.storage import open_cipher, open_database
from app.cli.gallery.opening import GalleryName, with_repository, with_settings
from app.cli.gallery.results import erased
from app.cli.keys import operator
from app.cli.output import AsJson, CommandError, Result, run
from app.cli.progress import progress_bar, waiting
from app.gallery import key_rotation
from app.gallery.repository import GalleryRepository
from app.settings import Settings


def rebuild(as_json: AsJson = False) -> None:  # noqa: FBT002
    """Write the database anew, without the space of deleted faces; with pgvector or Milvus, their index too."""

    def work(settings: Settings, repository: GalleryRepository) -> Result:
        with waiting("rebuilding"):
            repository.vacuum()
            if not is_external(settings):
                return erased(repository.pending_erasures(), {"ok": True}, "rebuilt")
            with open_external_search(settings, repository) as search:
                faces = search.rebuild()
        document = {"ok": True, "indexed": faces}
        return erased(repository.pending_erasures(), document, f"rebuilt, with an index of {faces} faces")

    run(as_json, with_settings(work))


def rekey(
    gallery: GalleryName,
    as_json: AsJson = False,  # noqa: FBT002
) -> None:
    """Give a gallery another secret transform, so that vectors stolen from it are of no use with it any more."""

    def work(repository: GalleryRepository) -> Result:
        with progress_bar(BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()) as progress:
            bar = progress.add_task("re-keying", total=repository.gallery(gallery).subjects)
            done = repository.rekey_gallery(
                gallery, operator(), lambda subjects: progress.update(bar, completed=subjects)
            )
        document = {"gallery": gallery, "faces": done.faces}
        return erased(repository.pending_erasures(), document, f"{done.faces} faces of {gallery!r} are re-keyed")

    run(as_json, with_repository(work))


def rotate(as_json: AsJson = False) -> None:  # noqa: FBT002
    """Use the first of the encryption keys given from now on, also for a gallery that was not encrypted."""

    async def work(settings: Settings) -> Result:
        cipher = open_cipher(settings)
        if cipher is None:
            raise CommandError("expected LIKENESS_ENCRYPTION_KEY or LIKENESS_ENCRYPTION_KEY_FILE, got neither")
        with open_database(settings) as database:
            with waiting("encrypting"):
                faces = key_rotation.rotate(database, cipher, operator())
            pending = database.pending_erasures()
        return erased(pending, {"ok": True, "faces": faces}, f"{faces} faces encrypted with the first key")

    run(as_json, work)
