"""Find the images of a training set: a folder, one file, or a manifest (JSON or CSV) that names patients.

Finding is separate from reading, so that a wrong path fails in milliseconds and the set has a digest before it is read.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Literal

from jobs.errors import BadInput

Format = Literal["nifti", "dicom", "png"]
Split = Literal["train", "validation"]

_DICOM_MAGIC_AT = 128


@dataclass(frozen=True, slots=True)
class ImageFiles:
    """What makes one picture: a file, or the files of one DICOM series. `patient` is as good as the source says.

    `split` is what a manifest says about the patient; None where it does not.
    """

    patient: str
    format: Format
    files: tuple[Path, ...]
    split: Split | None = None


def collect(path: Path, dimensions: int) -> list[ImageFiles]:
    """All images under `path`, in a fixed order. In 3D the DICOM files of one folder are one series. Raises BadInput."""
    if not path.exists():
        raise BadInput(f"data path {path} does not exist on this node: check the path in the job, or mount the folder")
    if path.suffix.lower() in (".json", ".csv"):
        return _from_manifest(path, dimensions)
    root = path if path.is_dir() else path.parent
    found = _group(_formats([path] if path.is_file() else sorted(path.rglob("*")), root), dimensions, root)
    if not found:
        raise BadInput(f"{path}: no NIfTI, DICOM or grey PNG image found: name a folder, a file or a manifest that has some")
    return found


def digest(images: Iterable[ImageFiles]) -> str:
    """Changes when a file is added, removed or rewritten (names, sizes and times, not content: sets are large)."""
    sha = hashlib.sha256()
    for image in images:
        for file in image.files:
            status = file.stat()
            told = f"{image.patient}\0{image.split}\0{file}\0{status.st_size}\0{status.st_mtime_ns}\n"
            sha.update(told.encode("utf-8", "backslashreplace"))  # names in old archives need not be UTF-8
    return sha.hexdigest()


def format_of(path: Path) -> Format | None:
    """By name; files without a known ending count as DICOM if they carry its mark. None: not an image."""
    name = path.name.lower()
    if name.endswith((".nii", ".nii.gz")):
        return "nifti"
    if name.endswith(".png"):
        return "png"
    if name.endswith((".dcm", ".dicom", ".ima")):
        return "dicom"
    return "dicom" if not path.suffix and _has_dicom_mark(path) else None


def _has_dicom_mark(path: Path) -> bool:
    with path.open("rb") as file:
        file.seek(_DICOM_MAGIC_AT)
        return file.read(4) == b"DICM"


def _formats(paths: Iterable[Path], root: Path) -> Iterable[tuple[Path, Format]]:
    for path in paths:
        hidden = any(part.startswith(".") for part in path.relative_to(root).parts)
        if path.is_file() and not hidden and path.name != "DICOMDIR":
            kind = format_of(path)
            if kind is not None:
                yield path, kind


def _group(files: Iterable[tuple[Path, Format]], dimensions: int, root: Path) -> list[ImageFiles]:
    single: list[ImageFiles] = []
    series: dict[Path, list[Path]] = {}
    for path, kind in files:
        if kind == "dicom" and dimensions == 3:
            series.setdefault(path.parent, []).append(path)
        else:
            single.append(ImageFiles(_patient_of(path, root), kind, (path,)))
    volumes = [ImageFiles(_patient_of(files[0], root), "dicom", tuple(files)) for files in series.values()]
    return single + volumes


def _patient_of(path: Path, root: Path) -> str:
    """The folder right under the root, as data sets are usually laid out; for loose files the file itself."""
    return path.relative_to(root).parts[0]


def _from_manifest(manifest: Path, dimensions: int) -> list[ImageFiles]:
    """One entry a picture: `path` (file, or folder of a DICOM series) relative to the manifest, `patient`, perhaps `split`."""
    images: list[ImageFiles] = []
    for number, entry in enumerate(_entries(manifest), 1):
        images += _manifest_images(manifest, number, entry, dimensions)
    if not images:
        raise BadInput(f"{manifest}: the manifest names no images")
    return images


def _entries(manifest: Path) -> list[dict[str, str]]:
    try:
        text = manifest.read_text(encoding="utf-8")
        rows = json.loads(text) if manifest.suffix.lower() == ".json" else list(csv.DictReader(io.StringIO(text)))
    except (ValueError, csv.Error) as failure:
        raise BadInput(f"{manifest}: not a readable manifest ({failure})") from failure
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise BadInput(f'{manifest}: a manifest is a list of {{"path": ..., "patient": ...}}')
    return rows


def _manifest_images(manifest: Path, number: int, entry: dict[str, str], dimensions: int) -> list[ImageFiles]:
    where = f"{manifest}, entry {number}"
    name, patient = entry.get("path"), entry.get("patient")
    if not isinstance(name, str) or not isinstance(patient, str) or not name or not patient:
        raise BadInput(f"{where}: needs a 'path' and a 'patient', both text")
    if PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts:
        raise BadInput(f"{where}: {name!r} must be a path below the manifest's folder")
    path = manifest.parent / name
    if not path.exists():
        raise BadInput(f"{where}: {name!r} does not exist")
    found = _group(_formats([path] if path.is_file() else sorted(path.rglob("*")), manifest.parent), dimensions, manifest.parent)
    if not found:
        raise BadInput(f"{where}: {name!r} is no NIfTI, DICOM or PNG image")
    return [ImageFiles(patient, image.format, image.files, _split(entry, where)) for image in found]


def _split(entry: dict[str, str], where: str) -> Split | None:
    said = entry.get("split") or None
    if said in (None, "train", "validation"):
        return said  # type: ignore[return-value]  # mypy does not narrow by `in`
    raise BadInput(f"{where}: split {said!r} is neither 'train' nor 'validation'")
