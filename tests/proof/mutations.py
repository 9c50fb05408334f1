"""Photos with random faults: the same seed and number give the same bytes on every machine."""

import struct
from collections.abc import Callable
from random import Random

from tests.support.lengths import SEED

from .corpus import corpus
from .pieces import joined, sized_fields, split

Mutation = Callable[[bytes, Random], bytes]
LARGEST = 400_000
ODD_NUMBERS = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFE, 0xFFFFFFFF)
ODD_SIDES = (0, 1, 2, 3, 7, 17, 159, 161, 1000, 4999, 16383, 30_000, 65_535, 0x7FFFFFFF, 0xFFFFFFFF)


def hostile_photo(number: int) -> bytes:
    """Return one photo of the corpus, changed one to four times."""
    random = Random(f"{SEED} photo {number}")  # noqa: S311
    data = random.choice(list(corpus().values()))
    for _ in range(random.choice((1, 1, 1, 2, 4))):
        data = random.choice(MUTATIONS)(data, random)[:LARGEST]
    return data


def place(data: bytes, random: Random) -> int:
    """Return a random place, half of the time near the start, where the headers are."""
    return random.randrange(min(len(data), 300) if random.random() < 0.5 else len(data)) if data else 0


def flipped_bytes(data: bytes, random: Random) -> bytes:
    changed = bytearray(data)
    for _ in range(random.choice((1, 2, 8, 64)) if data else 0):
        changed[place(data, random)] = random.randrange(256)
    return bytes(changed)


def flipped_bits(data: bytes, random: Random) -> bytes:
    changed = bytearray(data)
    for _ in range(random.choice((1, 2, 8)) if data else 0):
        changed[place(data, random)] ^= 1 << random.randrange(8)
    return bytes(changed)


def truncated(data: bytes, random: Random) -> bytes:
    return data[: place(data, random)]


def tail_lost(data: bytes, random: Random) -> bytes:
    """Take away the last bytes, where the end marker, the last chunk or the last strip is."""
    return data[: -random.choice((1, 2, 3, 12, 16, 64))]


def checksum_broken(data: bytes, random: Random) -> bytes:
    """Change the last byte of a piece, which in a PNG belongs to its checksum."""
    pieces = split(data)
    at = random.randrange(len(pieces)) if pieces else 0
    changed = [piece[:-1] + bytes([piece[-1] ^ 1]) for piece in pieces[at : at + 1] if piece]
    return b"".join(pieces[:at] + changed + pieces[at + 1 :])


def odd_number(data: bytes, random: Random) -> bytes:
    """Replace a number, such as a length, an offset or a count, by an extreme one."""
    form = random.choice((">B", ">H", "<H", ">I", "<I"))
    size = struct.calcsize(form)
    at = place(data, random)
    return data[:at] + struct.pack(form, random.choice(ODD_NUMBERS) % 256**size) + data[at + size :]


def cut_out(data: bytes, random: Random) -> bytes:
    at = place(data, random)
    return data[:at] + data[at + random.choice((1, 2, 4, 100, 1000)) :]


def put_in(data: bytes, random: Random) -> bytes:
    at = place(data, random)
    return data[:at] + random.randbytes(random.choice((1, 2, 4, 100, 1000))) + data[at:]


def spliced(data: bytes, random: Random) -> bytes:
    """Join the head of one format and the tail of another."""
    other = random.choice(list(corpus().values()))
    return data[: place(data, random)] + other[place(other, random) :]


def other_sides(data: bytes, random: Random) -> bytes:
    """Give another width, height or both than the pixels have."""
    changed = bytearray(data)
    fields = [(at, form) for at, form in sized_fields(data) if at + struct.calcsize(form) <= len(data)]
    for at, form in fields[random.randrange(2) :]:
        size = struct.calcsize(form)
        side = random.choice(ODD_SIDES) % 256**size
        changed[at : at + size] = struct.pack(form.upper(), side)
    return joined(split(bytes(changed)))


def piece_repeated(data: bytes, random: Random) -> bytes:
    pieces = split(data)
    at = random.randrange(len(pieces)) if pieces else 0
    return joined(pieces[:at] + pieces[at : at + 1] * random.choice((2, 3, 20)) + pieces[at + 1 :])


def piece_dropped(data: bytes, random: Random) -> bytes:
    pieces = split(data)
    at = random.randrange(len(pieces)) if pieces else 0
    return joined(pieces[:at] + pieces[at + 1 :])


def pieces_shuffled(data: bytes, random: Random) -> bytes:
    first, *rest = split(data) or [b""]
    random.shuffle(rest)
    return joined([first, *rest])


def piece_rewritten(data: bytes, random: Random) -> bytes:
    """Change the content of a piece under a correct checksum and a correct length."""
    pieces = split(data)
    at = random.randrange(len(pieces)) if pieces else 0
    changed = [flipped_bytes(piece, random) for piece in pieces[at : at + 1]]
    return joined(pieces[:at] + changed + pieces[at + 1 :])


MUTATIONS: tuple[Mutation, ...] = (
    flipped_bytes,
    flipped_bits,
    truncated,
    tail_lost,
    checksum_broken,
    odd_number,
    cut_out,
    put_in,
    spliced,
    other_sides,
    piece_repeated,
    piece_dropped,
    pieces_shuffled,
    piece_rewritten,
)
