"""The web as the guides know it, in small: each picture at the address that they print, from this machine."""

from __future__ import annotations

import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from PIL import Image

DATASET = "huggingface.co/datasets/hf-internal-testing/diffusers-images/resolve/main/kandinsky"
SAMPLES = "raw.githubusercontent.com/CompVis/stable-diffusion/main/assets/stable-samples/img2img"
PICTURES = {
    "huggingface.co/lllyasviel/control_v11p_sd15_openpose/resolve/main/images/control.png": "white",
    f"{DATASET}/cat.png": "orange",
    f"{DATASET}/frog.png": "green",
    f"{DATASET}/starry_night.jpeg": "navy",
    f"{SAMPLES}/sketch-mountains-input.jpg": "gray",
}


class Quiet(SimpleHTTPRequestHandler):
    """Says nothing of what it sends."""

    def log_message(self, format: str, *args: object) -> None:
        pass


class Gallery:
    """A running server of pictures below a folder; after ``url`` comes an address of the web without its scheme."""

    def __init__(self, folder: Path) -> None:
        for address, color in PICTURES.items():
            path = folder / address
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (64, 64), color).save(path)
        self.http = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder)))
        self.http.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.http.server_address[1]}"
        self.thread = threading.Thread(target=self.http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self.thread.start()

    def stop(self) -> None:
        self.http.shutdown()
        self.http.server_close()
        self.thread.join()
