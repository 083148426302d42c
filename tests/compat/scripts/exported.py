import os

import numpy as np
import torch
from diffusers.utils import export_to_gif, load_image, load_video, make_image_grid, numpy_to_pil, pt_to_pil
from PIL import Image

frames = [Image.new("RGB", (32, 32), (60 * i, 0, 0)) for i in range(4)]
gif = export_to_gif(frames, "film.gif", fps=5)
count, there = len(load_video(gif)), os.path.exists(gif)
grid = np.asarray(make_image_grid(frames, rows=2, cols=2, resize=16))
flipped = load_image("tiny/photo.png", convert_method=lambda image: image.transpose(Image.Transpose.FLIP_LEFT_RIGHT))
pictures = numpy_to_pil(np.full((2, 4, 4, 3), 0.5))
drawn = pt_to_pil(torch.zeros(1, 3, 4, 4))
