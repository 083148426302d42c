"""The public names, for type checkers; a test holds this list equal to the table in ``core/names.py``."""

from calotype.core.config import ConfigMixin as ConfigMixin
from calotype.core.model import ModelMixin as ModelMixin
from calotype.core.pipeline import DiffusionPipeline as DiffusionPipeline
from calotype.models.autoencoder_kl import AutoencoderKL as AutoencoderKL
from calotype.models.controlnet import ControlNetModel as ControlNetModel
from calotype.models.image_processor import CLIPImageProcessor as CLIPImageProcessor
from calotype.models.multicontrolnet import MultiControlNetModel as MultiControlNetModel
from calotype.models.safety_checker import StableDiffusionSafetyChecker as StableDiffusionSafetyChecker
from calotype.models.text_encoders import CLIPTextModel as CLIPTextModel
from calotype.models.text_encoders import CLIPTextModelWithProjection as CLIPTextModelWithProjection
from calotype.models.tokenizer import CLIPTokenizer as CLIPTokenizer
from calotype.models.unet import UNet2DConditionModel as UNet2DConditionModel
from calotype.models.vision import CLIPVisionModelWithProjection as CLIPVisionModelWithProjection
from calotype.pipelines.auto import AutoPipelineForImage2Image as AutoPipelineForImage2Image
from calotype.pipelines.auto import AutoPipelineForInpainting as AutoPipelineForInpainting
from calotype.pipelines.auto import AutoPipelineForText2Image as AutoPipelineForText2Image
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
