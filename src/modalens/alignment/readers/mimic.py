"""What MIMIC-CXR's paths say: files/p10/p10000032/s50414267/02aa804e.jpg is of patient 10000032 and study 50414267."""

from __future__ import annotations

import re

_PATH = re.compile(r"(?:^|/)p(\d+)/s(\d+)/")


def patient_and_study(path: str) -> tuple[str, str]:
    """Of a picture's path; both empty where it is no path of MIMIC-CXR.

    >>> patient_and_study("files/p10/p10000032/s50414267/02aa804e.jpg")
    ('10000032', '50414267')
    """
    found = _PATH.search(path.replace("\\", "/"))
    return (found[1], found[2]) if found else ("", "")


def path_of(patient: str, study: str, dicom: str) -> str:
    """The published path of a picture.

    >>> path_of("10000032", "50414267", "02aa804e")
    'files/p10/p10000032/s50414267/02aa804e.jpg'
    """
    return f"files/p{patient[:2]}/p{patient}/s{study}/{dicom}.jpg"
