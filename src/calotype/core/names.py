"""Every public name and the module it lives in. Files name classes too: they reach these and nothing else."""

from __future__ import annotations

from difflib import get_close_matches
from importlib import import_module
from typing import Any

from calotype.core.errors import InvalidArgument

_BY_MODULE = {
    "core.config": ("ConfigMixin",),
    "core.model": ("ModelMixin",),
    "core.pipeline": ("DiffusionPipeline",),
    "flax.autoencoder_kl": ("FlaxAutoencoderKL",),
    "flax.img2img": ("FlaxStableDiffusionImg2ImgPipeline",),
    "flax.model": ("FlaxModelMixin",),
    "flax.output": ("FlaxStableDiffusionPipelineOutput",),
    "flax.pipeline": ("FlaxDiffusionPipeline",),
    "flax.safety_checker": ("FlaxStableDiffusionSafetyChecker",),
    "flax.scheduler": ("FlaxSchedulerMixin",),
    "flax.schedulers": (
        "FlaxDDIMScheduler",
        "FlaxDPMSolverMultistepScheduler",
        "FlaxEulerDiscreteScheduler",
        "FlaxLMSDiscreteScheduler",
        "FlaxPNDMScheduler",
    ),
    "flax.text_encoder": ("FlaxCLIPTextModel",),
    "flax.unet": ("FlaxUNet2DConditionModel",),
    "image_processor": ("IPAdapterMaskProcessor",),
    "models.autoencoder_kl": ("AutoencoderKL",),
    "models.controlnet": ("ControlNetModel",),
    "models.helios_transformer": ("HeliosTransformer3DModel",),
    "models.image_processor": ("CLIPImageProcessor",),
    "models.multicontrolnet": ("MultiControlNetModel",),
    "models.multilingual_clip": ("MCLIPConfig", "MultilingualCLIP"),
    "models.prior_transformer": ("PriorTransformer",),
    "models.safety_checker": ("StableDiffusionSafetyChecker",),
    "models.t5_tokenizer": ("T5TokenizerFast",),
    "models.text_encoders": ("CLIPTextModel", "CLIPTextModelWithProjection"),
    "models.tokenizer": ("CLIPTokenizer",),
    "models.umt5": ("UMT5EncoderModel",),
    "models.unet": ("UNet2DConditionModel",),
    "models.vision": ("CLIPVisionModelWithProjection",),
    "models.vq_model": ("VQModel",),
    "models.wan_vae": ("AutoencoderKLWan",),
    "models.xlm_roberta_tokenizer": ("XLMRobertaTokenizer",),
    "pipelines.auto": ("AutoPipelineForImage2Image", "AutoPipelineForInpainting", "AutoPipelineForText2Image"),
    "pipelines.helios.base": ("HeliosPipeline",),
    "pipelines.helios.output": ("HeliosPipelineOutput",),
    "pipelines.helios.pyramid": ("HeliosPyramidPipeline",),
    "pipelines.kandinsky.output": ("ImagePipelineOutput", "KandinskyPriorPipelineOutput"),
    "pipelines.kandinsky.v2_1.combined_img2img": ("KandinskyImg2ImgCombinedPipeline",),
    "pipelines.kandinsky.v2_1.combined_inpaint": ("KandinskyInpaintCombinedPipeline",),
    "pipelines.kandinsky.v2_1.combined_text2img": ("KandinskyCombinedPipeline",),
    "pipelines.kandinsky.v2_1.img2img": ("KandinskyImg2ImgPipeline",),
    "pipelines.kandinsky.v2_1.inpaint": ("KandinskyInpaintPipeline",),
    "pipelines.kandinsky.v2_1.prior": ("KandinskyPriorPipeline",),
    "pipelines.kandinsky.v2_1.text2img": ("KandinskyPipeline",),
    "pipelines.kandinsky.v2_2.combined_img2img": ("KandinskyV22Img2ImgCombinedPipeline",),
    "pipelines.kandinsky.v2_2.combined_inpaint": ("KandinskyV22InpaintCombinedPipeline",),
    "pipelines.kandinsky.v2_2.combined_text2img": ("KandinskyV22CombinedPipeline",),
    "pipelines.kandinsky.v2_2.controlnet": ("KandinskyV22ControlnetPipeline",),
    "pipelines.kandinsky.v2_2.controlnet_img2img": ("KandinskyV22ControlnetImg2ImgPipeline",),
    "pipelines.kandinsky.v2_2.emb2emb": ("KandinskyV22PriorEmb2EmbPipeline",),
    "pipelines.kandinsky.v2_2.img2img": ("KandinskyV22Img2ImgPipeline",),
    "pipelines.kandinsky.v2_2.inpaint": ("KandinskyV22InpaintPipeline",),
    "pipelines.kandinsky.v2_2.prior": ("KandinskyV22PriorPipeline",),
    "pipelines.kandinsky.v2_2.text2img": ("KandinskyV22Pipeline",),
    "pipelines.stable_diffusion.controlnet_img2img": ("StableDiffusionControlNetImg2ImgPipeline",),
    "pipelines.stable_diffusion.controlnet_inpaint": ("StableDiffusionControlNetInpaintPipeline",),
    "pipelines.stable_diffusion.controlnet_text2img": ("StableDiffusionControlNetPipeline",),
    "pipelines.stable_diffusion.img2img": ("StableDiffusionImg2ImgPipeline",),
    "pipelines.stable_diffusion.inpaint": ("StableDiffusionInpaintPipeline",),
    "pipelines.stable_diffusion.output": ("StableDiffusionPipelineOutput",),
    "pipelines.stable_diffusion.text2img": ("StableDiffusionPipeline",),
    "pipelines.stable_diffusion_xl.controlnet_img2img": ("StableDiffusionXLControlNetImg2ImgPipeline",),
    "pipelines.stable_diffusion_xl.controlnet_inpaint": ("StableDiffusionXLControlNetInpaintPipeline",),
    "pipelines.stable_diffusion_xl.controlnet_text2img": ("StableDiffusionXLControlNetPipeline",),
    "pipelines.stable_diffusion_xl.img2img": ("StableDiffusionXLImg2ImgPipeline",),
    "pipelines.stable_diffusion_xl.inpaint": ("StableDiffusionXLInpaintPipeline",),
    "pipelines.stable_diffusion_xl.output": ("StableDiffusionXLPipelineOutput",),
    "pipelines.stable_diffusion_xl.text2img": ("StableDiffusionXLPipeline",),
    "schedulers": (  # a package that knows its own modules
        "DDIMScheduler",
        "DDPMScheduler",
        "DEISMultistepScheduler",
        "DPMSolverMultistepScheduler",
        "DPMSolverSDEScheduler",
        "DPMSolverSinglestepScheduler",
        "EulerAncestralDiscreteScheduler",
        "EulerDiscreteScheduler",
        "FlowMatchEulerDiscreteScheduler",
        "HeliosDMDScheduler",
        "HeliosScheduler",
        "HeunDiscreteScheduler",
        "KDPM2AncestralDiscreteScheduler",
        "KDPM2DiscreteScheduler",
        "KarrasDiffusionSchedulers",
        "LCMScheduler",
        "LMSDiscreteScheduler",
        "PNDMScheduler",
        "SchedulerMixin",
        "TCDScheduler",
        "UnCLIPScheduler",
        "UniPCMultistepScheduler",
    ),
}

