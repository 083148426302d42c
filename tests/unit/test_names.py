from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

import calotype
from calotype.core.errors import InvalidArgument
from calotype.core.names import ALIASES, LIBRARIES, MODULES, PUBLIC, component_class, written_as

WHERE = "model_index.json"


def test_the_stub_for_type_checkers_says_what_the_table_says():
    text = Path(calotype.__file__).with_suffix(".pyi").read_text()
    told = {name: module for module, name in re.findall(r"from (calotype[\w.]+) import \(?\s*(\w+) as \2", text)}
    assert told == MODULES


def test_names_arrive_when_they_are_first_used():
    script = "import sys, calotype; assert 'torch' not in sys.modules; calotype.ConfigMixin; calotype.ModelMixin"
    subprocess.run([sys.executable, "-c", script], check=True)
    assert set(PUBLIC) <= set(dir(calotype)) and "__version__" in calotype.__all__
    with pytest.raises(AttributeError, match="no attribute 'StableDifusionPipeline'"):
        _ = calotype.StableDifusionPipeline


def test_every_alias_and_library_is_about_a_public_name():
    assert set(ALIASES.values()) | set(LIBRARIES) <= set(PUBLIC)
    assert not set(ALIASES) & set(PUBLIC)


@pytest.mark.parametrize(
    "library, name", [(LIBRARIES.get(name, "diffusers"), name) for name in [*LIBRARIES, "ModelMixin"]]
)
def test_files_name_classes_by_library_and_class(library, name):
    found = component_class(library, name, WHERE)
    assert found is getattr(calotype, name)
    assert component_class("calotype", name, WHERE) is found


@pytest.mark.parametrize("name", ALIASES)
def test_other_names_of_a_class_are_understood(name):
    assert component_class("transformers", name, WHERE).__name__ == ALIASES[name]


def test_an_unknown_class_is_refused_with_the_nearest_names():
    with pytest.raises(
        InvalidArgument, match=r"model_index\.json: 'UNet2DConditonModel'.*nearest.*UNet2DConditionModel"
    ):
        component_class("diffusers", "UNet2DConditonModel", WHERE)


HOSTILE = [
    ("os", "system"),
    ("antigravity", "fly"),
    ("diffusers", "os"),
    ("builtins", "exec"),
    ("subprocess", "Popen"),
    ("transformers", "__import__"),
    ("unet.evil", "UNet2DConditionModel"),
    ("os", "AutoencoderKL"),
    ("..", ".."),
    (None, "x"),
    (["a"], {"b": 1}),
    ("diffusers", "KarrasDiffusionSchedulers" * 1000),
]


@pytest.mark.parametrize("library, name", HOSTILE)
def test_nothing_outside_the_table_is_imported(library, name):
    before = set(sys.modules)
    with pytest.raises(InvalidArgument) as caught:
        component_class(library, name, WHERE)
    assert set(sys.modules) - before <= {module for module in sys.modules if module.startswith("calotype")}
    assert len(str(caught.value)) < 500


def test_components_are_written_as_the_ecosystem_knows_them():
    made = component_class("diffusers", "DDIMScheduler", WHERE)()
    assert written_as(made) == ["diffusers", "DDIMScheduler"]
    assert written_as(None) == [None, None]
    named = {name: written_as(object.__new__(component_class("calotype", name, WHERE)))[0] for name in LIBRARIES}
    assert named == LIBRARIES
