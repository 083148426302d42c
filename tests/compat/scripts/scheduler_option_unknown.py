# differs: a ValueError as for every argument; the peer raises NotImplementedError.
from diffusers import EulerDiscreteScheduler

scheduler = EulerDiscreteScheduler(beta_schedule="no-such-schedule")
