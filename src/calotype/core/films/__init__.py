"""Films in and out: frames go to a file as they come, and come from one as they are wanted."""

from calotype.core.films.found import MediaLimits
from calotype.core.films.reader import FilmReader
from calotype.core.films.recipes import recipe_of
from calotype.core.films.writer import FilmWriter

__all__ = ["FilmReader", "FilmWriter", "MediaLimits", "recipe_of"]
