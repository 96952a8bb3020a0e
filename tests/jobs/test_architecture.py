from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.architecture import architecture_of, discriminator_layers
from jobs.spec import UNET_CHANNELS, ModelSpec, Size

SIZES = tuple(UNET_CHANNELS)


@st.composite
def models(draw: st.DrawFn) -> ModelSpec:
    """Any model whose specification is valid."""
    size, dimensions, downsampling = draw(st.sampled_from(SIZES)), draw(st.sampled_from([2, 3])), draw(st.sampled_from([4, 8]))
    multiple = downsampling * 2 ** (len(UNET_CHANNELS[size]) - 1)
    sides = draw(st.lists(st.integers(max(1, 8 // multiple), 1024 // multiple), min_size=dimensions, max_size=dimensions))
    document = {
        "dimensions": dimensions,
        "size": size,
        "image_shape": [multiple * side for side in sides],
        "latent_downsampling": downsampling,
    }
    return ModelSpec.model_validate(document)


@given(model=models())
def test_every_valid_model_has_networks_that_fit_its_images(model: ModelSpec) -> None:
    networks = architecture_of(model)

    assert networks.unet.attention[-1], "the middle block always attends"
    assert all(width % networks.unet.norm_groups == 0 for width in networks.unet.channels)
    assert len(networks.autoencoder.channels) == {4: 2, 8: 3}[model.latent_downsampling]
    assert networks.unet.latent_channels == networks.autoencoder.latent_channels == model.latent_channels


@given(side=st.integers(8, 1024))
def test_the_discriminator_always_has_patches_left_to_judge(side: int) -> None:
    layers = discriminator_layers(side)

    assert 1 <= layers <= 3
    assert side // 2**layers - 2 >= 1


@pytest.mark.parametrize(("size", "head_channels"), [("tiny", (0, 64)), ("small", (0, 384, 576)), ("large", (0, 512, 768))])
def test_attention_sits_at_the_coarsest_levels_with_one_head(size: Size, head_channels: tuple[int, ...]) -> None:
    assert architecture_of(ModelSpec(dimensions=2, size=size, image_shape=(64, 64))).unet.head_channels == head_channels
