"""What patients look like whose latents are known: rendered images, patches of a real brain, clinical variables."""

from __future__ import annotations

import hashlib
import importlib.util
import warnings
from pathlib import Path

import numpy as np
from scipy.ndimage import gaussian_filter
from scipy.special import expit

from modalens.errors import InputError, ModalensWarning

SIDE = 28
"""Pixels along each side, as in MedMNIST."""

FACTORS = 10
"""Latents of an image."""


def shapes(latents: np.ndarray) -> np.ndarray:
    """Organ-like shapes, float32 (n, 1, 28, 28) in [0, 1], from ten latents each: the place, size and brightness of a
    body, of a lesion inside it, and of the light around. Every latent moves its property in proportion, up to three standard deviations from the middle.
    """
    u = np.clip(0.5 + latents / 6, 0, 1)[:, :, None, None]
    x_body, y_body, width, height, light, x_spot, y_spot, size, spot, around = (u[:, k] for k in range(FACTORS))
    rows, columns = np.meshgrid(np.linspace(-1, 1, SIDE), np.linspace(-1, 1, SIDE), indexing="ij")
    x, y = columns - 0.4 * (x_body - 0.5), rows - 0.4 * (y_body - 0.5)
    body = _inside(x / (0.45 + 0.35 * width), y / (0.45 + 0.35 * height), 6)
    x, y = x - 0.5 * (x_spot - 0.5), y - 0.5 * (y_spot - 0.5)
    lesion = _inside(x / (0.12 + 0.16 * size), y / (0.12 + 0.16 * size), 3)
    image = 0.25 * around + body * (0.1 + 0.25 * light) + body * lesion * (0.1 + 0.3 * spot)
    return image[:, None].astype(np.float32)


def _inside(x: np.ndarray, y: np.ndarray, sharpness: float) -> np.ndarray:
    """Nearly 1 within the unit circle and 0 outside."""
    return np.asarray(expit(-sharpness * (x**2 + y**2 - 1)))


def fields(latents: np.ndarray, seed: int = 0) -> np.ndarray:
    """Smooth textures, float32 (n, 1, 28, 28): a sum of ten fixed orthogonal patterns, so that the latents are their scores;
    pixels have a variance of 1.
    """
    patterns = np.random.default_rng(np.random.SeedSequence((seed, 13))).normal(size=(FACTORS, SIDE, SIDE))
    smooth = np.stack([gaussian_filter(one, 2.5) for one in patterns])
    basis, _ = np.linalg.qr(smooth.reshape(FACTORS, -1).T)
    return (latents @ basis.T * SIDE / np.sqrt(FACTORS)).reshape(-1, 1, SIDE, SIDE).astype(np.float32)


def brain_patches(count: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Patches of the MNI152 brain that nilearn ships, float32 (count, 1, 28, 28), and their latents: the first ten
    principal components, standardised (count, 10). Raises InputError where nilearn is not installed.
    """
    return principal(_patches(_template(), count, seed))


MEDMNIST = {
    "organamnist.npz": "68e3f8846a6bd62f0c9bf841c0d9eacc",
    "organcmnist.npz": "b9ceb9546e10131b32923c5bbeaea2b1",
}
"""Check sums (MD5) of the published files."""


def medmnist(path: Path | str, split: str = "train") -> tuple[np.ndarray, np.ndarray]:
    """A user's own MedMNIST file of 28 pixels, `organamnist.npz` and the like: images, float32 (n, 1, 28, 28) in [0, 1], and
    their latents as principal components. Nothing is downloaded, and no pickle is read; images of one grey are left out,
    and a file that is not the published one is used, and both are said.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            key = f"{split}_images"
            if key not in file:
                raise InputError(f"{path}: expected a MedMNIST file with {key!r}, came {sorted(file)}.")
            images = file[key]
    except (OSError, ValueError) as error:
        raise InputError(f"{path} can't be read as a MedMNIST file: {error}.") from error
    if images.shape[1:] != (SIDE, SIDE) or images.dtype != np.uint8:
        raise InputError(
            f"{path}: expected grey images of bytes (n, {SIDE}, {SIDE}), came {images.dtype} of shape {images.shape}."
        )
    published = MEDMNIST.get(Path(path).name)
    if published is not None and hashlib.md5(Path(path).read_bytes(), usedforsecurity=False).hexdigest() != published:
        warnings.warn(
            f"{path} is not the published file of this name (its MD5 differs).", ModalensWarning, stacklevel=2
        )
    empty = int((images.reshape(len(images), -1).std(axis=1) == 0).sum())
    if empty:
        warnings.warn(f"{path}: {empty} images of one grey were left out.", ModalensWarning, stacklevel=2)
    return principal(images[:, None].astype(np.float32) / 255)


def principal(images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Images that vary, and their scores on the first ten principal components, standardised."""
    flat = images.reshape(len(images), -1)
    kept = flat.std(axis=1) > 0
    flat = flat[kept] - flat[kept].mean(axis=0)
    _, _, components = np.linalg.svd(flat, full_matrices=False)
    scores = flat @ components[:FACTORS].T
    return images[kept], (scores / scores.std(axis=0)).astype(np.float64)


def _template() -> np.ndarray:
    spec = importlib.util.find_spec("nilearn")
    if spec is None or not spec.submodule_search_locations:
        raise InputError("the brain patches need the package nilearn, which is not installed: pip install nilearn.")
    import nibabel

    found = sorted(Path(spec.submodule_search_locations[0]).rglob("mni_icbm152_t1_tal_nlin_sym_09a*.nii.gz"))
    if not found:
        raise InputError("the installed nilearn holds no MNI152 template; install nilearn 0.10 or later.")
    volume: np.ndarray = np.asarray(nibabel.nifti1.Nifti1Image.from_filename(found[0]).get_fdata(), dtype=np.float32)
    return volume / volume.max()


def _patches(volume: np.ndarray, count: int, seed: int) -> np.ndarray:
    """Axial patches at random places that hold brain."""
    generator = np.random.default_rng(np.random.SeedSequence((seed, 14)))
    found: list[np.ndarray] = []
    while len(found) < count:
        x, y, z = (
            int(generator.integers(0, size - margin))
            for size, margin in zip(volume.shape, (SIDE, SIDE, 1), strict=True)
        )
        patch = volume[x : x + SIDE, y : y + SIDE, z]
        if patch.mean() > 0.3:
            found.append(patch)
    return np.stack(found)[:, None]
