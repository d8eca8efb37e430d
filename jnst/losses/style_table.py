"""The table of style losses: a row each, in the order of `losses.md`'s sections."""

from jnst.losses import gram, transport
from jnst.losses.rows import StyleLoss

STYLE_LOSSES: dict[str, StyleLoss] = {
    "gram": StyleLoss(
        gram.gram,
        gram.gram_distance,
        source="Gatys et al, CVPR 2016, eq. 4; constants of seven code bases",
        captures="correlations of all pairs of channels",
        blend=gram.blend_grams,
    ),
    "scaled_gram": StyleLoss(
        gram.gram,
        gram.scaled_gram_distance,
        source="crowsonkb/style-transfer-pytorch, StyleLoss",
        captures="as gram, with the same gradient size at every layer",
        blend=gram.blend_grams,
    ),
    "covariance": StyleLoss(
        gram.covariance,
        gram.covariance_distance,
        source="JCBrouwer/maua-style, covariance option",
        captures="correlations of channels around their means",
    ),
    "wasserstein2": StyleLoss(
        transport.gaussian,
        transport.wasserstein2,
        source="Olkin & Pukelsheim 1982; crowsonkb/style-transfer-pytorch, StyleLossW2",
        captures="means and covariances, as a transport cost",
        blend=transport.blend_gaussians,
    ),
}
