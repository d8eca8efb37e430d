"""The tables of content losses and of losses on the image alone."""

from jnst.losses import content, photorealism, smoothness, strotss
from jnst.losses.rows import ContentLoss, ImageLoss

CONTENT_LOSSES: dict[str, ContentLoss] = {
    "mean_squared": ContentLoss(
        content.mean_squared,
        "Johnson et al, ECCV 2016, eq. 2",
        captures="squared differences, mean",
        over="mean",
    ),
    "half_sum": ContentLoss(
        content.half_sum,
        "Gatys et al, CVPR 2016, eq. 1",
        captures="squared differences, half the sum",
        over="sum",
    ),
    "sum": ContentLoss(
        content.total_squared,
        "source 001; keras-io",
        captures="squared differences, sum",
        over="sum",
    ),
    "quarter_mean": ContentLoss(
        content.quarter_mean,
        "source 002, eq. 1",
        captures="squared differences, a quarter of the mean",
        over="mean",
    ),
    "squared_mean_difference": ContentLoss(
        content.squared_mean_difference,
        "source 000, get_content_loss",
        captures="the overall level of activation alone",
    ),
    "scaled": ContentLoss(
        content.scaled,
        "crowsonkb/style-transfer-pytorch, ContentLoss",
        captures="differences, with a gradient of size 1",
    ),
    "cysmith": ContentLoss(
        content.cysmith,
        "cysmith/neural-style-tf, content_layer_loss",
        captures="squared differences under three constants",
    ),
    "self_similarity": ContentLoss(
        strotss.self_similarity,
        "Kolkin et al, CVPR 2019, eq. 8; nkolkin13/STROTSS",
        "cosine distances among the image's own positions",
        keyed=True,
        whole="it picks positions from the whole map",
    ),
    "laplacian": ContentLoss(
        photorealism.laplacian,
        "Li et al, ACM MM 2017; askerlee/lapstyle",
        "edges of the image, on the layer 'image'",
        least=photorealism.edges_side,
    ),
    "adain_target": ContentLoss(
        content.mean_squared,
        "Huang & Belongie, ICCV 2017; naoto0804/pytorch-AdaIN",
        "the content's features with the style's means and deviations",
        target=content.adain_target,
        needs_style=True,
    ),
}

IMAGE_LOSSES: dict[str, ImageLoss] = {
    "tv_mean_l2": ImageLoss(
        smoothness.tv_mean_l2,
        "source 000; anishathalye/neural-style",
        captures="squared differences of neighbours, mean",
        channels="mean",
    ),
    "tv_sum_l2": ImageLoss(
        smoothness.tv_sum_l2,
        "xunhuang1995/AdaIN-style",
        captures="squared differences of neighbours, sum",
        channels="sum",
    ),
    "tv_sum_l1": ImageLoss(
        smoothness.tv_sum_l1,
        "tf.image.total_variation",
        captures="differences of neighbours, sum",
        channels="sum",
    ),
    "tv_half_mean_l1": ImageLoss(
        smoothness.tv_half_mean_l1,
        "d2l-ai/d2l-en",
        captures="differences of neighbours, half the mean",
        channels="mean",
    ),
    "tv_beta": ImageLoss(
        smoothness.tv_beta,
        "Mahendran & Vedaldi, CVPR 2015",
        captures="a power of the gradient's magnitude",
    ),
    "tv_johnson": ImageLoss(
        smoothness.tv_johnson,
        "jcjohnson/neural-style, TVLoss",
        captures="squared differences, half the cropped sum",
        channels="sum",
    ),
    "tv_isotropic": ImageLoss(
        smoothness.tv_isotropic,
        "Rudin, Osher & Fatemi 1992",
        captures="the gradient's magnitude",
        channels="sum",
    ),
    "tv_nine_point": ImageLoss(
        smoothness.tv_nine_point,
        "crowsonkb/style-transfer-pytorch, TVLoss",
        captures="squared differences of eight neighbours",
        channels="mean",
    ),
    "matting_laplacian": ImageLoss(
        photorealism.matting_laplacian,
        "Luan et al, CVPR 2017; Levin et al, PAMI 2008",
        "what is not locally affine in the content's colours",
        constants=photorealism.matting_bases,
        least=lambda: photorealism.WINDOW,
    ),
    "l_beta_norm": ImageLoss(
        photorealism.l_beta_norm,
        "Mahendran & Vedaldi, CVPR 2015; aravindhm/deep-goggle",
        "pixels far from a grey level",
    ),
}
