from __future__ import annotations

import copy
import json
import logging
import pickle
import time
from typing import Annotated, Any, Literal

import numpy as np
import pytest

from calotype.core.config import ConfigMixin, FrozenDict, register_to_config
from calotype.core.errors import CorruptFile, InvalidArgument, MissingFile, UnknownArgument
from calotype.core.schema import Count, Misfit, Range, describe, fit
from tests.toy import Toy


class Curve(ConfigMixin):
    config_name = "scheduler_config.json"
    convertible = True
    also_known = frozenset({"shape"})

    @register_to_config
    def __init__(self, steps: int = 1000, start: float = 0.1, spacing: Literal["linear", "trailing"] = "linear"):
        self.made_with = (steps, start, spacing)


class Other(ConfigMixin):
    config_name = "scheduler_config.json"
    convertible = True

    @register_to_config
    def __init__(self, steps: int = 50, spacing: str = "trailing", shape: str = "round"):
        pass


class Strict(ConfigMixin):
    @register_to_config
    def __init__(
        self,
        channels: Annotated[int, Range(1, 128)] = 4,
        scale: float = 1.0,
        flag: bool = False,
        sizes: tuple[int, ...] = (1, 2),
        heads: int | tuple[int, ...] = 8,
        kind: Literal["a", "b"] | None = None,
        pair: tuple[int, str] = (1, "x"),
        betas: np.ndarray | list[float] | None = None,
        nested: dict[str, Any] | None = None,
        rows: tuple[tuple[int, ...], ...] = ((1,),),
        anything: Any = None,
        count: Count = 3,
    ):
        self.sizes = sizes


# ------------------------------------------------------------------ recording


def test_a_constructor_records_what_it_was_given_and_what_it_was_not():
    made = Curve(500, spacing="trailing")
    assert made.config == {"steps": 500, "start": 0.1, "spacing": "trailing", "_use_default_values": ["start"]}
    assert made.made_with == (500, 0.1, "trailing")
    assert made.config.steps == made.config["steps"] == 500


def test_what_is_set_in_a_config_is_its_item_and_its_attribute_and_is_told_on():
    config = Curve().config
    config.steps = 7
    config["start"] = 0.5
    assert (config["steps"], config.start) == (7, 0.5)
    assert Curve.from_config(config).made_with == (7, 0.5, "linear")
    assert copy.deepcopy(config) == config is not copy.deepcopy(config)


def test_a_config_neither_grows_nor_shrinks_by_methods_but_is_copied_and_pickled():
    config = Curve().config
    for change in (
        lambda: config.update(steps=1),
        lambda: config.pop("steps"),
        lambda: delattr(config, "steps"),
        lambda: config.__delitem__("steps"),
        config.clear,
    ):
        with pytest.raises(TypeError, match=r"config\.key = value"):
            change()
    with pytest.raises(AttributeError, match=r"no 'nothing'; it has .*steps"):
        _ = config.nothing
    for twin in (copy.deepcopy(config), pickle.loads(pickle.dumps(config))):  # noqa: S301
        assert twin == config and type(twin) is FrozenDict


def test_a_misspelt_argument_is_refused_with_the_nearest():
    with pytest.raises(UnknownArgument, match=r"Curve takes no 'spacng'\. Did you mean 'spacing'"):
        Curve(spacng="linear")
    with pytest.raises(UnknownArgument, match="'spacing'"):
        Curve.from_config(Curve().config, spacng="linear")


# ------------------------------------------------------------------ types


MISFITS = {
    "channels": (["4", 4.0, 0, 129, True, None, [4]], "int 1..128"),
    "scale": (["1", True, None, float("nan"), float("inf"), [1.0]], "float"),
    "flag": ([1, 0, "true", None], "bool"),
    "sizes": ([3, "12", [1, "2"], [1.5], [True], None], "list of int"),
    "heads": (["8", [8, None], 8.5], "int or list of int"),
    "kind": (["c", 1, ["a"]], '"a" or "b" or null'),
    "pair": ([[1], [1, 2], ["x", 1], [1, "x", 2]], "list of int, str"),
    "nested": ([[], "x"], "dict of str, Any or null"),
    "rows": ([[1], [[1], 2]], "list of list of int"),
    "count": ([0, -1, 10**9], "int 1..1000000"),
}


@pytest.mark.parametrize("name", MISFITS)
def test_a_value_of_the_wrong_type_is_refused_by_name(name, tmp_path):
    values, expected = MISFITS[name]
    for value in values:
        with pytest.raises(InvalidArgument) as caught:
            Strict(**{name: value})
        assert str(caught.value).startswith(f"Strict: {name}: expected {expected}, found "), caught.value


def test_an_error_in_a_file_names_file_key_and_both(tmp_path):
    (tmp_path / "vae").mkdir()
    (tmp_path / "vae" / "config.json").write_text('{"_class_name": "Strict", "channels": "4"}')
    with pytest.raises(InvalidArgument) as caught:
        Strict.load_config(tmp_path, subfolder="vae")
    assert str(caught.value) == f'{tmp_path}/vae/config.json: channels: expected int 1..128, found "4"'


FITS = {
    "channels": [1, 128, np.int64(7)],
    "scale": [1, 0.5, np.float32(2)],
    "heads": [8, (8, 4)],
    "kind": ["a", None],
    "betas": [None, [0.1, 1], np.ones(3)],
    "nested": [None, {"a": [1, {"b": None}]}],
    "anything": [object, None, [1]],
}


@pytest.mark.parametrize("name", FITS)
def test_a_value_that_fits_is_kept_as_it_is(name):
    for value in FITS[name]:
        kept = Strict(**{name: value}).config[name]
        assert np.all(kept == value) and type(kept) is type(value)


