"""Which images are near-duplicates, so that a split does not tear them apart."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from segstudio.project.scan import stem_of

_NUMBER: Final = re.compile(r"(\d+)(?!.*\d)")
_TWINS: Final = 6  # bits of 64 that may differ between two takes of one thing
_FRAMES: Final = 14  # and between neighbouring frames of one sequence
_NEAR: Final = 60  # frame numbers


@dataclass(frozen=True, slots=True)
class Member:
    """An image whose group is known; `fingerprint` is its 64-bit hash in hex."""

    key: str
    group: str
    fingerprint: str


def fingerprint(image: NDArray[np.uint8]) -> str:
    """A 64-bit difference hash (Krawetz 2013, dHash) of a uint8 (h, w, 3) picture, in hex."""
    small = cv2.resize(image, (9, 8), interpolation=cv2.INTER_AREA).astype(np.int32).sum(axis=-1)
    bits = np.packbits(small[:, 1:] > small[:, :-1])
    return bits.tobytes().hex()


def distance(a: str, b: str) -> int:
    """The number of bits in which two fingerprints differ."""
    return (int(a, 16) ^ int(b, 16)).bit_count()


def group_of(key: str, image_print: str, known: Iterable[Member]) -> str:
    """The group of an image: that of its nearest kin among `known`, else one of its own.

    Kin are near-duplicates by hash, and less similar pictures that are close in a numbered
    sequence (the frames of one drive).
    """
    best = (65, "")
    for member in known:
        bits = distance(image_print, member.fingerprint)
        limit = _FRAMES if are_frames(key, member.key) else _TWINS
        if bits <= limit:
            best = min(best, (bits, member.group))
    return best[1] or stem_of(key)


def are_frames(a: str, b: str) -> bool:
    """Whether two names differ in their last number only, and by little."""
    first, second = _NUMBER.search(stem_of(a)), _NUMBER.search(stem_of(b))
    if first is None or second is None:
        return False
    same_name = (a[: first.start()], stem_of(a)[first.end() :]) == (
        b[: second.start()],
        stem_of(b)[second.end() :],
    )
    return same_name and abs(int(first[1]) - int(second[1])) <= _NEAR
