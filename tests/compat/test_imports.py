"""Every import line of the guides and the users' contract gives calotype's own objects, installed peer or not."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests import nursery
from tests.compat.children import HIDDEN, SHIM, said, told

GUIDES = Path(__file__).with_name("guides")
LINES = sorted(
    {
        line
        for page in GUIDES.glob("*.txt")
        for line in re.findall(r"^(?:>>> )?(from diffusers.*|import diffusers.*)$", page.read_text(), re.MULTILINE)
    }
)
CONTRACT = """
from diffusers.utils import load_image, load_video, make_image_grid, export_to_video, export_to_gif, logging
from diffusers.utils import BaseOutput, remote_decode, pt_to_pil, numpy_to_pil, constants, is_torch_available
from diffusers.utils import is_transformers_available, is_xformers_available, is_accelerate_available, deprecate
from diffusers.utils.remote_utils import remote_decode, remote_encode
from diffusers.utils.torch_utils import randn_tensor, fourier_filter
from diffusers.utils.outputs import BaseOutput
from diffusers.utils.constants import CONFIG_NAME, WEIGHTS_NAME
from diffusers.image_processor import VaeImageProcessor, IPAdapterMaskProcessor, PipelineImageInput
from diffusers.video_processor import VideoProcessor
from diffusers.configuration_utils import ConfigMixin, register_to_config, FrozenDict
from diffusers.models import AutoencoderKL, UNet2DConditionModel, ControlNetModel, MultiControlNetModel, VQModel
from diffusers.models.attention_processor import Attention, AttnProcessor, AttnProcessor2_0, XFormersAttnProcessor
from diffusers.models.embeddings import TimestepEmbedding, Timesteps, get_timestep_embedding
from diffusers.models.modeling_utils import ModelMixin
from diffusers.models.modeling_outputs import AutoencoderKLOutput, Transformer2DModelOutput
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel, UNet2DConditionOutput
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from diffusers.models.autoencoders.vae import DecoderOutput, DiagonalGaussianDistribution
from diffusers.models.controlnets.controlnet import ControlNetModel, ControlNetOutput
from diffusers.models.controlnets.multicontrolnet import MultiControlNetModel
from diffusers.models.transformers.transformer_helios import HeliosTransformer3DModel
from diffusers.models.transformers.prior_transformer import PriorTransformer
from diffusers.loaders import IPAdapterMixin, TextualInversionLoaderMixin, StableDiffusionLoraLoaderMixin
from diffusers.loaders import FromSingleFileMixin, StableDiffusionXLLoraLoaderMixin
from diffusers.schedulers import DDIMScheduler, SchedulerMixin, KarrasDiffusionSchedulers
from diffusers.schedulers.scheduling_utils import SchedulerMixin, KarrasDiffusionSchedulers, SchedulerOutput
from diffusers.schedulers.scheduling_ddim import DDIMScheduler, DDIMSchedulerOutput
from diffusers.schedulers.scheduling_helios_dmd import HeliosDMDScheduler
from diffusers.pipelines import StableDiffusionPipeline, DiffusionPipeline, ImagePipelineOutput
from diffusers.pipelines.pipeline_utils import DiffusionPipeline, ImagePipelineOutput, StableDiffusionMixin
from diffusers.pipelines.kandinsky.text_encoder import MultilingualCLIP, MCLIPConfig
from diffusers.pipelines.controlnet import StableDiffusionControlNetPipeline, MultiControlNetModel
from diffusers.pipelines.stable_diffusion import StableDiffusionPipelineOutput, StableDiffusionSafetyChecker
from diffusers.pipelines.stable_diffusion.safety_checker import StableDiffusionSafetyChecker
from diffusers.pipelines.stable_diffusion.pipeline_stable_diffusion import retrieve_timesteps, rescale_noise_cfg
from diffusers.pipelines.stable_diffusion_xl.pipeline_output import StableDiffusionXLPipelineOutput
from diffusers.pipelines.helios.pipeline_output import HeliosPipelineOutput
from diffusers.pipelines.auto_pipeline import AUTO_TEXT2IMAGE_PIPELINES_MAPPING, AUTO_INPAINT_PIPELINES_MAPPING
from diffusers.pipelines.auto_pipeline import AUTO_IMAGE2IMAGE_PIPELINES_MAPPING, AutoPipelineForText2Image
from diffusers import FlaxAutoencoderKL, FlaxUNet2DConditionModel, FlaxModelMixin, FlaxDiffusionPipeline
from diffusers.schedulers import FlaxDDIMScheduler, FlaxDPMSolverMultistepScheduler, FlaxLMSDiscreteScheduler
from diffusers.pipelines.stable_diffusion import FlaxStableDiffusionPipelineOutput, FlaxStableDiffusionSafetyChecker
from diffusers.callbacks import PipelineCallback, SDCFGCutoffCallback, MultiPipelineCallbacks
from diffusers.hooks import apply_group_offloading
import diffusers.pipelines.stable_diffusion.pipeline_stable_diffusion_img2img as img2img
import diffusers
""".strip().splitlines()
FOREIGN = """
import json, sys
print(json.dumps(sorted(
    f"{name}: {type(module).__module__}" for name, module in sys.modules.items()
    if name.partition(".")[0] == "diffusers" and type(module).__module__ != "calotype.compat.finder"
)))
"""


@pytest.mark.parametrize("hidden", ["", HIDDEN], ids=["installed", "not installed"])
def test_every_import_line_works_and_none_reaches_the_peer(hidden):
    assert told("\n".join([hidden, SHIM, *LINES, *CONTRACT, FOREIGN])) == []


def test_every_row_of_the_table_leads_to_something():
    code = """
