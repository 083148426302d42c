"""Names of files, and facts that scripts read."""

from __future__ import annotations

import os

CONFIG_NAME = "config.json"
SCHEDULER_CONFIG_NAME = "scheduler_config.json"
SAFETENSORS_FILE_EXTENSION = "safetensors"
WEIGHTS_NAME = "diffusion_pytorch_model.bin"
WEIGHTS_INDEX_NAME = f"{WEIGHTS_NAME}.index.json"
SAFETENSORS_WEIGHTS_NAME = "diffusion_pytorch_model.safetensors"
SAFE_WEIGHTS_INDEX_NAME = f"{SAFETENSORS_WEIGHTS_NAME}.index.json"

_LOW_CPU_MEM_USAGE_DEFAULT = True  # networks are built without weights, which are then read into place
USE_PEFT_BACKEND = True  # adapters are of that kind: injected beside layers, and several at once
HUGGINGFACE_CO_RESOLVE_ENDPOINT = os.environ.get("HF_ENDPOINT", "https://huggingface.co")

ONNX_WEIGHTS_NAME = "model.onnx"
ONNX_EXTERNAL_WEIGHTS_NAME = "weights.pb"
GGUF_FILE_EXTENSION = "gguf"
DIFFUSERS_DYNAMIC_MODULE_NAME = "diffusers_modules"
DEPRECATED_REVISION_ARGS = ["fp16", "non-ema"]

# where the Hub decodes and encodes latents for everybody, as far as it does; `calotype serve` makes one's own
DECODE_ENDPOINT_SD_V1 = "https://q1bj3bpq6kzilnsu.us-east-1.aws.endpoints.huggingface.cloud/"
DECODE_ENDPOINT_SD_XL = "https://x2dmsqunjd6k9prw.us-east-1.aws.endpoints.huggingface.cloud/"
DECODE_ENDPOINT_FLUX = "https://whhx50ex1aryqvw6.us-east-1.aws.endpoints.huggingface.cloud/"
DECODE_ENDPOINT_HUNYUAN_VIDEO = "https://o7ywnmrahorts457.us-east-1.aws.endpoints.huggingface.cloud/"
ENCODE_ENDPOINT_SD_V1 = "https://qc6479g0aac6qwy9.us-east-1.aws.endpoints.huggingface.cloud/"
ENCODE_ENDPOINT_SD_XL = "https://xjqqhmyn62rog84g.us-east-1.aws.endpoints.huggingface.cloud/"
ENCODE_ENDPOINT_FLUX = "https://ptccx55jz97f9zgo.us-east-1.aws.endpoints.huggingface.cloud/"

EXAMPLE_DOC_STRING = ""  # each pipeline of the peer tells one; those of calotype are in its docs
