"""An encrypted value can be decrypted with its key and its additional data, and in no other way."""

import base64

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.domain.errors import ServiceError, StartError
from app.storage.cipher import KEY_BYTES, AesGcmCipher, NoCipher, parse_keys

OLD, NEW, OTHER = (bytes([number]) * KEY_BYTES for number in (1, 2, 3))
CIPHER = AesGcmCipher([NEW])
VALUES, AADS, KEYS = (
    st.binary(max_size=300),
    st.text(st.characters(exclude_categories=["Cs"])),
    st.binary(min_size=32, max_size=32),
)
AAD = '["vector", 1, "ada", "f"]'


@given(value=VALUES, aad=AADS, key=KEYS)
def test_what_is_encrypted_opens_to_what_it_was(value: bytes, aad: str, key: bytes) -> None:
    cipher = AesGcmCipher([key])

    assert cipher.decrypt(cipher.encrypt(value, aad), aad) == value


@given(value=VALUES, aad=AADS, other=AADS)
def test_it_opens_only_with_the_data_it_was_encrypted_with(value: bytes, aad: str, other: str) -> None:
    encrypted = CIPHER.encrypt(value, aad)
    elsewhere = other + "x" * (other == aad)

    with pytest.raises(ServiceError, match="changed or moved"):
        CIPHER.decrypt(encrypted, elsewhere)


@settings(max_examples=20)
@given(value=st.binary(max_size=12))
def test_with_any_one_bit_flipped_it_does_not_open(value: bytes) -> None:
    encrypted = CIPHER.encrypt(value, AAD)
    flipped = [
        encrypted[:at] + bytes([encrypted[at] ^ 1 << bit]) + encrypted[at + 1 :]
        for at in range(len(encrypted))
        for bit in range(8)
    ]

    assert [each for each in flipped if _opens(CIPHER, each)] == []


@given(value=VALUES, more=st.binary(min_size=1, max_size=40), cut=st.integers(0, 400))
def test_cut_short_or_drawn_out_it_does_not_open(value: bytes, more: bytes, cut: int) -> None:
    encrypted = CIPHER.encrypt(value, AAD)

    assert not _opens(CIPHER, encrypted[: cut % len(encrypted)])
    assert not _opens(CIPHER, encrypted + more)


@given(st.binary(max_size=100))
def test_what_was_never_encrypted_does_not_open(written: bytes) -> None:
    assert not _opens(CIPHER, written)


@given(st.binary(min_size=8, max_size=300))
def test_nothing_of_a_value_shows_and_two_closings_of_it_share_nothing(value: bytes) -> None:
    one, other = CIPHER.encrypt(value, AAD), CIPHER.encrypt(value, AAD)

    assert value not in one
    assert one[9:21] != other[9:21]
    assert one[21:] != other[21:]
    assert len(one) == len(value) + 37


def test_the_first_key_closes_and_all_of_them_open() -> None:
    earlier, later = AesGcmCipher([OLD]).encrypt(b"x", AAD), AesGcmCipher([NEW, OLD]).encrypt(b"x", AAD)

    assert AesGcmCipher([NEW, OLD]).decrypt(earlier, AAD) == b"x"
    assert AesGcmCipher([NEW]).decrypt(later, AAD) == b"x"
    assert not _opens(AesGcmCipher([OLD]), later)
    assert not _opens(AesGcmCipher([NEW]), earlier)


def test_a_key_that_is_not_here_is_told_from_a_value_that_was_changed() -> None:
    encrypted = CIPHER.encrypt(b"x", AAD)

    with pytest.raises(ServiceError, match="encrypted with a key that is not given"):
        AesGcmCipher([OTHER]).decrypt(encrypted, AAD)
    with pytest.raises(ServiceError, match="changed or moved"):
        CIPHER.decrypt(encrypted[:-1], AAD)


@given(value=VALUES, aad=AADS)
def test_without_a_key_values_are_as_they_are(value: bytes, aad: str) -> None:
    assert NoCipher().encrypt(value, aad) == NoCipher().decrypt(value, aad) == value


@given(keys=st.lists(KEYS, min_size=1, max_size=4), between=st.sampled_from([",", "\n", " ", ",\n", "\r\n", " , "]))
def test_keys_are_read_in_their_order_however_they_are_separated(keys: list[bytes], between: str) -> None:
    text = between.join(base64.b64encode(key).decode() for key in keys)

    assert parse_keys(text) == parse_keys(f"\n{text}\n") == keys


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "base64 of 32 bytes, as `openssl rand -base64 32` prints it"),
        (" ,\n", "expected an encryption key"),
        (base64.b64encode(b"k" * 31).decode(), "key 1: expected 32 bytes, got 31"),
        (base64.b64encode(b"k" * 33).decode(), "key 1: expected 32 bytes, got 33"),
        (base64.b64encode(OLD).decode() + ",secret-but-not-base64!", "key 2 is not base64"),
        (base64.b64encode(OLD).decode()[:-1], "key 1 is not base64"),
        (base64.b64encode(OLD).decode().replace("QEB", "QE!B", 1), "key 1 is not base64"),
        ("ключ", "key 1 is not base64"),
        (OLD.hex(), "key 1: expected 32 bytes, got 48"),
    ],
)
def test_a_key_that_is_none_is_told_by_its_number_and_never_shown(text: str, words: str) -> None:
    with pytest.raises(StartError, match=words) as refused:
        parse_keys(text)

    assert "secret" not in str(refused.value)
    assert refused.value.__suppress_context__ or refused.value.__context__ is None


def _opens(cipher: AesGcmCipher, written: bytes) -> bool:
    try:
        cipher.decrypt(written, AAD)
    except ServiceError:
        return False
    return True
