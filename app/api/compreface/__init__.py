"""
CompreFace's REST API over the same services, for programs that were written for it (docs/compreface.md).

The routes take requests and shape answers as CompreFace does. They add no rule of their own: keys, scopes, limits,
audit and the rounding of distances to enrolled faces are those of the other routes. Its clients send fields that a
route does not know, and they are ignored here.
"""

from __future__ import annotations

from fastapi.routing import APIRoute

from app.api.compreface import faces, photos, subjects

ROUTERS = (subjects.router, faces.router, photos.router)
PATHS = [route.path for router in ROUTERS for route in router.routes if isinstance(route, APIRoute)]
