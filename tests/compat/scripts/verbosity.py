import logging as python_logging

import diffusers
from diffusers import DDIMScheduler
from diffusers.utils import logging

logging.set_verbosity_error()
quiet = logging.get_verbosity()
logging.set_verbosity(logging.INFO)
told = logging.get_verbosity()
logger = logging.get_logger("my.script")
name, is_logger = logger.name, isinstance(logger, python_logging.Logger)
diffusers.logging.set_verbosity_warning()
level = diffusers.utils.logging.get_verbosity()
logging.enable_explicit_format()
logging.disable_progress_bar()
logging.enable_progress_bar()
version = diffusers.__version__
scheduler = DDIMScheduler()
logging.set_verbosity_error()
