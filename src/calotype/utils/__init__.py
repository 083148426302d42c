"""Public helpers under the paths where the peer has them."""

from calotype.remote.client import aremote_decode, aremote_encode, remote_decode, remote_encode
from calotype.utils.export_utils import export_to_gif, export_to_video
from calotype.utils.loading_utils import load_image, load_video
from calotype.utils.pil_utils import make_image_grid, numpy_to_pil, pt_to_pil

__all__ = [
    "aremote_decode", "aremote_encode", "export_to_gif", "export_to_video", "load_image", "load_video",
    "make_image_grid", "numpy_to_pil", "pt_to_pil", "remote_decode", "remote_encode",
]  # fmt: skip
