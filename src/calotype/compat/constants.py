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

USE_PEFT_BACKEND = True  # adapters are of that kind: injected beside layers, and several at once
HUGGINGFACE_CO_RESOLVE_ENDPOINT = os.environ.get("HF_ENDPOINT", "https://huggingface.co")
