"""ControlNets: they begin by saying nothing, embed their hint apart, and refuse what they cannot read."""

from __future__ import annotations

import pytest
import torch
from safetensors.torch import load_file, save_file

from calotype.core.errors import CalotypeError, CorruptFile, IncompatibleWeights, InvalidArgument, MissingFile
from calotype.models.controlnet import ControlNetModel
from calotype.models.multicontrolnet import MultiControlNetModel
from tests.tiny import tiny_controlnet, tiny_unet


@pytest.fixture(scope="module")
def net():
    return tiny_controlnet()


def inputs(batch=2, hint=(2, 3, 32, 32)):
    torch.manual_seed(0)
    return torch.randn(batch, 4, 16, 16), 3, torch.randn(batch, 5, 32), torch.rand(hint)


def said(net, *args, **kwargs):
    with torch.no_grad():
        down, middle = net(*args, return_dict=False, **kwargs)
    return [*down, middle]


def assert_close(ones, others):
    assert all(torch.allclose(a, b, atol=1e-5) for a, b in zip(ones, others, strict=True))


def test_one_made_for_a_unet_says_nothing_until_it_is_trained():
    unet = tiny_unet()
    new = ControlNetModel.from_unet(unet, conditioning_embedding_out_channels=(8, 16))
    assert all((x == 0).all() for x in said(new, *inputs()))
    given = inputs()[:3]
    residuals = said(new, *inputs())
    with torch.no_grad():
        alone = unet(*given).sample
        heard = unet(
            *given, down_block_additional_residuals=residuals[:-1], mid_block_additional_residual=residuals[-1]
        )
    assert torch.equal(alone, heard.sample)


def test_training_reaches_every_weight_within_a_few_steps():
    new = ControlNetModel.from_unet(tiny_unet(), conditioning_embedding_out_channels=(8, 16)).train()
    before = {name: value.clone() for name, value in new.named_parameters()}
    descent = torch.optim.SGD(new.parameters(), lr=0.1)
    for _ in range(3):  # the layers that say nothing learn first
        down, middle = new(*inputs(), return_dict=False)
        loss = sum((x - 1).square().mean() for x in (*down, middle))
        descent.zero_grad()
        loss.backward()
        descent.step()
    assert not [name for name, value in new.named_parameters() if torch.equal(value, before[name])]


def test_weights_of_the_unet_are_left_out_where_they_are_not_wanted():
    unet = tiny_unet()
    fresh = ControlNetModel.from_unet(unet, load_weights_from_unet=False)
    assert not torch.equal(fresh.conv_in.weight, unet.conv_in.weight)


@pytest.mark.parametrize(
    "option",
    [{"time_cond_proj_dim": 8}, {"time_embedding_type": "fourier"}, {"class_embeddings_concat": True}],
    ids=str,
)
def test_a_unet_that_a_controlnet_has_no_words_for_is_refused(option):
    with pytest.raises(InvalidArgument, match=f"unet: {next(iter(option))}"):
        ControlNetModel.from_unet(tiny_unet(**option))


def test_an_embedded_hint_is_the_hint(net):
    sample, t, states, hint = inputs()
    with torch.no_grad():
        embedded = net.embed_hint(hint)
    assert_close(said(net, sample, t, states, hint), said(net, sample, t, states, None, embedded_hint=embedded))


def test_one_hint_is_for_all(net):
    sample, t, states, hint = inputs(hint=(1, 3, 32, 32))
    assert_close(said(net, sample, t, states, hint), said(net, sample, t, states, hint.repeat(2, 1, 1, 1)))


def test_hints_are_told_again_for_the_second_half(net):
    sample, t, states, hints = inputs(batch=4)
    assert_close(said(net, sample, t, states, hints), said(net, sample, t, states, hints.repeat(2, 1, 1, 1)))


@pytest.mark.parametrize(
    ("hint", "words"),
    [
        ((2, 3, 64, 64), "2 of 16x16 latents, found 2 of 32x32"),
        ((3, 3, 32, 32), "found 3 of 16x16"),
        ((2, 1, 32, 32), r"shape \(batch, 3, height, width\), found shape \(2, 1, 32, 32\)"),
        ((3, 32, 32), "controlnet_cond"),
    ],
)
def test_a_hint_of_another_size_or_count_is_refused(net, hint, words):
    with pytest.raises(InvalidArgument, match=f"controlnet_cond.*{words}|{words}.*"):
        net(*inputs(hint=hint))


