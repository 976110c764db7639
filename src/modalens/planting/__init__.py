"""A check on one's own model: would the measures see a shortcut if there were one?"""

from modalens.planting.markers import Marker
from modalens.planting.result import Opposite, Planting
from modalens.planting.run import plant

__all__ = ["Marker", "Opposite", "Planting", "plant"]