import importlib, json
from calotype.compat.table import PATHS
gone = []
for path in PATHS:
    module = importlib.import_module(f"diffusers.{path}".rstrip("."))
    gone += [f"{path}: {name}" for name in module.__all__ if not hasattr(module, name)]
print(json.dumps(gone))
"""
    assert told(SHIM + code) == []


def test_a_name_means_the_same_object_wherever_it_is_reached():
    said(
        SHIM
        + """
import calotype, diffusers, diffusers.models.unets.unet_2d_condition
from diffusers.models import UNet2DConditionModel
assert UNet2DConditionModel is diffusers.UNet2DConditionModel is calotype.UNet2DConditionModel
assert diffusers.models.unets.unet_2d_condition.UNet2DConditionModel is UNet2DConditionModel
assert diffusers.schedulers.scheduling_ddim.DDIMScheduler is calotype.DDIMScheduler  # never imported by name
"""
    )


def test_what_the_peer_does_not_have_either_is_an_import_error():
    said(
        SHIM
        + """
for line in ("from diffusers import Nonsense", "import diffusers.nonsense", "from diffusers.models import nonsense"):
    try:
        exec(line)
    except ImportError as error:
        assert "onsense" in str(error)
    else:
        raise AssertionError(line)
"""
    )


def test_importing_the_shim_loads_nothing_heavy():
    code = "import sys\nimport calotype.compat.diffusers, diffusers\nassert not {'torch', 'numpy', 'PIL'} & set(sys.modules)"
    import subprocess
    import sys

    subprocess.run([sys.executable, "-c", code], check=True)  # a fork has read torch already


def test_after_the_peer_the_shim_refuses_and_says_what_to_do():
    done = nursery.run("import sys, types\nsys.modules['diffusers'] = types.ModuleType('diffusers')\n" + SHIM)
    assert done.returncode == 1
    assert "AlreadyImported: diffusers: expected nothing of it imported yet" in done.stderr
    assert "calotype run" in done.stderr


def test_importing_the_shim_twice_changes_nothing():
    said(
        SHIM
        + """
import importlib, sys
import calotype.compat.diffusers
finders = list(sys.meta_path)
importlib.reload(calotype.compat.diffusers)
assert sys.meta_path == finders
"""
    )


@pytest.mark.parametrize("way", [("-m", "calotype", "run"), ("-m", "calotype.compat")], ids=["command", "module"])
def test_a_script_runs_with_its_own_arguments_and_its_own_folder(way, tmp_path):
    import subprocess
    import sys

    (tmp_path / "beside.py").write_text("WORD = 'found'\n")
    (tmp_path / "script.py").write_text(
        "import sys\nfrom beside import WORD\nfrom diffusers import DDIMScheduler\n"
        "print(__name__, WORD, DDIMScheduler.__module__, sys.argv[1:])\n"
    )
    words = [sys.executable, *way, str(tmp_path / "script.py"), "--steps", "3", "-h"]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    assert done.stdout == "__main__ found calotype.schedulers.ddim ['--steps', '3', '-h']\n"
