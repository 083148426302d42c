from __future__ import annotations

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.toy import Toy
from tests.unit.hub_server import Hub, Repository, Server, etag

ROOT = Path(__file__).parents[2]
NAME = "owner/model"
FIRST, SECOND = "1" * 40, "2" * 40
BIG = os.urandom(3_000_000)
UNET = "unet/diffusion_pytorch_model"
FILES = {
    "model_index.json": b"{}",
    "unet/config.json": b'{"_class_name": "Toy"}',
    f"{UNET}.safetensors": BIG,
    f"{UNET}.fp16.safetensors": BIG[:5000],
    f"{UNET}.bin": BIG[:4000],
    "README.md": b"words",
}

# What a child does: `source` is the repository, `give` prints what the parent wants to know.
PRELUDE = """
import json, sys
from calotype.core.errors import CalotypeError
from calotype.core.files import HubOptions, open_source
def give(value): print(json.dumps(value))
try:
    source = open_source(sys.argv[1], HubOptions(**json.loads(sys.argv[2])))
    {code}
except CalotypeError as error:
    give([type(error).__name__, str(error)])
"""
FETCH = f"give([str(path) for path in source.sub('unet').fetch(['config.json', '{UNET[5:]}.safetensors'])])"


@dataclass
class World:
    """A Hub, and children that use it with a cache of their own."""

    hub: Hub
    server: Server
    cache: Path

    def run(self, code: str, name: str = NAME, environment: dict[str, str] | None = None, **options):
        command = [
            sys.executable,
            "-c",
            PRELUDE.replace("{code}", code.replace("\n", "\n    ")),
            name,
            json.dumps(options),
        ]
        variables = {
            "HF_ENDPOINT": self.server.url,
            "HF_HOME": str(self.cache),
            "HF_HUB_DISABLE_PROGRESS_BARS": "1",
            "HF_HUB_DISABLE_XET": "1",
            "HF_HUB_DISABLE_TELEMETRY": "1",
            "NO_PROXY": "",
        }
        kept = {key: value for key, value in os.environ.items() if not key.startswith(("HF_", "CALOTYPE_"))}
        done = subprocess.run(
            command, env=kept | variables | (environment or {}), cwd=ROOT, capture_output=True, text=True, timeout=100
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def blob(self, data: bytes) -> Path:
        return self.cache / "hub" / "models--owner--model" / "blobs" / etag(data)


@pytest.fixture
def world(tmp_path):
    hub = Hub({NAME: Repository({FIRST: dict(FILES)}, {"main": FIRST, "v1": FIRST})})
    server = Server(hub)
    yield World(hub, server, tmp_path / "home")
    server.stop()


def test_only_what_is_asked_for_is_fetched_and_only_once(world):
    config, weights = world.run(FETCH)
    assert Path(weights).read_bytes() == BIG and Path(config).read_bytes() == FILES["unet/config.json"]
    assert sorted(world.hub.gets()) == [
        f"/{NAME}/resolve/{FIRST}/{n}" for n in ("unet/config.json", f"{UNET}.safetensors")
    ]
    world.hub.asked.clear()
    assert world.run(FETCH) == [config, weights]
    assert [path for _, path, _ in world.hub.asked] == [f"/api/models/{NAME}/revision/main"]


def test_a_network_comes_from_the_hub_in_one_variant_and_never_as_a_pickle(world, tmp_path):
    Toy().save_pretrained(tmp_path / "toy", variant="fp16")
    Toy().save_pretrained(tmp_path / "toy")
    Toy().save_pretrained(tmp_path / "toy", safe_serialization=False)
    files = {path.name: path.read_bytes() for path in (tmp_path / "toy").iterdir()}
    world.hub.repositories[NAME].commits[FIRST] = files
    code = (
        f"from tests.toy import Toy\ngive(str(Toy.from_pretrained({NAME!r}, variant='fp16', torch_dtype='auto').dtype))"
    )
    assert world.run(code) == "torch.float32"
    fetched = {path.rpartition("/")[2] for path in world.hub.gets()}
    assert fetched == {"config.json", "diffusion_pytorch_model.fp16.safetensors"}


def test_a_cut_connection_goes_on_where_it_was_cut(world):
    whole = BIG * 5  # huggingface_hub keeps what came in pieces of 10 MiB
    world.hub.repositories[NAME].commits[FIRST][f"{UNET}.safetensors"] = whole
    world.hub.cuts[f"{UNET}.safetensors"] = [12_000_000, 1_000_000]
    assert Path(world.run(FETCH)[1]).read_bytes() == whole
    asked = [headers for method, path, headers in world.hub.asked if method == "GET" and "safetensors" in path]
    assert [headers.get("range") for headers in asked] == [None, "bytes=10485760-", "bytes=10485760-"]


def test_a_file_that_arrives_damaged_is_refused_named_and_removed(world):
    world.hub.flipped.add(f"{UNET}.safetensors")
    kind, text = world.run(FETCH)
    assert kind == "CorruptFile" and f"{NAME}/{UNET}.safetensors" in text and etag(BIG)[:12] in text
    assert not world.blob(BIG).exists()
    world.hub.flipped.clear()
    assert Path(world.run(FETCH)[1]).read_bytes() == BIG


@pytest.mark.parametrize("damage", ["flip", "cut"])
def test_a_file_that_is_damaged_in_the_cache_is_found(world, damage):
    world.run(FETCH)
    data = bytearray(BIG)
    data[1234] ^= 16
    world.blob(BIG).write_bytes(data if damage == "flip" else data[:1000])
    assert world.run(FETCH, environment={"HF_HUB_OFFLINE": "1"})[0] == "CorruptFile"
    assert Path(world.run(FETCH)[1]).read_bytes() == BIG


def test_a_digest_is_taken_once(world):
    count = f"""
from pathlib import Path
opened, names = Path.open, []
Path.open = lambda self, *a, **k: names.append(self.name) or opened(self, *a, **k)
{FETCH.replace("give", "str")}
give(names.count({etag(BIG)!r}))"""
    assert [world.run(count), world.run(count)] == [1, 0]


@pytest.mark.parametrize("how", ["argument", "variable", "unreachable"])
def test_offline_the_cached_commit_is_used(world, how):
    paths = world.run(FETCH, revision="v1")
    world.hub.asked.clear()
    options = {"local_files_only": True} if how == "argument" else {}
    variables = {"variable": {"HF_HUB_OFFLINE": "1"}, "unreachable": {"HF_ENDPOINT": "http://127.0.0.1:9"}}.get(how)
    assert world.run(FETCH, environment=variables, revision="v1", **options) == paths
    assert world.run(FETCH, environment=variables, revision=FIRST, **options) == paths
    assert world.hub.asked == []
    kind, text = world.run(
        f"source.sub('unet').file('{UNET[5:]}.bin')", environment=variables, revision="v1", **options
    )
    assert kind == "MissingFile" and f"{UNET}.bin" in text and "go online" in text


def test_offline_without_a_copy_says_so(world):
    kind, text = world.run("pass", local_files_only=True)
    assert kind == "MissingFile" and NAME in text and "main" in text
    kind, text = world.run("pass", environment={"HF_ENDPOINT": "http://127.0.0.1:9"})
    assert kind == "DownloadError" and NAME in text


def test_two_processes_at_once_get_the_same_whole_files(world):
    with ThreadPoolExecutor(2) as pool:
        one, other = pool.map(lambda _: world.run(FETCH), range(2))
    assert one == other and Path(one[1]).read_bytes() == BIG
    assert len(world.hub.gets("safetensors")) == 1


def test_a_load_stays_on_one_commit_while_the_branch_moves(world):
    repository = world.hub.repositories[NAME]
    repository.commits[SECOND] = {**FILES, "unet/config.json": b'{"changed": 1}'}
    seen = []

    def moves(path):
        """The branch moves between the question which commit it means and the first file."""
        if "/api/" in path:
            seen.append(path)
        elif len(seen) == 1:
            repository.branches["main"] = SECOND

    world.hub.before = moves
    assert all(FIRST in path for path in world.run(FETCH))
    assert all(SECOND in path for path in world.run(FETCH))


def test_force_download_fetches_again(world):
    world.run(FETCH)
    world.hub.asked.clear()
    world.run(FETCH, force_download=True)
    assert len(world.hub.gets()) == 2


def test_a_cache_folder_of_ones_own(world, tmp_path):
    assert all(path.startswith(str(tmp_path / "mine")) for path in world.run(FETCH, cache_dir=str(tmp_path / "mine")))


def test_the_token_goes_to_the_endpoint_and_nowhere_else(world):
    world.hub.repositories[NAME].private = True
    assert world.run("pass")[0] == "MissingFile"
    other = Hub(world.hub.repositories)
    server = Server(other)
    world.hub.elsewhere = server.url.replace("127.0.0.1", "localhost")
    try:
        paths = world.run(FETCH, token="hf_secret")
        assert Path(paths[1]).read_bytes() == BIG
    finally:
        server.stop()
    assert any(headers.get("authorization") == "Bearer hf_secret" for _, _, headers in world.hub.asked)
    assert other.asked and all("authorization" not in headers for _, _, headers in other.asked)


def test_a_token_is_not_told_in_errors_or_descriptions(world):
    world.hub.broken["/resolve/"] = 403
    kind, text = world.run(FETCH, token="hf_secret")
    assert kind == "DownloadError" and "hf_secret" not in text
    assert "hf_secret" not in world.run("give(repr(source))", token="hf_secret")


FAULTS = {
    "no such repository": (dict(name="owner/nothing"), "MissingFile", ("owner/nothing", "repository", "token")),
    "no such revision": (dict(revision="v9"), "MissingFile", (NAME, "v9", "branch")),
    "a revision that is a path": (dict(revision="../../x"), "UnsafeFile", ("revision",)),
    "not the name of a repository": (dict(name="a/b/c"), "MissingFile", ("a/b/c", "owner/model")),
    "no such folder": (dict(name="./folder"), "MissingFile", ("./folder",)),
}


@pytest.mark.parametrize("name", FAULTS)
def test_what_is_not_there_is_named(world, name):
    options, expected, words = FAULTS[name]
    kind, text = world.run(FETCH, **options)
    assert kind == expected and all(word in text for word in words), text


def test_a_file_that_the_repository_lacks_is_named_without_asking_for_it(world):
    kind, text = world.run("source.sub('unet').fetch(['config.json', 'nothing.json'])")
    assert kind == "MissingFile" and f"{NAME}/unet/nothing.json" in text and FIRST[:12] in text
    assert world.hub.gets() == []


def test_a_hub_that_does_not_deliver_is_named_with_the_file(world):
    world.hub.broken["safetensors"] = 403
    kind, text = world.run(FETCH)
    assert kind == "DownloadError" and f"{NAME}/{UNET}.safetensors" in text and "main" in text and "403" in text


def test_names_of_a_repository_that_leave_its_folder_are_refused(world):
    world.hub.repositories[NAME].commits[FIRST]["../../evil"] = b"x"
    kind, text = world.run("source.fetch(['../../evil'])")
    assert kind == "UnsafeFile" and "evil" in text
    assert world.hub.gets() == []


def test_a_link_out_of_a_snapshot_is_refused(world, tmp_path):
    path = Path(world.run(FETCH)[0])
    path.unlink()
    (tmp_path / "secret").write_text("{}")
    path.symlink_to(tmp_path / "secret")
    kind, text = world.run(FETCH)
    assert kind == "UnsafeFile" and "a link to" in text


def test_a_snapshot_in_the_cache_is_a_folder_like_any_other(world):
    folder = Path(world.run(FETCH)[0]).parent.parent
    world.hub.asked.clear()
    assert len(world.run(FETCH, name=str(folder))) == 2
    assert world.hub.asked == []


def test_proxies_are_used_for_the_call_and_forgotten_after_it(world):
    elsewhere = {"HF_ENDPOINT": "http://hub.invalid"}
    code = "import os\ngive([source.has('README.md'), 'HTTP_PROXY' in os.environ])"
    kind, text = world.run(code, environment=elsewhere, proxies={"http": world.server.url})
    assert kind is True and text is False, text
