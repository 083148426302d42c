"""JAX as the tests want it: two devices in one processor, and programs that are compiled fast, not fast programs."""

import os

import jax

os.environ.setdefault("XLA_FLAGS", "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true")
jax.config.update("jax_num_cpu_devices", 2)