def test_lists_become_tuples_where_tuples_are_meant():
    made = Strict(sizes=[1, 2, 3], heads=[4], rows=[[1, 2], [3]])
    assert (made.sizes, made.config.heads, made.config.rows) == ((1, 2, 3), (4,), ((1, 2), (3,)))


def test_a_default_is_not_measured_by_its_annotation():
    class Loose(ConfigMixin):
        @register_to_config
        def __init__(self, size: int = None):  # type: ignore[assignment]  # noqa: RUF013
            pass

    assert Loose().config.size is Loose(size=None).config.size is None


@pytest.mark.parametrize("hint", [int | None, list[float], dict[str, int], Literal[1, 2], type(None), tuple, list, str])
def test_annotations_are_described_in_words(hint):
    assert "typing" not in describe(hint) and "<" not in describe(hint)
    with pytest.raises(Misfit):
        fit(object(), hint)


def test_checking_a_config_takes_no_time():
    values = {"channels": 4, "sizes": list(range(20)), "rows": [[1, 2]] * 20, "nested": {str(i): i for i in range(50)}}
    Strict.check_config(values, "x")
    begin = time.perf_counter()
    for _ in range(100):
        Strict.check_config(values, "x")
    assert (time.perf_counter() - begin) / 100 < 0.005


# ------------------------------------------------------------------ files


def test_a_saved_config_is_as_the_ecosystem_writes_it_and_makes_the_same_object(tmp_path):
    Curve(7, start=2).save_config(tmp_path / "deep" / "folder")
    path = tmp_path / "deep" / "folder" / "scheduler_config.json"
    document = json.loads(path.read_text())
    assert document.pop("_calotype_version") and document.pop("_diffusers_version")
    assert document == {"_class_name": "Curve", "steps": 7, "start": 2, "spacing": "linear"}
    assert list(json.loads(path.read_text())) == sorted(json.loads(path.read_text()))
    assert Curve.from_config(Curve.load_config(path.parent)).made_with == (7, 2, "linear")


def test_arrays_and_tuples_are_written_as_lists():
    text = Strict(sizes=(1, 2), betas=np.array([0.5, 1]), scale=np.float64(2)).to_json_string()
    document = json.loads(text)
    assert (document["sizes"], document["betas"], document["scale"]) == ([1, 2], [0.5, 1.0], 2.0)


def test_unused_keywords_come_back_when_asked_for(tmp_path):
    Curve().save_config(tmp_path)
    config, unused = Curve.load_config(tmp_path, return_unused_kwargs=True, spacing="trailing", revision=None)
    assert unused == {"spacing": "trailing"}
    made, unused = Curve.from_config(config, return_unused_kwargs=True, steps=3, other=4)
    assert (made.config.steps, unused) == (3, {"other": 4})


def test_a_folder_without_config_is_named(tmp_path):
    with pytest.raises(MissingFile, match=r"scheduler_config\.json"):
        Curve.load_config(tmp_path)
    with pytest.raises(MissingFile, match=r"vae/scheduler_config\.json"):
        Curve.load_config(tmp_path, subfolder="vae")
    with pytest.raises(MissingFile, match="No folder"):
        Curve.load_config(tmp_path / "no" / "such" / "folder")


def test_a_config_that_is_a_path_or_nothing_is_refused():
    for wrong in (None, "folder", 3):
        with pytest.raises(InvalidArgument, match="a mapping"):
            Curve.from_config(wrong)


def test_links_out_of_the_folder_are_not_followed(tmp_path):
    from calotype.core.errors import UnsafeFile

    (tmp_path / "secret").write_text("{}")
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "scheduler_config.json").symlink_to(tmp_path / "secret")
    with pytest.raises(UnsafeFile, match="a link to"):
        Curve.load_config(tmp_path / "model")


# ------------------------------------------------------------------ other classes


def test_the_config_of_another_network_is_refused(tmp_path):
    Strict().save_config(tmp_path)
    with pytest.raises(InvalidArgument, match=r"config\.json: _class_name: expected Toy, found 'Strict'. Load it with"):
        Toy.load_config(tmp_path)


def test_defaults_of_one_class_do_not_travel_to_another():
    """What was chosen moves along, what was only a default stays behind, what only the first knows is kept."""
    other = Other.from_config(Curve(steps=7, start=0.5).config)
    assert (other.config.steps, other.config.spacing, other.config.start) == (7, "trailing", 0.5)
    assert other.config["_use_default_values"] == ["shape", "spacing"]
    back = Curve.from_config(other.config)
    assert back.made_with == (7, 0.5, "linear")


def test_a_file_has_no_defaults_to_leave_behind(tmp_path):
    Curve(steps=7).save_config(tmp_path)
    assert Other.from_config(Other.load_config(tmp_path)).config.spacing == "linear"


def test_unknown_keys_are_kept_and_said_once(caplog):
    with caplog.at_level(logging.WARNING, "calotype"):
        made = Curve.from_config({"steps": 3, "zzz": 4, "shape": "flat", "_name_or_path": "x"})
    assert (made.config.zzz, made.config.shape, made.config.steps) == (4, "flat", 3)
    assert [record.getMessage() for record in caplog.records] == [
        "Curve does not know zzz of its config; kept, not used"
    ]
    assert json.loads(made.to_json_string())["zzz"] == 4


@pytest.mark.parametrize("text", ["[]", "{", '{"a": 1, "a": 2}'])
def test_a_broken_config_is_refused_before_anything_is_made(tmp_path, text):
    (tmp_path / "config.json").write_text(text)
    with pytest.raises(CorruptFile, match=r"config\.json"):
        Toy.from_pretrained(tmp_path)
