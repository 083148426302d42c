"""The JAX twin: the same networks, schedulers and files, run by JAX as pure functions of trees of weights.

PyTorch's classes say what a config means and what each layer is made of; here is the arithmetic alone.
"""

from importlib.util import find_spec

from calotype.core.errors import MissingDependency

if find_spec("jax") is None:
    fix = 'pip install "calotype[flax]", or use the pipelines of PyTorch, which need nothing more.'
    raise MissingDependency("calotype.flax", "the library jax", "none", fix)
