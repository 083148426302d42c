"""Both ways over the disk: what we save the peer loads, what it saves we load, and nothing is lost on the way."""

from __future__ import annotations

from pathlib import Path

import pytest

import calotype
from tests import nursery
from tests.compat import disk_adapters
from tests.compat import disk_same as same
from tests.compat.children import SHIM
from tests.compat.disk_adapters import ADAPTERS, put_on
from tests.compat.disk_cases import CASES, SCHEDULERS, public
from tests.compat.disk_hands import keep_times, leave, pass_on, tried

pytestmark = pytest.mark.timeout(1200)  # for all that is made before the first test

PATHS = "import sys\nfrom pathlib import Path\nhome = Path(sys.argv[1])\nsys.path.insert(0, 'tests/compat')\n"
PEER = PATHS + "from tests.compat.disk_peer import main\nmain(home)\n"
OURS = SHIM + PATHS + "import disk_own\n"
BEGUN = OURS + "disk_own.begin(home / 'own')\n"
BACK = OURS + "".join(
    f"disk_own.again(home / {found!r}, home / {found + ' by us'!r})\n" for found in ("own by the peer", "peers' own")
)

# from one hand to the next: who wrote, and who loaded that and wrote it again
STEPS = [("ours", "ours by the peer"), ("ours by the peer", "ours again"), ("peers", "peers by us")]
ALL = [(name, *step) for name in CASES for step in STEPS]
TIMES = [("our schedulers", "our schedulers by the peer"), ("our schedulers by the peer", "our schedulers again")]
TIMES += [("peers' schedulers", "peers' schedulers by us")]
OWN = [("own", "own by the peer"), ("own by the peer", "own by the peer by us"), ("peers' own", "peers' own by us")]
WORN = [("ours wearing", "adapters by the peer"), ("ours wearing", "ours wearing again")]


def ended(code: str, home: Path) -> None:
    """Run this in a process of its own, to its end."""
    done = nursery.start(code, home).result(timeout=900)
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What each hand has left, the peer's in a process of its own."""
    home = tmp_path_factory.mktemp("disk")
    for name, case in CASES.items():
        pipe = case.make()
        pipe.save_pretrained(home / "ours" / name, **case.saved)
        leave(home / "ours", name, tried(pipe, case.told), [])
    disk_adapters.begin(home)
    keep_times(calotype, home / "our schedulers")
    ended(BEGUN, home)
    ended(PEER, home)
    ended(BACK, home)
    for found, left in STEPS[1:]:
        pass_on(calotype, home / found, home / left)
    for found, left in (("adapters", "ours wearing"), ("adapters by the peer", "ours wearing again")):
        put_on(calotype, home, found, left)
    for found, left in TIMES[1:]:
        keep_times(calotype, home / left, home / found)
    return home


def test_every_public_pipeline_has_a_case():
    assert {case.kind for case in CASES.values()} == {*public("Pipeline")} - {"DiffusionPipeline"}


def test_the_peer_has_no_flax_to_exchange_files_with(home):
    assert [name for name in (home / "names").read_text().split() if name.startswith("Flax")] == []


@pytest.mark.parametrize(("name", "found", "left"), ALL)
def test_the_next_hand_makes_the_same(home, name, found, left):
    first, second = (same.made(home / hand, name) for hand in (found, left))
    assert max(float(values.std()) for values in first.values()) > 0.001
    assert same.differing_results(first, second) == []


@pytest.mark.parametrize(("name", "found", "left"), ALL)
def test_nothing_is_warned_of_where_it_is_loaded(home, name, found, left):
    assert same.heard(home / left, name) == []


@pytest.mark.parametrize(("name", "found", "left"), ALL)
def test_indices_and_configs_say_the_same(home, name, found, left):
    first, second = (home / hand / name for hand in (found, left))
    assert same.index(first) == same.index(second)
    assert same.differing_configs(first, second) == []


@pytest.mark.parametrize(("name", "found", "left"), ALL)
def test_weights_are_the_same_under_the_same_keys(home, name, found, left):
    assert same.differing_weights(home / found / name, home / left / name) == []


@pytest.mark.parametrize(("found", "left"), TIMES)
@pytest.mark.parametrize("name", SCHEDULERS)
def test_schedulers_keep_their_configs_and_walk_the_same_steps(home, name, found, left):
    assert same.heard(home / left, name) == []
    assert same.configs(home / found / name) == same.configs(home / left / name)
    assert same.differing_results(same.made(home / found, name), same.made(home / left, name)) == []


@pytest.mark.parametrize(("found", "left"), WORN)
@pytest.mark.parametrize("name", ADAPTERS)
def test_adapters_make_the_same_wherever_they_are_put_on(home, name, found, left):
    if left == "ours wearing again" and ADAPTERS[name].rewrite is None:
        assert not (home / left / f"{name}.npz").exists()  # the peer writes no such file
        return
    assert same.heard(home / left, name) == []
    assert same.differing_results(same.made(home / found, name), same.made(home / left, name)) == []


@pytest.mark.parametrize("name", [name for name in ADAPTERS if "file" not in name])
def test_adapters_change_what_is_made(home, name):
    assert (
        same.differing_results(same.made(home / "ours wearing", name), same.made(home / "ours", ADAPTERS[name].case))
        != []
    )


@pytest.mark.parametrize(("found", "left"), OWN)
def test_a_pipeline_of_ones_own_and_its_parts_go_by_their_folder_alone(home, found, left):
    first, second = home / found, home / left
    assert same.index(first) == same.index(second)
    assert same.configs(first) == same.configs(second)
    assert same.differing_weights(first, second) == []
    assert same.differing_results(same.made(home, found), same.made(home, left)) == []
