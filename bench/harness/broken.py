"""The one error that makes a run fail."""


class Broken(Exception):
    """A measurement gave no valid figure: an error, a wrong mutation, a program that died."""
