"""HTTP requests with multipart bodies that break the rules of multipart or HTTP, one for each number."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random

from tests.support.lengths import SEED
from tests.support.photos import COLLINS, HOPPER, small_jpeg

from .mutations import flipped_bytes, hostile_photo, odd_number, truncated

BOUNDARY = b"likeness-proof"
Part = tuple[bytes, bytes]
"""Head and body."""

ROUTES = (
    ("/verify", ("image1", "image2")),
    ("/detect", ("image",)),
    ("/identify", ("image",)),
    ("/embed", ("image", "image", "image")),
    ("/galleries/fuzz/subjects/someone/faces", ("image", "image")),
    ("/galleries/fuzz/subjects/someone/verify", ("image",)),
)
NAMES = (
    b"image",
    b"image1",
    b"image2",
    b"face",
    b"fmr",
    b"threshold",
    b"gallery",
    b"top_k",
    b"_charset_",
    b"",
    b"x" * 300,
)
VALUES = (b"largest", b"0.001", b"nan", b"-1", b"1e400", b"\0", b"\xff\xfe", b"default", b"7" * 5000, b"", b"[" * 500)
TYPES = (b"image/jpeg", b"text/plain; charset=utf-7", b"multipart/mixed; boundary=x", b"", b"a" * 3000, b"\xff/\0")
ENCODINGS = (b"base64", b"quoted-printable", b"gzip", b"binary")
BOUNDARIES = (b"", b"other", b"likeness", b"likeness-proof-", b"x" * 200, b'"likeness-proof"', b"\xff", b"a b", b"--")


@dataclass(frozen=True, slots=True)
class Hostile:
    """The bytes of a request; `framed` means that it is correct HTTP, so that the connection can be used again."""

    data: bytes
    framed: bool


def hostile_request(number: int) -> Hostile:
    """Return a hostile photo in a correct form, a hostile form, or a form in hostile HTTP."""
    random = Random(f"{SEED} request {number}")  # noqa: S311
    path, fields = random.choice(ROUTES)
    photos = [_photo(random, number + place) for place in range(len(fields))]
    parts = [_part(field.encode(), photo) for field, photo in zip(fields, photos, strict=True)]
    dice = random.random()
    if dice < 0.5:
        return Hostile(request(path, form(parts)), framed=True)
    if dice < 0.9:
        return Hostile(random.choice(FORMS)(path, parts, random), framed=True)
    return Hostile(random.choice(FRAMES)(path, parts, random), framed=False)


def request(path: str, body: bytes, *more: bytes, boundary: bytes = BOUNDARY, length: int | None = None) -> bytes:
    head = [
        b"POST %s HTTP/1.1" % path.encode(),
        b"Host: likeness",
        b"Content-Type: multipart/form-data; boundary=" + boundary,
        b"Content-Length: %d" % (len(body) if length is None else length),
        *more,
    ]
    return b"\r\n".join([*head, b"", body])


def form(parts: Sequence[Part], boundary: bytes = BOUNDARY, end: bytes = b"--\r\n") -> bytes:
    lines = b"".join(b"--" + boundary + b"\r\n" + head + b"\r\n\r\n" + body + b"\r\n" for head, body in parts)
    return lines + b"--" + boundary + end


def _photo(random: Random, number: int) -> bytes:
    return random.choice((hostile_photo(number), small_jpeg(COLLINS), small_jpeg(HOPPER)))


def _part(name: bytes, body: bytes) -> Part:
    return b'Content-Disposition: form-data; name="%s"; filename="photo.jpg"\r\nContent-Type: image/jpeg' % name, body


def _field(random: Random) -> Part:
    return b'Content-Disposition: form-data; name="%s"' % random.choice(NAMES), random.choice(VALUES)


def other_boundary(path: str, parts: Sequence[Part], random: Random) -> bytes:
    """Name one boundary in the head and use another in the body."""
    return request(path, form(parts, random.choice((BOUNDARY, *BOUNDARIES))), boundary=random.choice(BOUNDARIES))


def no_end(path: str, parts: Sequence[Part], random: Random) -> bytes:
    return request(path, form(parts, end=random.choice((b"", b"-", b"\r\n", b"--", b"\0\0", b"--\r\n" + b"x" * 5000))))


def cut_short(path: str, parts: Sequence[Part], random: Random) -> bytes:
    return request(path, truncated(form(parts), random))


def altered_body(path: str, parts: Sequence[Part], random: Random) -> bytes:
    return request(path, random.choice((flipped_bytes, odd_number))(form(parts), random))


def odd_part(path: str, parts: Sequence[Part], random: Random) -> bytes:
    """Add a part with a malformed head."""
    body = small_jpeg(COLLINS)
    odd = random.choice(
        [
            (b"", body),
            (b"Content-Disposition: form-data", body),
            (b'Content-Disposition: form-data; name="image"; filename="../../etc/passwd\0.jpg"', body),
            (b'Content-Disposition: form-data; name="image', body),
            (b"Content-Disposition: form-data; name*=utf-8''image; filename*=utf-8''%ff%fe", body),
            (b'Content-Disposition: form-data; name="%s"' % random.choice(NAMES), random.choice(VALUES)),
            (b'Content-Disposition: attachment; name="image"; filename="x"', body),
            (b"X: " + b"a" * random.choice((100, 5000, 70_000)), body),
            (b"\r\n".join(b"X-%d: y" % number for number in range(random.choice((9, 200, 5000)))), body),
            (b"no colon here", body),
            (b"\0\0: \0", body),
            (b": empty", body),
            (_part(b"image", b"")[0] + b"\r\nContent-Type: " + random.choice(TYPES), body),
            (_part(b"image", b"")[0] + b"\r\nContent-Transfer-Encoding: " + random.choice(ENCODINGS), body),
            (_part(b"image", b"")[0] + b"\r\n folded: continuation", body),
        ]
    )
    return request(path, form([*parts, odd] if random.random() < 0.5 else [odd, *parts]))


def many_parts(path: str, parts: Sequence[Part], random: Random) -> bytes:
    count = random.choice((3, 33, 65, 129, 1500))
    more = [_field(random) if random.random() < 0.8 else _part(b"image", b"") for _ in range(count)]
    return request(path, form([*parts, *more]))


def more_fields(path: str, parts: Sequence[Part], random: Random) -> bytes:
    return request(path, form([*parts, *(_field(random) for _ in range(random.choice((1, 2, 3))))]))


def nested(path: str, parts: Sequence[Part], random: Random) -> bytes:
    """Put a form in a part of a form, with the same boundary or another."""
    inner = random.choice((BOUNDARY, b"inner"))
    body = form(parts, inner)
    for _ in range(random.choice((1, 3, 30))):
        head = b'Content-Disposition: form-data; name="image"\r\nContent-Type: multipart/mixed; boundary=' + inner
        body = form([(head, body)], inner)[:200_000]
    return request(path, body)


def wrong_length(path: str, parts: Sequence[Part], random: Random) -> bytes:
    """Give a Content-Length of fewer or more bytes than are sent."""
    body = form(parts)
    length = random.choice((0, 1, len(body) // 2, len(body) - 1, len(body) + 1, 10 * len(body), 10**15))
    return request(path, body, length=length)


def odd_head(path: str, parts: Sequence[Part], random: Random) -> bytes:
    body = form(parts)
    head = random.choice(
        (
            b"Content-Length: 7",
            b"Content-Length: -1",
            b"Content-Length: many",
            b"Transfer-Encoding: chunked",
            b"Transfer-Encoding: gzip",
            b"Content-Encoding: gzip",
            b"Content-Type: application/json",
            b"Expect: 100-continue",
            b"Expect: nonsense",
            b"X-Request-ID: " + b"\xff" * 40,
            b"Idempotency-Key: " + random.choice((b"", b"\xff", b"k" * 256, b"again")),
            b"Upgrade: h2c",
            b"X-Long: " + b"a" * random.choice((9000, 70_000)),
        )
    )
    return request(path, body, head)


def chunked(path: str, parts: Sequence[Part], random: Random) -> bytes:
    """Send correct or broken chunks in place of a length."""
    body = form(parts)
    size = random.choice((1000, 7, len(body)))
    pieces = [body[start : start + size] for start in range(0, len(body), size)][:400]
    framed = b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces)
    end = random.choice((b"0\r\n\r\n", b"0\r\n\r\n", b"-1\r\n\r\n", b"fffffffffffffffff\r\n", b"zz\r\n", b""))
    sound = request(path, b"", b"Transfer-Encoding: chunked")
    return sound.replace(b"Content-Length: 0\r\n", b"") + framed + end


FORMS: tuple[Callable[[str, Sequence[Part], Random], bytes], ...] = (
    other_boundary,
    no_end,
    cut_short,
    altered_body,
    odd_part,
    many_parts,
    more_fields,
    nested,
)
FRAMES: tuple[Callable[[str, Sequence[Part], Random], bytes], ...] = (wrong_length, odd_head, chunked)
