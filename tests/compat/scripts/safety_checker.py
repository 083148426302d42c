import torch
from diffusers import StableDiffusionPipeline

checked = StableDiffusionPipeline.from_pretrained("tiny/checked")
free = StableDiffusionPipeline.from_pretrained("tiny/checked", safety_checker=None, requires_safety_checker=False)
options = dict(num_inference_steps=2, num_images_per_prompt=2, output_type="np")
out = checked("a cat", generator=torch.manual_seed(0), **options)
images, flagged = out.images, out.nsfw_content_detected
all_right = free("a cat", generator=torch.manual_seed(0), **options)
unchecked, nothing = all_right.images, str(all_right.nsfw_content_detected)
checked.safety_checker = lambda images, **kwargs: (images, [False] * len(images))
shown = checked("a cat", generator=torch.manual_seed(0), **options)
shown_images, shown_flags = shown.images, shown.nsfw_content_detected
