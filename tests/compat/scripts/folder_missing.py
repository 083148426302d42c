# differs: a folder that is not there is an OSError; the peer takes ./ for a name on the Hub, a ValueError.
from diffusers import StableDiffusionPipeline

pipe = StableDiffusionPipeline.from_pretrained("./not-there", local_files_only=True)
