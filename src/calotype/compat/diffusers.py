"""Importing this makes ``import diffusers``, at any depth and from then on, mean calotype."""

from calotype.compat.finder import install

install()
