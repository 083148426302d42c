"""Videos on their way into pipelines and out of them, for who makes them ready beforehand."""

from calotype.generation.videos import VideoProcessor

__all__ = ["VideoProcessor"]
