"""What goes in: the kinds of modality, how each is cut into parts, masked, and given to the model."""

from modalens.modalities.arrays import Image, Series, Vector, Volume
from modalens.modalities.base import Modality, Parts
from modalens.modalities.infer import fitted, infer
from modalens.modalities.items import Bag
from modalens.modalities.tabular import Tabular
from modalens.modalities.text import Text

__all__ = ["Bag", "Image", "Modality", "Parts", "Series", "Tabular", "Text", "Vector", "Volume", "fitted", "infer"]
