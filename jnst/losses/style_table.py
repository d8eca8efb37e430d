"""The table of style losses: a row each, in the order of `losses.md`'s sections."""

from jnst.losses import (
    correlations,
    distributions,
    frequency,
    gram,
    hypercolumns,
    kernels,
    matching,
    moments,
    patches,
    sinkhorn,
    strotss,
    transport,
)
from jnst.losses.rows import StyleLoss
from jnst.losses.vectors import blend_leaves, position_vectors

# Why maps cannot be split over devices: XLA would gather them on each. JOINS came
# out wrong on 4x2 devices (jaxlib 0.10.2).
SORTS = "it sorts all positions"
PICKS = "it picks positions from the whole map"
PATCHES = "it matches patches from all over the map"
PAIRS = "it compares all pairs of positions"
TRANSFORMS = "its Fourier transform takes all positions"
JOINS = "it adds up positions of maps of two sizes"

STYLE_LOSSES: dict[str, StyleLoss] = {
    "gram": StyleLoss(
        gram.gram,
        gram.gram_distance,
        source="Gatys et al, CVPR 2016, eq. 4; constants of seven code bases",
        captures="correlations of all pairs of channels",
        blend=gram.blend_grams,
        moments=gram.gram_of,
    ),
    "scaled_gram": StyleLoss(
        gram.gram,
        gram.scaled_gram_distance,
        source="crowsonkb/style-transfer-pytorch, StyleLoss",
        captures="as gram, with the same gradient size at every layer",
        blend=gram.blend_grams,
        moments=gram.gram_of,
    ),
    "covariance": StyleLoss(
        gram.covariance,
        gram.covariance_distance,
        source="JCBrouwer/maua-style, covariance option",
        captures="correlations of channels around their means",
        moments=gram.covariance_of,
    ),
    "mmd_linear": StyleLoss(
        kernels.mean_vector,
        kernels.mmd_linear,
        source="Li et al, IJCAI 2017, linear kernel",
        captures="means of channels",
        blend=blend_leaves,
        moments=kernels.mean_of,
    ),
    "mmd_polynomial": StyleLoss(
        kernels.raw_moments,
        kernels.mmd_polynomial,
        source="Li et al, IJCAI 2017, kernel (x.y + c)^2",
        captures="correlations of channels, and means where c > 0",
        blend=blend_leaves,
        moments=kernels.raw_moments_of,
    ),
    "mmd_gaussian": StyleLoss(
        position_vectors,
        kernels.mmd_gaussian,
        source="Li et al, IJCAI 2017, Gaussian kernel; lyttonhao/Neural-Style-MMD",
        captures="the whole distribution of feature vectors, smoothed",
        keyed=True,
        whole=PICKS,
    ),
    "bn_statistics": StyleLoss(
        moments.channel_mean_std,
        moments.bn_statistics,
        source="Li et al, IJCAI 2017, BN statistics",
        captures="means and deviations of channels",
        moments=moments.channel_mean_std_of,
    ),
    "mean_std": StyleLoss(
        moments.mean_and_std,
        moments.mean_std,
        source="Huang & Belongie, ICCV 2017, eq. 13; two code bases",
        captures="means and deviations of channels",
        moments=moments.mean_and_std_of,
    ),
    "shifted_gram": StyleLoss(
        correlations.shifted_grams,
        correlations.shifted_gram,
        source="Berger & Memisevic, ICLR 2017",
        captures="correlations of channels some positions apart",
        size_free=False,
        blend=blend_leaves,
        least=correlations.shifted_side,
    ),
    "activation_shift_gram": StyleLoss(
        correlations.activation_shift_matrix,
        correlations.activation_shift_gram,
        source="Novak & Nikulin 2016, activation shift",
        captures="as gram, of activations less one",
        blend=blend_leaves,
        moments=gram.activation_shift_of,
    ),
    "chained_gram": StyleLoss(
        correlations.chained_grams,
        correlations.chained_gram,
        source="Novak & Nikulin 2016; MrinalJain17/neural-style-transfer",
        captures="correlations of adjacent layers' channels",
        joint=True,
        blend=blend_leaves,
        whole=JOINS,
    ),
    "histogram": StyleLoss(
        distributions.sorted_channels,
        distributions.histogram,
        source="Risser et al 2017; pierre-wilmot/NeuralTextureSynthesis",
        captures="the histogram of every channel",
        size_free=False,
        whole=SORTS,
    ),
    "sliced_wasserstein": StyleLoss(
        position_vectors,
        distributions.sliced_wasserstein,
        source="Heitz et al, CVPR 2021",
        captures="the whole distribution of feature vectors",
        keyed=True,
        whole=SORTS,
    ),
    "cmd": StyleLoss(
        moments.central_moments,
        moments.cmd,
        source="Kalischek et al, CVPR 2021; D1noFuzi/cmd_styletransfer",
        captures="five moments of every channel",
    ),
    "strotss": StyleLoss(
        hypercolumns.all_layers,
        strotss.strotss,
        source="Kolkin et al, CVPR 2019; nkolkin13/STROTSS",
        captures="all layers' features at a position, transported; colours",
        size_free=False,  # interpolated layers see the seams of a tiling
        keyed=True,
        joint=True,
        whole=PICKS,
    ),
    "contextual": StyleLoss(
        position_vectors,
        matching.contextual,
        source="Mechrez et al, ECCV 2018; roimehrez/contextualLoss",
        captures="how well each of the style's vectors is covered",
        keyed=True,
        whole=PICKS,
    ),
    "nnfm": StyleLoss(
        position_vectors,
        matching.nnfm,
        source="Zhang et al, ECCV 2022; Kai-46/ARF-svox2",
        captures="directions of each vector's nearest in the style",
        keyed=True,
        whole=PICKS,
    ),
    "mrf": StyleLoss(
        patches.patch_map,
        patches.mrf,
        source="Li & Wand, CVPR 2016; chuanli11/CNNMRF",
        captures="small patches, each matched with one of the style's",
        size_free=False,  # patches across the seams of a tiling have no equal
        keyed=True,
        least=patches.patch_side,
        whole=PATCHES,
    ),
    "wasserstein2": StyleLoss(
        transport.gaussian,
        transport.wasserstein2,
        source="Olkin & Pukelsheim 1982; crowsonkb/style-transfer-pytorch, StyleLossW2",
        captures="means and covariances, as a transport cost",
        blend=transport.blend_gaussians,
        moments=transport.gaussian_of,
    ),
    "guided_gram": StyleLoss(
        correlations.guided_grams,
        correlations.guided_gram,
        source="Gatys et al, CVPR 2017; leongatys/NeuralImageSynthesis",
        captures="as gram, region by region",
    ),
    "sinkhorn": StyleLoss(
        sinkhorn.cloud,
        sinkhorn.sinkhorn,
        source="Feydy et al, AISTATS 2019, eq. 3, by ott-jax (extra 'transport')",
        captures="all feature vectors, as a smoothed transport cost",
        whole=PAIRS,
    ),
    "autocorrelation": StyleLoss(
        frequency.autocorrelation,
        frequency.autocorrelation_distance,
        source="Sendik & Cohen-Or, ACM TOG 2017, eq. 4 and 5",
        captures="how each channel repeats over distances, by Fourier transform",
        size_free=False,
        whole=TRANSFORMS,
    ),
}
