"""`likeness gallery list|export|import|check|repair|...`: galleries without a server."""

from __future__ import annotations

import typer

from app.cli.gallery.damage import check, repair
from app.cli.gallery.listing import list_galleries
from app.cli.gallery.re_embed import re_embed
from app.cli.gallery.recall import measure_recall
from app.cli.gallery.rewriting import rebuild, rekey, rotate
from app.cli.gallery.transfer import export_gallery, import_gallery

commands = typer.Typer(no_args_is_help=True, help="List, export, import, check, repair and rebuild galleries.")
commands.command("re-embed")(re_embed)
commands.command("list")(list_galleries)
commands.command("export")(export_gallery)
commands.command("import")(import_gallery)
commands.command("check")(check)
commands.command("repair")(repair)
commands.command("rebuild")(rebuild)
commands.command("rekey")(rekey)
commands.command("recall")(measure_recall)
commands.command("rotate")(rotate)
