"""The public names, for type checkers; a test holds this list equal to the table in ``core/names.py``."""

from calotype.core.config import ConfigMixin as ConfigMixin
from calotype.core.model import ModelMixin as ModelMixin
from calotype.core.pipeline import DiffusionPipeline as DiffusionPipeline
from calotype.models.autoencoder_kl import AutoencoderKL as AutoencoderKL
from calotype.models.image_processor import CLIPImageProcessor as CLIPImageProcessor
from calotype.models.safety_checker import StableDiffusionSafetyChecker as StableDiffusionSafetyChecker
from calotype.models.text_encoders import CLIPTextModel as CLIPTextModel
from calotype.models.text_encoders import CLIPTextModelWithProjection as CLIPTextModelWithProjection
from calotype.models.tokenizer import CLIPTokenizer as CLIPTokenizer
from calotype.models.unet import UNet2DConditionModel as UNet2DConditionModel
from calotype.models.vision import CLIPVisionModelWithProjection as CLIPVisionModelWithProjection
from calotype.pipelines.auto import AutoPipelineForImage2Image as AutoPipelineForImage2Image
from calotype.pipelines.auto import AutoPipelineForInpainting as AutoPipelineForInpainting
from calotype.pipelines.auto import AutoPipelineForText2Image as AutoPipelineForText2Image
from calotype.pipelines.stable_diffusion.img2img import StableDiffusionImg2ImgPipeline as StableDiffusionImg2ImgPipeline
from calotype.pipelines.stable_diffusion.inpaint import StableDiffusionInpaintPipeline as StableDiffusionInpaintPipeline
from calotype.pipelines.stable_diffusion.output import StableDiffusionPipelineOutput as StableDiffusionPipelineOutput
from calotype.pipelines.stable_diffusion.text2img import StableDiffusionPipeline as StableDiffusionPipeline
from calotype.schedulers.ddim import DDIMScheduler as DDIMScheduler
from calotype.schedulers.ddpm import DDPMScheduler as DDPMScheduler
from calotype.schedulers.deis_multistep import DEISMultistepScheduler as DEISMultistepScheduler
from calotype.schedulers.dpmsolver_multistep import DPMSolverMultistepScheduler as DPMSolverMultistepScheduler
from calotype.schedulers.dpmsolver_sde import DPMSolverSDEScheduler as DPMSolverSDEScheduler
from calotype.schedulers.dpmsolver_singlestep import DPMSolverSinglestepScheduler as DPMSolverSinglestepScheduler
from calotype.schedulers.euler_ancestral_discrete import (
    EulerAncestralDiscreteScheduler as EulerAncestralDiscreteScheduler,
)
from calotype.schedulers.euler_discrete import EulerDiscreteScheduler as EulerDiscreteScheduler
from calotype.schedulers.flow_match_euler_discrete import (
    FlowMatchEulerDiscreteScheduler as FlowMatchEulerDiscreteScheduler,
)
from calotype.schedulers.heun_discrete import HeunDiscreteScheduler as HeunDiscreteScheduler
from calotype.schedulers.kdpm2_ancestral_discrete import (
    KDPM2AncestralDiscreteScheduler as KDPM2AncestralDiscreteScheduler,
)
from calotype.schedulers.kdpm2_discrete import KDPM2DiscreteScheduler as KDPM2DiscreteScheduler
from calotype.schedulers.lcm import LCMScheduler as LCMScheduler
from calotype.schedulers.lms_discrete import LMSDiscreteScheduler as LMSDiscreteScheduler
from calotype.schedulers.pndm import PNDMScheduler as PNDMScheduler
from calotype.schedulers.solver import KarrasDiffusionSchedulers as KarrasDiffusionSchedulers
from calotype.schedulers.solver import SchedulerMixin as SchedulerMixin
from calotype.schedulers.tcd import TCDScheduler as TCDScheduler
from calotype.schedulers.unclip import UnCLIPScheduler as UnCLIPScheduler
from calotype.schedulers.unipc_multistep import UniPCMultistepScheduler as UniPCMultistepScheduler

__version__: str
