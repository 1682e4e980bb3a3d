"""Seeds of what draws at random."""
from tenon.tf import random


def seeds_of(seed):
    """What TensorFlow makes of a seed: those of the graph and of the op."""
    if seed is not None and not isinstance(seed, int):
        seed = int(seed)
    return [number % 2 ** 64 for number in random._seeds(seed)]


def one_seed_of(seed):
    """The two as one number."""
    first, second = seeds_of(seed)
    return (first << 31 ^ second) % 2 ** 63
