"""What ControlNets add to a family of pipelines: a component, and hints made ready for it."""

from __future__ import annotations

from typing import Any, ClassVar

import torch

from calotype.core.errors import InvalidArgument
from calotype.generation.canvas import Canvas
from calotype.generation.checks import check_side
from calotype.generation.images import VaeImageProcessor
from calotype.generation.masks import Frame
from calotype.models.controlnet import ControlNetModel
from calotype.models.multicontrolnet import MultiControlNetModel

# what a net's config has in common with its UNet's, and what those that are told sizes, as SDXL is, have besides
SHARED = ("block_out_channels", "cross_attention_dim")
TOLD_SIZES = ("addition_embed_type", "addition_time_embed_dim", "projection_class_embeddings_input_dim")


class Controlled:
    """A family's pipeline with one ControlNet, or with several."""

    works_together: ClassVar[frozenset[str]] = frozenset({"unet", "controlnet"})
    controlnet: Any
    control_image_processor: VaeImageProcessor

    def take_controlnet(self: Any, controlnet: Any) -> None:
        """Take a ControlNet, or a list of them as one component; each must fit the UNet."""
        if isinstance(controlnet, (list, tuple)):
            controlnet = MultiControlNetModel(controlnet)
        several = isinstance(controlnet, MultiControlNetModel)
        nets: list[Any] = list(controlnet.nets) if several else [controlnet]
        for i, net in enumerate(nets):
            where = f"controlnet[{i}]" if several else "controlnet"
            if not isinstance(getattr(net, "_orig_mod", net), ControlNetModel):  # what torch.compile wraps
                raise InvalidArgument(where, "a ControlNetModel, or a list of them", type(net).__name__)
            told = TOLD_SIZES if net.config.addition_embed_type else ()
            wanted = {name: self.unet.config[name] for name in (*SHARED, *told)}
            for name, value in {"in_channels": self.latent_channels, **wanted}.items():
                if net.config[name] != value:
                    fix = "A ControlNet is made for one family of UNets."
                    raise InvalidArgument(f"{where}: {name}", f"{value}, as the UNet", f"{net.config[name]}", fix)
        self.register_modules(controlnet=controlnet)
        self.control_image_processor = VaeImageProcessor(
            vae_scale_factor=self.vae_scale_factor, vae_latent_channels=0, do_convert_rgb=True, do_normalize=False
        )

    def picture_size(self: Any, image: Any, height: int | None, width: int | None) -> tuple[int, int]:
        """Height and width of what is made from a picture: as asked, else the picture's own."""
        self.check_sides(height, width)
        return self.pixel_size(self.image_processor.preprocess(image, height, width))

    def hints(
        self: Any,
        name: str,
        given: Any,
        batch: int,
        asked: tuple[int | None, int | None],
        size: tuple[int, int] | None = None,
        frame: Frame | None = None,
    ) -> torch.Tensor:
        """What the argument of this name gives as hints: at the size that is asked for, else at their own."""
        self.check_sides(*asked)
        canvas = Canvas(batch, asked, size, frame)
        return canvas.hints(self.control_image_processor, self.controlnet, name, given).to(self._execution_device)

    def check_sides(self: Any, height: int | None, width: int | None) -> None:
        """What is asked for is as the VAE needs it."""
        for name, side in (("height", height), ("width", width)):
            if side is not None:
                check_side(name, side, self.vae_scale_factor)
