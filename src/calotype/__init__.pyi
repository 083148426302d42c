"""The public names, for type checkers; a test holds this list equal to the table in ``core/names.py``."""

from calotype.core.config import ConfigMixin as ConfigMixin
from calotype.core.model import ModelMixin as ModelMixin
from calotype.core.pipeline import DiffusionPipeline as DiffusionPipeline
from calotype.flax.autoencoder_kl import FlaxAutoencoderKL as FlaxAutoencoderKL
from calotype.flax.img2img import FlaxStableDiffusionImg2ImgPipeline as FlaxStableDiffusionImg2ImgPipeline
from calotype.flax.model import FlaxModelMixin as FlaxModelMixin
from calotype.flax.output import FlaxStableDiffusionPipelineOutput as FlaxStableDiffusionPipelineOutput
from calotype.flax.pipeline import FlaxDiffusionPipeline as FlaxDiffusionPipeline
from calotype.flax.safety_checker import FlaxStableDiffusionSafetyChecker as FlaxStableDiffusionSafetyChecker
from calotype.flax.scheduler import FlaxSchedulerMixin as FlaxSchedulerMixin
from calotype.flax.schedulers import FlaxDDIMScheduler as FlaxDDIMScheduler
from calotype.flax.schedulers import FlaxDPMSolverMultistepScheduler as FlaxDPMSolverMultistepScheduler
from calotype.flax.schedulers import FlaxEulerDiscreteScheduler as FlaxEulerDiscreteScheduler
from calotype.flax.schedulers import FlaxLMSDiscreteScheduler as FlaxLMSDiscreteScheduler
from calotype.flax.schedulers import FlaxPNDMScheduler as FlaxPNDMScheduler
from calotype.flax.text_encoder import FlaxCLIPTextModel as FlaxCLIPTextModel
from calotype.flax.unet import FlaxUNet2DConditionModel as FlaxUNet2DConditionModel
from calotype.image_processor import IPAdapterMaskProcessor as IPAdapterMaskProcessor
from calotype.models.autoencoder_kl import AutoencoderKL as AutoencoderKL
from calotype.models.controlnet import ControlNetModel as ControlNetModel
from calotype.models.helios_transformer import HeliosTransformer3DModel as HeliosTransformer3DModel
from calotype.models.image_processor import CLIPImageProcessor as CLIPImageProcessor
from calotype.models.multicontrolnet import MultiControlNetModel as MultiControlNetModel
from calotype.models.multilingual_clip import MCLIPConfig as MCLIPConfig
from calotype.models.multilingual_clip import MultilingualCLIP as MultilingualCLIP
from calotype.models.prior_transformer import PriorTransformer as PriorTransformer
from calotype.models.safety_checker import StableDiffusionSafetyChecker as StableDiffusionSafetyChecker
from calotype.models.t5_tokenizer import T5TokenizerFast as T5TokenizerFast
from calotype.models.text_encoders import CLIPTextModel as CLIPTextModel
from calotype.models.text_encoders import CLIPTextModelWithProjection as CLIPTextModelWithProjection
from calotype.models.tokenizer import CLIPTokenizer as CLIPTokenizer
from calotype.models.umt5 import UMT5EncoderModel as UMT5EncoderModel
from calotype.models.unet import UNet2DConditionModel as UNet2DConditionModel
from calotype.models.vision import CLIPVisionModelWithProjection as CLIPVisionModelWithProjection
from calotype.models.vq_model import VQModel as VQModel
from calotype.models.wan_vae import AutoencoderKLWan as AutoencoderKLWan
from calotype.models.xlm_roberta_tokenizer import XLMRobertaTokenizer as XLMRobertaTokenizer
from calotype.pipelines.auto import AutoPipelineForImage2Image as AutoPipelineForImage2Image
from calotype.pipelines.auto import AutoPipelineForInpainting as AutoPipelineForInpainting
from calotype.pipelines.auto import AutoPipelineForText2Image as AutoPipelineForText2Image
from calotype.pipelines.helios.base import HeliosPipeline as HeliosPipeline
from calotype.pipelines.helios.output import HeliosPipelineOutput as HeliosPipelineOutput
from calotype.pipelines.helios.pyramid import HeliosPyramidPipeline as HeliosPyramidPipeline
from calotype.pipelines.kandinsky.output import ImagePipelineOutput as ImagePipelineOutput
from calotype.pipelines.kandinsky.output import KandinskyPriorPipelineOutput as KandinskyPriorPipelineOutput
from calotype.pipelines.kandinsky.v2_1.combined_img2img import (
    KandinskyImg2ImgCombinedPipeline as KandinskyImg2ImgCombinedPipeline,
)
from calotype.pipelines.kandinsky.v2_1.combined_inpaint import (
    KandinskyInpaintCombinedPipeline as KandinskyInpaintCombinedPipeline,
)
from calotype.pipelines.kandinsky.v2_1.combined_text2img import KandinskyCombinedPipeline as KandinskyCombinedPipeline
from calotype.pipelines.kandinsky.v2_1.img2img import KandinskyImg2ImgPipeline as KandinskyImg2ImgPipeline
from calotype.pipelines.kandinsky.v2_1.inpaint import KandinskyInpaintPipeline as KandinskyInpaintPipeline
from calotype.pipelines.kandinsky.v2_1.prior import KandinskyPriorPipeline as KandinskyPriorPipeline
from calotype.pipelines.kandinsky.v2_1.text2img import KandinskyPipeline as KandinskyPipeline
from calotype.pipelines.kandinsky.v2_2.combined_img2img import (
    KandinskyV22Img2ImgCombinedPipeline as KandinskyV22Img2ImgCombinedPipeline,
)
from calotype.pipelines.kandinsky.v2_2.combined_inpaint import (
    KandinskyV22InpaintCombinedPipeline as KandinskyV22InpaintCombinedPipeline,
)
from calotype.pipelines.kandinsky.v2_2.combined_text2img import (
    KandinskyV22CombinedPipeline as KandinskyV22CombinedPipeline,
)
from calotype.pipelines.kandinsky.v2_2.controlnet import (
    KandinskyV22ControlnetPipeline as KandinskyV22ControlnetPipeline,
)
from calotype.pipelines.kandinsky.v2_2.controlnet_img2img import (
    KandinskyV22ControlnetImg2ImgPipeline as KandinskyV22ControlnetImg2ImgPipeline,
)
from calotype.pipelines.kandinsky.v2_2.emb2emb import (
    KandinskyV22PriorEmb2EmbPipeline as KandinskyV22PriorEmb2EmbPipeline,
)
from calotype.pipelines.kandinsky.v2_2.img2img import KandinskyV22Img2ImgPipeline as KandinskyV22Img2ImgPipeline
from calotype.pipelines.kandinsky.v2_2.inpaint import KandinskyV22InpaintPipeline as KandinskyV22InpaintPipeline
from calotype.pipelines.kandinsky.v2_2.prior import KandinskyV22PriorPipeline as KandinskyV22PriorPipeline
from calotype.pipelines.kandinsky.v2_2.text2img import KandinskyV22Pipeline as KandinskyV22Pipeline
from calotype.pipelines.stable_diffusion.controlnet_img2img import (
    StableDiffusionControlNetImg2ImgPipeline as StableDiffusionControlNetImg2ImgPipeline,
)
from calotype.pipelines.stable_diffusion.controlnet_inpaint import (
    StableDiffusionControlNetInpaintPipeline as StableDiffusionControlNetInpaintPipeline,
)
from calotype.pipelines.stable_diffusion.controlnet_text2img import (
    StableDiffusionControlNetPipeline as StableDiffusionControlNetPipeline,
)
from calotype.pipelines.stable_diffusion.img2img import StableDiffusionImg2ImgPipeline as StableDiffusionImg2ImgPipeline
from calotype.pipelines.stable_diffusion.inpaint import StableDiffusionInpaintPipeline as StableDiffusionInpaintPipeline
from calotype.pipelines.stable_diffusion.output import StableDiffusionPipelineOutput as StableDiffusionPipelineOutput
from calotype.pipelines.stable_diffusion.text2img import StableDiffusionPipeline as StableDiffusionPipeline
from calotype.pipelines.stable_diffusion_xl.controlnet_img2img import (
    StableDiffusionXLControlNetImg2ImgPipeline as StableDiffusionXLControlNetImg2ImgPipeline,
)
from calotype.pipelines.stable_diffusion_xl.controlnet_inpaint import (
    StableDiffusionXLControlNetInpaintPipeline as StableDiffusionXLControlNetInpaintPipeline,
)
from calotype.pipelines.stable_diffusion_xl.controlnet_text2img import (
    StableDiffusionXLControlNetPipeline as StableDiffusionXLControlNetPipeline,
)
from calotype.pipelines.stable_diffusion_xl.img2img import (
    StableDiffusionXLImg2ImgPipeline as StableDiffusionXLImg2ImgPipeline,
)
from calotype.pipelines.stable_diffusion_xl.inpaint import (
    StableDiffusionXLInpaintPipeline as StableDiffusionXLInpaintPipeline,
)
from calotype.pipelines.stable_diffusion_xl.output import (
    StableDiffusionXLPipelineOutput as StableDiffusionXLPipelineOutput,
)
from calotype.pipelines.stable_diffusion_xl.text2img import StableDiffusionXLPipeline as StableDiffusionXLPipeline
from calotype.schedulers import DDIMScheduler as DDIMScheduler
from calotype.schedulers import DDPMScheduler as DDPMScheduler
from calotype.schedulers import DEISMultistepScheduler as DEISMultistepScheduler
from calotype.schedulers import DPMSolverMultistepScheduler as DPMSolverMultistepScheduler
from calotype.schedulers import DPMSolverSDEScheduler as DPMSolverSDEScheduler
from calotype.schedulers import DPMSolverSinglestepScheduler as DPMSolverSinglestepScheduler
from calotype.schedulers import EulerAncestralDiscreteScheduler as EulerAncestralDiscreteScheduler
from calotype.schedulers import EulerDiscreteScheduler as EulerDiscreteScheduler
from calotype.schedulers import FlowMatchEulerDiscreteScheduler as FlowMatchEulerDiscreteScheduler
from calotype.schedulers import HeliosDMDScheduler as HeliosDMDScheduler
from calotype.schedulers import HeliosScheduler as HeliosScheduler
from calotype.schedulers import HeunDiscreteScheduler as HeunDiscreteScheduler
from calotype.schedulers import KarrasDiffusionSchedulers as KarrasDiffusionSchedulers
from calotype.schedulers import KDPM2AncestralDiscreteScheduler as KDPM2AncestralDiscreteScheduler
from calotype.schedulers import KDPM2DiscreteScheduler as KDPM2DiscreteScheduler
from calotype.schedulers import LCMScheduler as LCMScheduler
from calotype.schedulers import LMSDiscreteScheduler as LMSDiscreteScheduler
from calotype.schedulers import PNDMScheduler as PNDMScheduler
from calotype.schedulers import SchedulerMixin as SchedulerMixin
from calotype.schedulers import TCDScheduler as TCDScheduler
from calotype.schedulers import UnCLIPScheduler as UnCLIPScheduler
from calotype.schedulers import UniPCMultistepScheduler as UniPCMultistepScheduler

__version__: str