MODULES = {name: f"calotype.{module}" for module, names in _BY_MODULE.items() for name in names}
PUBLIC = sorted(MODULES)

# What files call classes that have another name here.
ALIASES = {
    "CLIPFeatureExtractor": "CLIPImageProcessor",
    "CLIPImageProcessorFast": "CLIPImageProcessor",
    "CLIPImageProcessorPil": "CLIPImageProcessor",
    "CLIPTokenizerFast": "CLIPTokenizer",
    "T5Tokenizer": "T5TokenizerFast",
    "XLMRobertaTokenizerFast": "XLMRobertaTokenizer",
}

# The libraries that model_index.json writes classes as; all others are "diffusers".
LIBRARIES = {
    "CLIPImageProcessor": "transformers",
    "CLIPTextModel": "transformers",
    "CLIPTextModelWithProjection": "transformers",
    "CLIPTokenizer": "transformers",
    "CLIPVisionModelWithProjection": "transformers",
    "FlaxCLIPTextModel": "transformers",
    "FlaxStableDiffusionSafetyChecker": "stable_diffusion",
    "MultilingualCLIP": "kandinsky",
    "StableDiffusionSafetyChecker": "stable_diffusion",
    "T5TokenizerFast": "transformers",
    "UMT5EncoderModel": "transformers",
    "XLMRobertaTokenizer": "transformers",
}


def public(name: str) -> Any:
    """The object of a public name, importing its module if nobody has yet."""
    return getattr(import_module(MODULES[name]), name)


def component_class(library: object, class_name: object, where: str) -> type[Any]:
    """The class that a file names as ``[library, class]``; nothing outside the table is ever imported."""
    name = ALIASES.get(str(class_name), str(class_name))
    owner = LIBRARIES.get(name, "diffusers")
    if name not in MODULES:
        near = get_close_matches(name, MODULES, 3, 0.6)
        fix = f"The nearest are {', '.join(near)}." if near else ""
        raise InvalidArgument(f"{where}: {str(class_name)[:80]!r}", "the name of a class of calotype", "another", fix)
    if library not in (owner, "calotype", "diffusers"):
        raise InvalidArgument(f"{where}: {name}", f"it from {owner!r}", f"it from {str(library)[:80]!r}")
    found = public(name)
    if not isinstance(found, type):
        raise InvalidArgument(f"{where}: {name}", "a class", type(found).__name__)
    return found


def written_as(part: object) -> list[str | None]:
    """How model_index.json names a component: ``[library, class]``, both null where there is none."""
    if part is None:
        return [None, None]
    kind = type(part)
    library = LIBRARIES.get(kind.__name__) or kind.__module__.partition(".")[0].replace("calotype", "diffusers")
    return [library, kind.__name__]
