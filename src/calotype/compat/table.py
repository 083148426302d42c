"""One table: where the peer keeps a thing, and where calotype does. ``theirs=ours`` where the names differ."""

from __future__ import annotations

from calotype.compat.available import LIBRARIES

# public names that are not at the peer's top, but in the modules below it or in other libraries
INSIDE = frozenset({
    "CLIPImageProcessor", "CLIPTextModel", "CLIPTextModelWithProjection", "CLIPTokenizer",
    "CLIPVisionModelWithProjection", "FlaxCLIPTextModel", "FlaxStableDiffusionPipelineOutput",
    "FlaxStableDiffusionSafetyChecker", "HeliosPipelineOutput", "IPAdapterMaskProcessor",
    "KandinskyPriorPipelineOutput", "KarrasDiffusionSchedulers", "MCLIPConfig", "MultilingualCLIP",
    "StableDiffusionPipelineOutput", "StableDiffusionSafetyChecker", "StableDiffusionXLPipelineOutput",
    "T5TokenizerFast", "UMT5EncoderModel", "XLMRobertaTokenizer",
})  # fmt: skip

_CURVES = "betas_for_alpha_bar rescale_zero_terminal_snr"
_WALKING = "retrieve_timesteps retrieve_latents"
_RATES = (
    "get_constant_schedule get_constant_schedule_with_warmup get_cosine_schedule_with_warmup"
    " get_cosine_with_hard_restarts_schedule_with_warmup get_linear_schedule_with_warmup"
    " get_polynomial_decay_schedule_with_warmup get_scheduler"
)
_INSTALLED = " ".join(f"is_{name}_available" for name in LIBRARIES) + " is_torch_version is_transformers_version"


def _scheduler(module: str, name: str) -> dict[str, str]:
    """A scheduler's module: itself, and what its steps return under a name of its own."""
    output = f"{name}Output=SchedulerOutput"
    return {f"schedulers.{module}": name, "schedulers.mixin": output, "compat.verbs": _CURVES}


