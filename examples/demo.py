"""From a prompt to a PNG, with a tiny random Stable Diffusion that is built, saved and loaded on the spot.

Its pictures mean nothing, as nobody trained it; all else is the real thing: files, tokenizer, networks, loop, VAE.
"""

from __future__ import annotations

import time
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.tiny import tiny_stable_diffusion

from calotype import AutoPipelineForText2Image, StableDiffusionPipeline

OUT = Path("demo")


def main() -> None:
    OUT.mkdir(exist_ok=True)
    with TemporaryDirectory() as folder:
        tiny_stable_diffusion(StableDiffusionPipeline).save_pretrained(folder)
        pipe = AutoPipelineForText2Image.from_pretrained(folder)
        began = time.perf_counter()
        with pipe.stream("a red cube on a blue table", num_inference_steps=20, generator=31) as steps:
            for step in steps:
                print(f"\rstep {step.index + 1} of {step.total}", end="")
            image = steps.output.images[0]
    image.resize((512, 512), 0).save(OUT / "picture.png")
    print(f"\n{OUT / 'picture.png'}: {image.width}x{image.height} pixels in {time.perf_counter() - began:.1f} s")


if __name__ == "__main__":
    main()