def test_no_hint_is_refused(net):
    with pytest.raises(InvalidArgument, match="controlnet_cond: expected a hint, or embedded_hint"):
        net(*inputs()[:3], None)


@pytest.mark.parametrize(
    "config",
    [
        {"mid_block_type": None},
        {"controlnet_conditioning_channel_order": "xyz"},
        {"addition_embed_type": "image"},
        {"encoder_hid_dim_type": "image_proj"},
        {"layers_per_block": (1, 2, 3)},
        {"conditioning_embedding_out_channels": ()},
    ],
    ids=str,
)
def test_a_config_that_makes_no_network_is_refused_by_name(config):
    with pytest.raises(InvalidArgument, match=next(iter(config))):
        ControlNetModel(**config)


def test_words_are_projected_where_the_config_says_so():
    """The peer makes the layer and does not use it."""
    plain, projecting = tiny_controlnet(), tiny_controlnet(encoder_hid_dim=20)
    with torch.no_grad():
        states = projecting.encoder_hid_proj(torch.ones(2, 5, 20))
    projecting.load_state_dict({**projecting.state_dict(), **plain.state_dict()})
    sample, t, _, hint = inputs()
    assert_close(said(plain, sample, t, states, hint), said(projecting, sample, t, torch.ones(2, 5, 20), hint))


def test_images_count_where_the_config_says_so():
    """The peer makes the layers and does not use them."""
    told = tiny_controlnet(addition_embed_type="text_image")
    sample, t, states, hint = inputs()
    texts = torch.ones(2, 32)
    one, other = (
        said(told, sample, t, states, hint, added_cond_kwargs={"text_embeds": texts, "image_embeds": image})
        for image in (texts * 0, texts)
    )
    assert not torch.allclose(one[-1], other[-1])
    with pytest.raises(InvalidArgument, match="image_embeds"):
        told(sample, t, states, hint)


def test_what_several_say_is_added_up(net):
    other = tiny_controlnet(1)
    both = MultiControlNetModel([net, other])
    sample, t, states, hint = inputs()
    apart = [said(each, sample, t, states, hint, scale) for each, scale in ((net, 0.5), (other, 2.0))]
    assert_close(said(both, sample, t, states, [hint, hint], [0.5, 2.0]), [a + b for a, b in zip(*apart, strict=True)])
    for hints, scales, name in (([hint], [1.0, 1.0], "controlnet_cond"), ([hint] * 2, [1.0], "conditioning_scale")):
        with pytest.raises(InvalidArgument, match=f"{name}: expected one for each of 2"):
            both(sample, t, states, hints, scales)


@pytest.mark.parametrize("nets", [[], [torch.nn.Linear(1, 1)]], ids=["none", "another network"])
def test_what_is_no_list_of_nets_is_refused(nets):
    with pytest.raises(InvalidArgument, match="controlnet"):
        MultiControlNetModel(nets)


def test_files_give_the_same_nets_again(net, tmp_path):
    MultiControlNetModel([net, tiny_controlnet(1)]).save_pretrained(tmp_path / "nets")
    for i, loaded in enumerate(MultiControlNetModel.from_pretrained(tmp_path / "nets").nets):
        wanted = (net, tiny_controlnet(1))[i].state_dict()
        assert all(torch.equal(value, wanted[key]) for key, value in loaded.state_dict().items())


def test_without_any_one_of_its_tensors_it_is_refused(net, tmp_path):
    net.save_pretrained(tmp_path)
    path = tmp_path / "diffusion_pytorch_model.safetensors"
    tensors = load_file(path)
    for key in tensors:
        save_file({k: v for k, v in tensors.items() if k != key}, path, {"format": "pt"})
        with pytest.raises(IncompatibleWeights, match=key.replace(".", r"\.")):
            ControlNetModel.from_pretrained(tmp_path)


def test_what_is_wrong_with_one_of_several_says_which(net, tmp_path):
    MultiControlNetModel([net, net]).save_pretrained(tmp_path / "nets")
    (tmp_path / "nets_1" / "diffusion_pytorch_model.safetensors").write_bytes(b"")
    with pytest.raises(CorruptFile, match="nets_1"):
        MultiControlNetModel.from_pretrained(tmp_path / "nets")


def test_a_folder_without_a_net_is_refused(tmp_path):
    with pytest.raises(MissingFile):
        MultiControlNetModel.from_pretrained(tmp_path)
    with pytest.raises(CalotypeError):
        ControlNetModel.from_pretrained(tmp_path)