# path in the peer -> {module of ours: names}; what a module shows of others, it is asked for by name alone
PATHS: dict[str, dict[str, str]] = {
    "": {
        "compat": "logging=logs",
        "compat.automodel": "AutoModel",
        "compat.learning_rates": _RATES,
        "compat.averages": "EMAModel",
        "core.config": "__version__=ECOSYSTEM_VERSION",
    },
    "callbacks": {
        "compat.callbacks": "IPAdapterScaleCutoffCallback MultiPipelineCallbacks PipelineCallback SDCFGCutoffCallback"
        " SDXLCFGCutoffCallback SDXLControlnetCFGCutoffCallback"
    },
    "configuration_utils": {"core.config": "ConfigMixin FrozenDict register_to_config"},
    "hooks.group_offloading": {"compat.verbs": "apply_group_offloading"},
    "image_processor": {
        "compat.verbs": "PIL_INTERPOLATION PipelineImageInput is_valid_image is_valid_image_imagelist",
        "image_processor": "IPAdapterMaskProcessor VaeImageProcessor",
    },
    "loaders.ip_adapter": {"adapters.ip_adapter": "IPAdapterMixin"},
    "loaders.lora_base": {"adapters.lora": "LoraBaseMixin=LoraAdapters"},
    "loaders.lora_pipeline": {
        "adapters.lora_families": "HeliosLoraLoaderMixin LoraLoaderMixin=StableDiffusionLoraLoaderMixin"
        " StableDiffusionLoraLoaderMixin StableDiffusionXLLoraLoaderMixin"
    },
    "loaders.single_file": {"adapters.single_file": "FromSingleFileMixin=SingleFilePipeline"},
    "loaders.single_file_model": {"models.single_file": "FromOriginalModelMixin=SingleFile"},
    "loaders.textual_inversion": {"adapters.textual_inversion": "TextualInversionLoaderMixin"},
    "models.activations": {"models.layers.activations": "GEGLU GELU get_activation=activation"},
    "models.attention": {
        "models.layers.switches": "AttentionMixin=WithAttention",
        "models.layers.transformer": "BasicTransformerBlock FeedForward",
    },
    "models.attention_processor": {
        "models.layers.attention": "Attention",
        "models.layers.image_attention": "IPAdapterAttnProcessor=IPAdapterAttnProcessor2_0 IPAdapterAttnProcessor2_0",
        "models.layers.processors": "AttnAddedKVProcessor=AttnProcessor AttnAddedKVProcessor2_0=AttnProcessor2_0"
        " AttnProcessor AttnProcessor2_0 FusedAttnProcessor2_0=AttnProcessor2_0 SlicedAttnProcessor"
        " SlicedAttnAddedKVProcessor=SlicedAttnProcessor XFormersAttnProcessor",
        "models.layers.spatial_norm": "SpatialNorm",
    },
    "models.auto_model": {"compat.automodel": "AutoModel"},
    "models.autoencoders.autoencoder_kl": {"models.autoencoder_kl": "AutoencoderKL"},
    "models.autoencoders.autoencoder_kl_wan": {"models.wan_vae": "AutoencoderKLWan"},
    "models.autoencoders.vae": {
        "models.autoencoder_kl": "DecoderOutput",
        "models.quantizer": "VectorQuantizer",
        "models.vae": "Decoder Encoder",
        "ops.gaussian": "DiagonalGaussianDistribution",
    },
    "models.autoencoders.vq_model": {"models.vq_model": "VQEncoderOutput VQModel"},
    "models.controlnets.controlnet": {
        "models.controlnet": "ControlNetConditioningEmbedding ControlNetModel ControlNetOutput"
    },
    "models.controlnets.multicontrolnet": {"models.multicontrolnet": "MultiControlNetModel"},
    "models.downsampling": {"models.layers.resnet": "Downsample2D"},
    "models.embeddings": {
        "compat.verbs": "get_timestep_embedding",
        "models.layers.embeddings": "AttentionPooling GaussianFourierProjection ImageHintTimeEmbedding ImageProjection"
        " ImageTimeEmbedding TextImageProjection TextImageTimeEmbedding TextTimeEmbedding TimestepEmbedding Timesteps",
        "models.layers.image_words": "IPAdapterFaceIDImageProjection IPAdapterFullImageProjection"
        " IPAdapterPlusImageProjection IPAdapterPlusImageProjectionBlock MultiIPAdapterImageProjection",
    },
    "models.modeling_outputs": {
        "models.autoencoder_kl": "AutoencoderKLOutput",
        "models.layers.transformer": "Transformer2DModelOutput",
    },
    "models.modeling_utils": {
        "compat.constants": "CONFIG_NAME WEIGHTS_NAME _LOW_CPU_MEM_USAGE_DEFAULT",
        "core.model": "ModelMixin",
    },
    "models.normalization": {"models.umt5_blocks": "RMSNorm"},
    "models.resnet": {"models.layers.resnet": "ResnetBlock2D"},
    "models.transformers.prior_transformer": {"models.prior_transformer": "PriorTransformer PriorTransformerOutput"},
    "models.transformers.transformer_2d": {"models.layers.transformer": "Transformer2DModel"},
    "models.transformers.transformer_helios": {"models.helios_transformer": "HeliosTransformer3DModel"},
    "models.unets.unet_2d_blocks": {
        "models.unet_types": "CrossAttnDownBlock2D CrossAttnUpBlock2D DownBlock2D ResnetDownsampleBlock2D"
        " ResnetUpsampleBlock2D SimpleCrossAttnDownBlock2D SimpleCrossAttnUpBlock2D UNetMidBlock2D"
        " UNetMidBlock2DCrossAttn UNetMidBlock2DSimpleCrossAttn UpBlock2D"
    },
    "models.unets.unet_2d_condition": {"models.unet": "UNet2DConditionModel UNet2DConditionOutput"},
    "models.unets.unet_2d_condition_flax": {"flax.unet": "FlaxUNet2DConditionModel FlaxUNet2DConditionOutput"},
    "models.upsampling": {"models.layers.resnet": "Upsample2D"},
    "models.vq_model": {"models.vq_model": "VQModel"},
    "optimization": {"compat.learning_rates": f"{_RATES} SchedulerType get_piecewise_constant_schedule"},
    "pipelines.auto_pipeline": {
        "compat.families": "AUTO_IMAGE2IMAGE_PIPELINES_MAPPING AUTO_INPAINT_PIPELINES_MAPPING"
        " AUTO_TEXT2IMAGE_PIPELINES_MAPPING",
        "pipelines.auto": "AutoPipelineForImage2Image AutoPipelineForInpainting AutoPipelineForText2Image",
    },
    "pipelines.controlnet.pipeline_controlnet": {
        "pipelines.stable_diffusion.controlnet_text2img": "StableDiffusionControlNetPipeline"
    },
    "pipelines.controlnet.pipeline_controlnet_img2img": {
        "pipelines.stable_diffusion.controlnet_img2img": "StableDiffusionControlNetImg2ImgPipeline"
    },
    "pipelines.controlnet.pipeline_controlnet_inpaint": {
        "pipelines.stable_diffusion.controlnet_inpaint": "StableDiffusionControlNetInpaintPipeline"
    },
    "pipelines.controlnet.pipeline_controlnet_inpaint_sd_xl": {
        "pipelines.stable_diffusion_xl.controlnet_inpaint": "StableDiffusionXLControlNetInpaintPipeline"
    },
    "pipelines.controlnet.pipeline_controlnet_sd_xl": {
        "pipelines.stable_diffusion_xl.controlnet_text2img": "StableDiffusionXLControlNetPipeline"
    },
    "pipelines.controlnet.pipeline_controlnet_sd_xl_img2img": {
        "pipelines.stable_diffusion_xl.controlnet_img2img": "StableDiffusionXLControlNetImg2ImgPipeline"
    },
    "pipelines.helios.pipeline_helios": {"pipelines.helios.base": "HeliosPipeline"},
    "pipelines.helios.pipeline_helios_pyramid": {"pipelines.helios.pyramid": "HeliosPyramidPipeline"},
    "pipelines.helios.pipeline_output": {"pipelines.helios.output": "HeliosPipelineOutput"},
    "pipelines.kandinsky.pipeline_kandinsky": {"pipelines.kandinsky.v2_1.text2img": "KandinskyPipeline"},
    "pipelines.kandinsky.pipeline_kandinsky_combined": {
        "pipelines.kandinsky.v2_1.combined_img2img": "KandinskyImg2ImgCombinedPipeline",
        "pipelines.kandinsky.v2_1.combined_inpaint": "KandinskyInpaintCombinedPipeline",
        "pipelines.kandinsky.v2_1.combined_text2img": "KandinskyCombinedPipeline",
    },
    "pipelines.kandinsky.pipeline_kandinsky_img2img": {"pipelines.kandinsky.v2_1.img2img": "KandinskyImg2ImgPipeline"},
    "pipelines.kandinsky.pipeline_kandinsky_inpaint": {"pipelines.kandinsky.v2_1.inpaint": "KandinskyInpaintPipeline"},
    "pipelines.kandinsky.pipeline_kandinsky_prior": {
        "pipelines.kandinsky.output": "KandinskyPriorPipelineOutput",
        "pipelines.kandinsky.v2_1.prior": "KandinskyPriorPipeline",
    },
    "pipelines.kandinsky.text_encoder": {"models.multilingual_clip": "MCLIPConfig MultilingualCLIP"},
    "pipelines.kandinsky2_2.pipeline_kandinsky2_2": {"pipelines.kandinsky.v2_2.text2img": "KandinskyV22Pipeline"},
    "pipelines.kandinsky2_2.pipeline_kandinsky2_2_combined": {
        "pipelines.kandinsky.v2_2.combined_img2img": "KandinskyV22Img2ImgCombinedPipeline",
        "pipelines.kandinsky.v2_2.combined_inpaint": "KandinskyV22InpaintCombinedPipeline",
        "pipelines.kandinsky.v2_2.combined_text2img": "KandinskyV22CombinedPipeline",
    },
    "pipelines.kandinsky2_2.pipeline_kandinsky2_2_controlnet": {
        "pipelines.kandinsky.v2_2.controlnet": "KandinskyV22ControlnetPipeline"
    },
    "pipelines.kandinsky2_2.pipeline_kandinsky2_2_controlnet_img2img": {
        "pipelines.kandinsky.v2_2.controlnet_img2img": "KandinskyV22ControlnetImg2ImgPipeline"
    },
    "pipelines.kandinsky2_2.pipeline_kandinsky2_2_img2img": {
        "pipelines.kandinsky.v2_2.img2img": "KandinskyV22Img2ImgPipeline"
    },
    "pipelines.kandinsky2_2.pipeline_kandinsky2_2_inpainting": {
        "pipelines.kandinsky.v2_2.inpaint": "KandinskyV22InpaintPipeline"
    },
    "pipelines.kandinsky2_2.pipeline_kandinsky2_2_prior": {
        "pipelines.kandinsky.v2_2.prior": "KandinskyV22PriorPipeline"
    },
    "pipelines.kandinsky2_2.pipeline_kandinsky2_2_prior_emb2emb": {
        "pipelines.kandinsky.v2_2.emb2emb": "KandinskyV22PriorEmb2EmbPipeline"
    },
    "pipelines.pipeline_flax_utils": {"flax.pipeline": "FlaxDiffusionPipeline"},
    "pipelines.pipeline_utils": {
        "core.pipeline": "DiffusionPipeline",
        "pipelines.kandinsky.output": "ImagePipelineOutput",
        "pipelines.switches": "StableDiffusionMixin=Switches",
    },
    "pipelines.stable_diffusion.pipeline_flax_stable_diffusion_img2img": {
        "flax.img2img": "FlaxStableDiffusionImg2ImgPipeline"
    },
    "pipelines.stable_diffusion.pipeline_output": {
        "flax.output": "FlaxStableDiffusionPipelineOutput",
        "pipelines.stable_diffusion.output": "StableDiffusionPipelineOutput",
    },
    "pipelines.stable_diffusion.pipeline_stable_diffusion": {
        "compat.constants": "EXAMPLE_DOC_STRING",
        "compat.verbs": f"rescale_noise_cfg {_WALKING}",
        "pipelines.stable_diffusion.text2img": "StableDiffusionPipeline",
    },
    "pipelines.stable_diffusion.pipeline_stable_diffusion_img2img": {
        "pipelines.stable_diffusion.img2img": "StableDiffusionImg2ImgPipeline"
    },
    "pipelines.stable_diffusion.pipeline_stable_diffusion_inpaint": {
        "pipelines.stable_diffusion.inpaint": "StableDiffusionInpaintPipeline"
    },
    "pipelines.stable_diffusion.safety_checker": {"models.safety_checker": "StableDiffusionSafetyChecker"},
    "pipelines.stable_diffusion.safety_checker_flax": {"flax.safety_checker": "FlaxStableDiffusionSafetyChecker"},
    "pipelines.stable_diffusion_xl.pipeline_output": {
        "pipelines.stable_diffusion_xl.output": "StableDiffusionXLPipelineOutput"
    },
    "pipelines.stable_diffusion_xl.pipeline_stable_diffusion_xl": {
        "pipelines.stable_diffusion_xl.text2img": "StableDiffusionXLPipeline"
    },
    "pipelines.stable_diffusion_xl.pipeline_stable_diffusion_xl_img2img": {
        "pipelines.stable_diffusion_xl.img2img": "StableDiffusionXLImg2ImgPipeline"
    },
    "pipelines.stable_diffusion_xl.pipeline_stable_diffusion_xl_inpaint": {
        "pipelines.stable_diffusion_xl.inpaint": "StableDiffusionXLInpaintPipeline"
    },
    "schedulers.scheduling_ddim": _scheduler("ddim", "DDIMScheduler"),
    "schedulers.scheduling_ddpm": _scheduler("ddpm", "DDPMScheduler"),
    "schedulers.scheduling_deis_multistep": _scheduler("deis_multistep", "DEISMultistepScheduler"),
    "schedulers.scheduling_dpmsolver_multistep": _scheduler("dpmsolver_multistep", "DPMSolverMultistepScheduler"),
    "schedulers.scheduling_dpmsolver_sde": _scheduler("dpmsolver_sde", "DPMSolverSDEScheduler"),
    "schedulers.scheduling_dpmsolver_singlestep": _scheduler("dpmsolver_singlestep", "DPMSolverSinglestepScheduler"),
    "schedulers.scheduling_euler_ancestral_discrete": _scheduler(
        "euler_ancestral_discrete", "EulerAncestralDiscreteScheduler"
    ),
    "schedulers.scheduling_euler_discrete": _scheduler("euler_discrete", "EulerDiscreteScheduler"),
    "schedulers.scheduling_flow_match_euler_discrete": _scheduler(
        "flow_match_euler_discrete", "FlowMatchEulerDiscreteScheduler"
    ),
    "schedulers.scheduling_helios": _scheduler("helios", "HeliosScheduler"),
    "schedulers.scheduling_helios_dmd": _scheduler("helios_dmd", "HeliosDMDScheduler"),
    "schedulers.scheduling_heun_discrete": _scheduler("heun_discrete", "HeunDiscreteScheduler"),
    "schedulers.scheduling_k_dpm_2_ancestral_discrete": _scheduler(
        "k_dpm_2_ancestral_discrete", "KDPM2AncestralDiscreteScheduler"
    ),
    "schedulers.scheduling_k_dpm_2_discrete": _scheduler("k_dpm_2_discrete", "KDPM2DiscreteScheduler"),
    "schedulers.scheduling_lcm": {"schedulers.lcm": "LCMScheduler LCMSchedulerOutput"},
    "schedulers.scheduling_lms_discrete": _scheduler("lms_discrete", "LMSDiscreteScheduler"),
    "schedulers.scheduling_pndm": _scheduler("pndm", "PNDMScheduler"),
    "schedulers.scheduling_tcd": {"schedulers.tcd": "TCDScheduler TCDSchedulerOutput"},
    "schedulers.scheduling_unclip": _scheduler("unclip", "UnCLIPScheduler"),
    "schedulers.scheduling_unipc_multistep": _scheduler("unipc_multistep", "UniPCMultistepScheduler"),
    "schedulers.scheduling_utils": {
        "compat.constants": "SCHEDULER_CONFIG_NAME",
        "schedulers.mixin": "KarrasDiffusionSchedulers SchedulerMixin SchedulerOutput",
    },
    "training_utils": {
        "compat.averages": "EMAModel",
        "compat.training": "cast_training_params compute_density_for_timestep_sampling"
        " compute_loss_weighting_for_sd3 compute_snr free_memory set_seed",
    },
    "utils.constants": {
        "compat.constants": "CONFIG_NAME DECODE_ENDPOINT_FLUX DECODE_ENDPOINT_HUNYUAN_VIDEO DECODE_ENDPOINT_SD_V1"
        " DECODE_ENDPOINT_SD_XL DEPRECATED_REVISION_ARGS DIFFUSERS_DYNAMIC_MODULE_NAME ENCODE_ENDPOINT_FLUX"
        " ENCODE_ENDPOINT_SD_V1 ENCODE_ENDPOINT_SD_XL GGUF_FILE_EXTENSION HUGGINGFACE_CO_RESOLVE_ENDPOINT"
        " ONNX_EXTERNAL_WEIGHTS_NAME ONNX_WEIGHTS_NAME SAFETENSORS_FILE_EXTENSION SAFETENSORS_WEIGHTS_NAME"
        " SAFE_WEIGHTS_INDEX_NAME USE_PEFT_BACKEND WEIGHTS_INDEX_NAME WEIGHTS_NAME"
    },
    "utils.deprecation_utils": {"compat.verbs": "deprecate"},
    "utils.doc_utils": {"compat.verbs": "replace_example_docstring"},
    "utils.export_utils": {"utils.export_utils": "export_to_gif export_to_video"},
    "utils.import_utils": {"compat.available": f"OptionalDependencyNotAvailable {_INSTALLED}"},
    "utils.loading_utils": {"utils.loading_utils": "load_image load_video"},
    "utils.logging": {
        "compat.logs": "CRITICAL DEBUG ERROR FATAL INFO NOTSET WARN WARNING disable_default_handler"
        " disable_progress_bar disable_propagation enable_default_handler enable_explicit_format enable_progress_bar"
        " enable_propagation get_logger get_verbosity log_levels reset_format set_verbosity set_verbosity_debug"
        " set_verbosity_error set_verbosity_info set_verbosity_warning"
    },
    "utils.outputs": {"compat.verbs": "is_tensor", "core.outputs": "BaseOutput"},
    "utils.pil_utils": {"utils.pil_utils": "make_image_grid numpy_to_pil pt_to_pil"},
    "utils.remote_utils": {"utils.remote_utils": "remote_decode remote_encode"},
    "utils.state_dict_utils": {
        "compat.spellings": "convert_all_state_dict_to_peft=convert_unet_state_dict_to_peft"
        " convert_state_dict_to_diffusers convert_state_dict_to_peft=convert_unet_state_dict_to_peft"
        " convert_unet_state_dict_to_peft"
    },
    "utils.torch_utils": {
        "compat.verbs": "fourier_filter is_compiled_module",
        "ops.random": "randn_tensor",
    },
    "utils.versions": {"compat.available": "require_version"},
    "video_processor": {"video_processor": "VideoProcessor"},
}
