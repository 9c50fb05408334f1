"""A photo with bytes changed, lost or added at random is an image or a problem, never a crash."""

from functools import cache

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from .contract import answered
from .photos import encoded, hopper, jpeg, png, scaled

FEW = settings(
    max_examples=40,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@cache
def originals() -> list[bytes]:
    small = scaled(hopper(), 0.3)
    return [jpeg(small), png(small), *(encoded(small, kind) for kind in ("WEBP", "BMP", "TIFF", "GIF"))]


def assert_survived(likeness, data):
    response = likeness.detect(data)
    assert response.status_code in {200, 413, 415, 422}, response.text


@FEW
@given(st.sampled_from(originals()), st.lists(st.tuples(st.floats(0, 0.999), st.integers(0, 255)), min_size=1))
def test_changed_bytes_are_survived(likeness, original, changes):
    data = bytearray(original)
    for place, value in changes:
        data[int(place * len(data))] = value
    assert_survived(likeness, bytes(data))


@FEW
@given(st.sampled_from(originals()), st.lists(st.tuples(st.integers(0, 63), st.integers(0, 255)), min_size=1))
def test_changed_headers_are_survived(likeness, original, changes):
    data = bytearray(original)
    for place, value in changes:
        data[place] = value
    assert_survived(likeness, bytes(data))


@FEW
@given(st.sampled_from(originals()), st.floats(0, 1), st.floats(0, 1))
def test_a_stretch_cut_out_is_survived(likeness, original, start, length):
    begin = int(start * len(original))
    assert_survived(likeness, original[:begin] + original[begin + int(length * len(original)) :])


@FEW
@given(st.binary(max_size=2000))
def test_random_bytes_are_survived(likeness, data):
    assert_survived(likeness, data)


def test_the_unchanged_originals_have_a_face(likeness):
    assert all(len(answered(likeness.detect(original))["faces"]) == 1 for original in originals())
