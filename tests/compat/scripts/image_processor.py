import numpy as np
import torch
from diffusers.image_processor import VaeImageProcessor
from PIL import Image

photo, mask = Image.open("tiny/photo.png"), Image.open("tiny/mask.png")
processor = VaeImageProcessor(vae_scale_factor=8, resample="lanczos")
pixels = processor.preprocess(photo)
smaller = processor.preprocess(photo, height=16, width=24)
filled = processor.preprocess(photo, height=24, width=40, resize_mode="fill")
cropped = processor.preprocess(photo, height=24, width=40, resize_mode="crop")
several = processor.preprocess([photo, photo])
from_array = processor.preprocess(np.asarray(photo)[None].astype(np.float32) / 255)
from_tensor = processor.preprocess(torch.full((3, 32, 32), 0.25))
arrays = processor.postprocess(pixels, output_type="np")
tensors = processor.postprocess(pixels, output_type="pt", do_denormalize=[False])
pictures = [np.asarray(each) for each in processor.postprocess(several)]
size = list(processor.get_default_height_width(photo))
array = processor.pil_to_numpy(photo)
tensor = processor.numpy_to_pt(array)
back = processor.pt_to_numpy(tensor)
normal, plain = processor.normalize(tensor), processor.denormalize(tensor)
picture = processor.numpy_to_pil(arrays)[0]
resized = processor.resize(photo, 16, 16)
gray = processor.convert_to_grayscale(photo)
blurred = processor.blur(mask, blur_factor=1)
region = list(processor.get_crop_region(mask, 32, 32, pad=2))
masks = VaeImageProcessor(vae_scale_factor=8, do_normalize=False, do_binarize=True, do_convert_grayscale=True)
binary = masks.preprocess(mask)
factor, options = processor.config.vae_scale_factor, sorted(dict(processor.config))
