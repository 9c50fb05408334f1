"""What is closed opens again, with its key and about its place, and in no other way."""

import base64

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.domain.errors import ServiceError, StartError
from app.storage.cipher import KEY_BYTES, AesGcmCipher, NoCipher, parse_keys

OLD, NEW, OTHER = (bytes([number]) * KEY_BYTES for number in (1, 2, 3))
VAULT = AesGcmCipher([NEW])
VALUES, ABOUTS, KEYS = (
    st.binary(max_size=300),
    st.text(st.characters(exclude_categories=["Cs"])),
    st.binary(min_size=32, max_size=32),
)
ABOUT = '["vector", 1, "ada", "f"]'


@given(value=VALUES, about=ABOUTS, key=KEYS)
def test_what_is_closed_opens_to_what_it_was(value: bytes, about: str, key: bytes) -> None:
    cipher = AesGcmCipher([key])

    assert cipher.open(cipher.close(value, about), about) == value


@given(value=VALUES, about=ABOUTS, other=ABOUTS)
def test_it_opens_only_about_what_it_was_closed_about(value: bytes, about: str, other: str) -> None:
    closed = VAULT.close(value, about)
    elsewhere = other + "x" * (other == about)

    with pytest.raises(ServiceError, match="changed or moved"):
        VAULT.open(closed, elsewhere)


@settings(max_examples=20)
@given(value=st.binary(max_size=12))
def test_with_any_one_bit_flipped_it_does_not_open(value: bytes) -> None:
    closed = VAULT.close(value, ABOUT)
    flipped = [
        closed[:at] + bytes([closed[at] ^ 1 << bit]) + closed[at + 1 :] for at in range(len(closed)) for bit in range(8)
    ]

    assert [each for each in flipped if _opens(VAULT, each)] == []


@given(value=VALUES, more=st.binary(min_size=1, max_size=40), cut=st.integers(0, 400))
def test_cut_short_or_drawn_out_it_does_not_open(value: bytes, more: bytes, cut: int) -> None:
    closed = VAULT.close(value, ABOUT)

    assert not _opens(VAULT, closed[: cut % len(closed)])
    assert not _opens(VAULT, closed + more)


@given(st.binary(max_size=100))
def test_what_was_never_closed_does_not_open(written: bytes) -> None:
    assert not _opens(VAULT, written)


@given(st.binary(min_size=8, max_size=300))
def test_nothing_of_a_value_shows_and_two_closings_of_it_share_nothing(value: bytes) -> None:
    one, other = VAULT.close(value, ABOUT), VAULT.close(value, ABOUT)

    assert value not in one
    assert one[9:21] != other[9:21]
    assert one[21:] != other[21:]
    assert len(one) == len(value) + 37


def test_the_first_key_closes_and_all_of_them_open() -> None:
    earlier, later = AesGcmCipher([OLD]).close(b"x", ABOUT), AesGcmCipher([NEW, OLD]).close(b"x", ABOUT)

    assert AesGcmCipher([NEW, OLD]).open(earlier, ABOUT) == b"x"
    assert AesGcmCipher([NEW]).open(later, ABOUT) == b"x"
    assert not _opens(AesGcmCipher([OLD]), later)
    assert not _opens(AesGcmCipher([NEW]), earlier)


def test_a_key_that_is_not_here_is_told_from_a_value_that_was_changed() -> None:
    closed = VAULT.close(b"x", ABOUT)

    with pytest.raises(ServiceError, match="sealed with a key that is not given"):
        AesGcmCipher([OTHER]).open(closed, ABOUT)
    with pytest.raises(ServiceError, match="changed or moved"):
        VAULT.open(closed[:-1], ABOUT)


@given(value=VALUES, about=ABOUTS)
def test_without_a_key_values_are_as_they_are(value: bytes, about: str) -> None:
    assert NoCipher().close(value, about) == NoCipher().open(value, about) == value


@given(keys=st.lists(KEYS, min_size=1, max_size=4), between=st.sampled_from([",", "\n", " ", ",\n", "\r\n", " , "]))
def test_keys_are_read_in_their_order_however_they_are_separated(keys: list[bytes], between: str) -> None:
    text = between.join(base64.b64encode(key).decode() for key in keys)

    assert parse_keys(text) == parse_keys(f"\n{text}\n") == keys


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "base64 of 32 bytes, as `openssl rand -base64 32` prints it"),
        (" ,\n", "want an encryption key"),
        (base64.b64encode(b"k" * 31).decode(), "key 1 has 31 bytes, want 32"),
        (base64.b64encode(b"k" * 33).decode(), "key 1 has 33 bytes, want 32"),
        (base64.b64encode(OLD).decode() + ",secret-but-not-base64!", "key 2 is not base64"),
        (base64.b64encode(OLD).decode()[:-1], "key 1 is not base64"),
        (base64.b64encode(OLD).decode().replace("QEB", "QE!B", 1), "key 1 is not base64"),
        ("ключ", "key 1 is not base64"),
        (OLD.hex(), "key 1 has 48 bytes, want 32"),
    ],
)
def test_a_key_that_is_none_is_told_by_its_number_and_never_shown(text: str, words: str) -> None:
    with pytest.raises(StartError, match=words) as refused:
        parse_keys(text)

    assert "secret" not in str(refused.value)
    assert refused.value.__suppress_context__ or refused.value.__context__ is None


def _opens(cipher: AesGcmCipher, written: bytes) -> bool:
    try:
        cipher.open(written, ABOUT)
    except ServiceError:
        return False
    return True
