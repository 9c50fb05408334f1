"""
The door to pillow-heif, which teaches Pillow to read HEIC and HEIF, the format of iPhone photos.

It is an extra (`heif`) and not a dependency: its wheels carry libde265 (LGPL) and x265 (GPL). Without it, HEIF is
refused by name. libheif applies the rotation of the file by itself, and pillow-heif then says so in the EXIF data.
"""

from __future__ import annotations

from importlib.util import find_spec

AVAILABLE = find_spec("pillow_heif") is not None

if AVAILABLE:
    from pillow_heif import register_heif_opener

    # One thread: a photo is decoded by one of the service's workers. Only the primary picture is read.
    register_heif_opener(decode_threads=1, thumbnails=False, depth_images=False, aux_images=False)
