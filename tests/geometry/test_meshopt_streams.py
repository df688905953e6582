"""Streams of meshopt are decoded to what they were made of, and broken ones are refused."""

import base64
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from meshopt_scenes import TriangleEncoder, encode_attributes, encode_indices

from texcsd.geometry.file_part import DamagedFileError
from texcsd.geometry.meshopt import decompress
from texcsd.geometry.meshopt_streams import decode_attributes, decode_indices, decode_triangles

STREAMS = json.loads(Path(__file__).with_name("meshopt_streams.json").read_text())
"""What the encoder of meshoptimizer 1.3 (npm) makes of the values below."""
INDEX = np.arange(50)
FLOATS = np.stack(
    [INDEX * 0.25, (INDEX * INDEX % 17) * -0.125, (INDEX % 7) * 8.0, 1000.0 + INDEX // 3], 1
)
SHORTS = np.stack([INDEX * 37 % 401, 3 * INDEX + INDEX % 2, INDEX * INDEX % 1000, INDEX // 16], 1)
BYTES = np.stack([INDEX * 0 + 7, INDEX // 8, INDEX * 0 + 255, INDEX * 101 % 256], 1)
GRID = [7 * y + x + n for y in range(5) for x in range(6) for n in (0, 1, 8, 0, 8, 7)]
WILD = [n for a in range(20) for n in (a * a % 13, (a * 5 + 1) % 29, 400 + a * a * a % 97)]
ANGLE = INDEX * 0.7
UP = np.sin(INDEX * 0.1)
NORMALS = np.stack([np.cos(ANGLE) * UP, np.sin(ANGLE) * UP, np.cos(INDEX * 0.1)], 1)
TURNS = np.stack([np.cos(ANGLE), *(np.sin(ANGLE) * part for part in (0.6, 0.64, 0.48))], 1)
COLORS = np.stack([INDEX % 9 / 8, INDEX % 5 / 4, INDEX % 3 / 2, INDEX / 49], 1)


def real(name: str) -> bytes:
    return base64.b64decode(STREAMS[name])


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("floats 0", FLOATS.astype("<f4")),
        ("floats 1", FLOATS.astype("<f4")),
        ("shorts 1", SHORTS.astype("<u2")),
        ("bytes 0", BYTES.astype(np.uint8)),
        ("bytes 1", BYTES.astype(np.uint8)),
    ],
)
def test_attributes_of_another_encoder_are_read(name: str, values: np.ndarray) -> None:
    stride = values.itemsize * values.shape[1]
    assert decode_attributes(real(name), len(values), stride).tobytes() == values.tobytes()


def test_indices_of_another_encoder_are_read() -> None:
    grid = decode_triangles(real("grid"), len(GRID), 2).view("<u2").reshape(-1, 3)
    wild = decode_triangles(real("wild"), len(WILD), 4).view("<u4").reshape(-1, 3)
    for found, made_of in ((grid, GRID), (wild, WILD)):
        # Triangles may begin at another of their corners.
        turned = [np.roll(np.reshape(made_of, (-1, 3)), turn, axis=1) for turn in range(3)]
        assert np.any([(found == each).all(axis=1) for each in turned], axis=0).all()
    assert decode_indices(real("indices"), len(WILD), 2).view("<u2").ravel().tolist() == WILD


def filtered(name: str, filter_name: str, stride: int, kind: str) -> np.ndarray:
    described = {"mode": "ATTRIBUTES", "filter": filter_name, "count": 50, "byteStride": stride}
    values = np.frombuffer(decompress(described, 50 * stride, real(name)), kind).reshape(50, -1)
    return values / np.iinfo(kind).max if kind[1] in "iu" else values


def test_filters_of_another_encoder_are_undone() -> None:
    for stride, kind, rounding in ((4, "<i1", 0.02), (8, "<i2", 1e-3)):
        found = filtered(f"octahedral {stride}", "OCTAHEDRAL", stride, kind)
        np.testing.assert_allclose(found[:, :3], NORMALS, atol=rounding)
        np.testing.assert_allclose(found[:, 3], np.where(INDEX % 2, 1, -1), atol=0.02)
    found = filtered("quaternion 8", "QUATERNION", 8, "<i2")
    np.testing.assert_allclose(np.abs((found * TURNS).sum(axis=1)), 1, atol=1e-3)
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, atol=1e-3)
    found = filtered("exponential 16", "EXPONENTIAL", 16, "<f4")
    np.testing.assert_allclose(found, FLOATS, rtol=1e-3, atol=0.05)
    for stride, kind, rounding in ((4, "<u1", 0.01), (8, "<u2", 1e-3)):
        found = filtered(f"color {stride}", "COLOR", stride, kind)
        np.testing.assert_allclose(found, COLORS, atol=rounding)


def test_filters_give_the_values_of_their_formulas() -> None:
    def undone(filter_name: str, stored: list[int], kind: str, as_kind: str) -> list:
        rows = np.array([stored], kind)
        described = {"mode": "ATTRIBUTES", "filter": filter_name, "count": 1}
        described |= {"byteStride": rows.nbytes}
        stream = encode_attributes(rows.view(np.uint8))
        return np.frombuffer(decompress(described, rows.nbytes, stream), as_kind).tolist()

    assert undone("OCTAHEDRAL", [0, 0, 127, -3], "<i1", "<i1") == [0, 0, 127, -3]
    assert undone("OCTAHEDRAL", [-7, 0, 7, 5], "<i2", "<i2") == [-32767, 0, 0, 5]
    assert undone("OCTAHEDRAL", [511, 511, 511, 0], "<i2", "<i2") == [0, 0, -32767, 0]
    assert undone("QUATERNION", [0, 0, 0, 2045], "<i2", "<i2") == [0, 32767, 0, 0]
    assert undone("QUATERNION", [2047, 0, 0, 2046], "<i2", "<i2") == [0, 0, 23170, 23170]
    assert undone("EXPONENTIAL", [(3 << 24) + 5, -(2 << 24)], "<i4", "<f4") == [40, 0]
    assert undone("EXPONENTIAL", [(-2 << 24) + (1 << 24) - 3], "<i4", "<f4") == [-0.75]
    assert undone("COLOR", [100, 20, -30, 0x80 | 64], "<i2", "<u2") == [
        round(65535 / 255 * part) for part in (150, 70, 110, 128)
    ]
    assert undone("COLOR", [1, 0, 0, 3], "<i1", "<u1") == [85, 85, 85, 255]
    # What the formulas do not tell is no error.
    for name in ("OCTAHEDRAL", "QUATERNION", "COLOR"):
        assert len(undone(name, [0, 0, 0, 0], "<i2", "<i2")) == 4


rows_of_bytes = st.builds(
    lambda seed, count, stride, most: (
        np.random.default_rng(seed).integers(0, most + 1, (count, stride)).cumsum(0) % 256
    ).astype(np.uint8),
    st.integers(0, 99),
    st.sampled_from([0, 1, 15, 16, 17, 64, 257]),
    st.sampled_from([4, 8, 40, 256]),
    st.sampled_from([0, 1, 3, 20, 255]),
)


@settings(max_examples=40, deadline=None)
@given(rows=rows_of_bytes, data=st.data())
def test_attributes_come_back(rows: np.ndarray, data: st.DataObject) -> None:
    channels = controls = None
    count, stride = rows.shape
    if data.draw(st.booleans(), "version 1"):
        mode = st.sampled_from([0, 1, *range(2, 0x100, 16)])
        size = stride // 4
        channels = bytes(data.draw(st.lists(mode, min_size=size, max_size=size)))
        control = st.sampled_from([0, 1, 3])
        controls = bytes(data.draw(st.lists(control, min_size=stride, max_size=stride)))
    stream = encode_attributes(rows, channels, controls)
    np.testing.assert_array_equal(decode_attributes(stream, count, stride), rows)


def test_bytes_that_stay_the_same_take_nothing() -> None:
    rows = np.tile(np.uint8([[1, 2, 3, 4]]), (1000, 1))
    stream = encode_attributes(rows, bytes(1), bytes([2, 2, 2, 2]))
    assert len(stream) == 1 + 4 + 24
    np.testing.assert_array_equal(decode_attributes(stream, 1000, 4), rows)


@settings(max_examples=100, deadline=None)
@given(
    faces=st.lists(st.tuples(*3 * [st.integers(0, 40) | st.integers(0, 2**32 - 1)]), max_size=60),
    stride=st.sampled_from([2, 4]),
)
def test_triangles_come_back(faces: list[tuple[int, ...]], stride: int) -> None:
    expected = np.array(faces, np.int64).reshape(-1, 3) % (1 << 8 * stride)
    stream = TriangleEncoder().encode(expected)
    found = decode_triangles(stream, expected.size, stride).view(f"<u{stride}").reshape(-1, 3)
    np.testing.assert_array_equal(found, expected)


def neighbours(count: int) -> list[list[int]]:
    """Triangles at edges of those before, with any third corner."""
    random, faces = np.random.default_rng(0), [[0, 1, 2]]
    for _ in range(count - 1):
        a, b, c = faces[-random.integers(1, min(len(faces), 4) + 1)]
        faces.append([*((b, a), (c, b), (a, c))[random.integers(3)], int(random.integers(20))])
    return faces


def test_every_way_to_tell_a_triangle_is_used() -> None:
    chain = [0, 1, 2, *(n for k in range(2, 400, 2) for n in (k + 1, k, k + 2))]
    lists = np.array(neighbours(300)), np.array(GRID), np.arange(600), np.array(chain)
    streams = [TriangleEncoder().encode(faces) for faces in lists]
    codes = {code for stream, faces in zip(streams, lists, strict=True)
             for code in stream[1 : 1 + faces.size // 3]}  # fmt: skip
    assert {code & 15 for code in codes if code < 0xF0} == set(range(16))
    assert {0xF0, 0xFE, 0xFF} <= codes and any(0xF0 < code < 0xFE for code in codes)
    for stream, faces in zip(streams, lists, strict=True):
        found = decode_triangles(stream, faces.size, 4).view("<u4")
        np.testing.assert_array_equal(found.ravel(), faces.ravel())


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(0, 2**29), max_size=50))
def test_indices_come_back(indices: list[int]) -> None:
    found = decode_indices(encode_indices(np.array(indices)), len(indices), 4).view("<u4")
    assert found.ravel().tolist() == indices


def test_the_example_of_the_specification_is_read() -> None:
    """Sixteen deltas, of which two are bytes of their own."""
    group = bytes.fromhex("175ff0bc77a921003 4b5".replace(" ", ""))
    stream = b"\xa0" + b"\x02" + group + 3 * b"\0" + bytes(32)
    deltas = [-1, -4, -3, 26, -91, 0, -6, 6, -4, -4, 5, -5, 1, -1, 0, 0]
    found = decode_attributes(stream, 16, 4)
    assert found[:, 0].tolist() == (np.cumsum(deltas) % 256).tolist() and not found[:, 1:].any()


def refusal(decode, *arguments) -> str:
    with pytest.raises(DamagedFileError) as caught:
        decode(*arguments)
    return str(caught.value)


def test_broken_streams_say_what_is_wrong() -> None:
    assert "begins with nothing" in refusal(decode_attributes, b"", 1, 4)
    assert "begins with e1" in refusal(decode_attributes, b"\xe1" + bytes(40), 1, 4)
    stream = encode_attributes(np.arange(400, dtype=np.uint8).reshape(-1, 4))
    assert "ends before" in refusal(decode_attributes, stream[:-60], 100, 4)
    assert "1 bytes more" in refusal(decode_attributes, stream[:-32] + bytes(33), 100, 4)
    channels = encode_attributes(np.zeros((1, 4), np.uint8), bytes(1))[:-1]
    for mode in (3, 0x10, 0x21, 0xFF):
        assert "unknown mode" in refusal(decode_attributes, channels + bytes([mode]), 1, 4)
    faces = TriangleEncoder().encode(np.array([[0, 1, 2], [2, 1, 3]]))
    assert "ends before" in refusal(decode_triangles, faces, 300, 4)
    assert "bytes more" in refusal(decode_triangles, faces, 3, 4)
    assert "before the first" in refusal(decode_triangles, b"\xe1\x00" + bytes(16), 3, 4)
    assert "before the first" in refusal(decode_triangles, b"\xe1\xfe\x11" + bytes(16), 3, 4)
    assert "table" in refusal(decode_triangles, faces[:-1] + b"\1", 6, 4)
    assert "table" in refusal(decode_triangles, faces[:-16] + b"\xf0" + bytes(15), 6, 4)
    assert "ends before" in refusal(decode_triangles, b"\xe1\xff" + bytes(16), 3, 4)
    assert "ends before" in refusal(decode_indices, b"\xd1\x80" + bytes(4), 1, 4)
    long = b"\xd1" + 5 * b"\x80" + b"\0" + bytes(4)
    assert "more than five" in refusal(decode_indices, long, 1, 4)


def test_a_short_stream_cannot_claim_gigabytes() -> None:
    for decode, head in ((decode_attributes, b"\xa1"), (decode_triangles, b"\xe1")):
        assert "ends before" in refusal(decode, head + bytes(60), 3 << 40, 4)
    assert "ends before" in refusal(decode_indices, b"\xd1" + bytes(60), 1 << 60, 4)


@pytest.mark.parametrize(
    "described",
    [
        {"mode": "OTHER", "count": 3, "byteStride": 4},
        {"mode": "ATTRIBUTES", "count": 2, "byteStride": 6},
        {"mode": "ATTRIBUTES", "count": 1, "byteStride": 260},
        {"mode": "ATTRIBUTES", "count": 3, "byteStride": 4, "filter": "QUATERNION"},
        {"mode": "ATTRIBUTES", "count": 3, "byteStride": 4, "filter": "BLUR"},
        {"mode": "ATTRIBUTES", "count": 3, "byteStride": 4, "filter": ["NONE"]},
        {"mode": "TRIANGLES", "count": 4, "byteStride": 4},
        {"mode": "INDICES", "count": 4, "byteStride": 1},
        {"mode": "INDICES", "count": 4, "byteStride": 4, "filter": "EXPONENTIAL"},
        {"mode": ["INDICES"], "count": 4, "byteStride": 4},
        {"mode": "INDICES", "count": "4", "byteStride": 4},
        {"mode": "INDICES", "count": -1, "byteStride": 4},
        {"mode": "INDICES", "byteStride": 4},
    ],
)
def test_what_the_extension_does_not_allow_is_refused(described: dict) -> None:
    size = 4
    if isinstance(described.get("count"), int):
        size = described["count"] * described["byteStride"]
    assert "cannot be" in refusal(decompress, described, size, bytes(100))


def test_views_of_another_size_than_their_elements_are_refused() -> None:
    described = {"mode": "INDICES", "count": 2, "byteStride": 4}
    assert "12 bytes cannot be 2 elements" in refusal(decompress, described, 12, bytes(50))


DAMAGE = """
import numpy as np
from meshopt_scenes import TriangleEncoder, encode_attributes, encode_indices
from texcsd.geometry.file_part import DamagedFileError
from texcsd.geometry.meshopt_streams import decode_attributes, decode_indices, decode_triangles
random = np.random.default_rng(0)
rows = random.integers(0, 40, (40, 8)).astype(np.uint8)
faces = random.integers(0, 12, (30, 3))
streams = [
    (decode_attributes, encode_attributes(rows), 40, 8),
    (decode_attributes, encode_attributes(rows, bytes([1, 2]), bytes([0, 1, 3, 1] * 2)), 40, 8),
    (decode_triangles, TriangleEncoder().encode(faces), 90, 4),
    (decode_indices, encode_indices(faces), 90, 2),
]
refused = 0
for trial in range(300):
    decode, stream, count, stride = streams[trial % 4]
    broken = bytearray(stream)
    for place in random.integers(1, len(stream), random.integers(1, 4)):
        broken[place] = random.integers(0, 256)
    if trial % 3 == 0:
        del broken[random.integers(0, len(broken)) :]
    try:
        assert decode(bytes(broken), count, stride).shape == (count, stride)
    except DamagedFileError as error:
        refused += 1
print(refused)
"""


def test_no_broken_stream_is_read_beyond_its_end() -> None:
    """Without compilation an index out of bounds is an IndexError."""
    path = os.pathsep.join([str(Path(__file__).parents[1]), *sys.path])
    environment = {**os.environ, "NUMBA_DISABLE_JIT": "1", "PYTHONPATH": path}
    command = [sys.executable, "-c", DAMAGE]
    run = subprocess.run(
        command, capture_output=True, text=True, env=environment, timeout=120, check=False
    )
    assert run.returncode == 0, run.stderr
    assert 100 < int(run.stdout) < 300
