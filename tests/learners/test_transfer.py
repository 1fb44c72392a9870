"""Calibrated nearest centroid, by hand in numpy; without calibration it is the nearest class mean by cosine."""

import numpy as np
import pytest
import torch

from robustmeta.backbones import Conv4
from robustmeta.errors import RobustMetaError
from robustmeta.learners import Transfer


def unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


@pytest.mark.parametrize(("calibration", "nearest"), [(0.0, 1), (0.3, 2), (0.6, 12)])
def test_logits_are_scaled_cosines_to_centroids_moved_towards_the_nearest_base_classes(calibration, nearest, batch):
    torch.manual_seed(0)
    made = Transfer(Conv4(size=16, width=4), 12, calibration=calibration, nearest=nearest).double().eval()
    with torch.no_grad():
        made.log_scale.fill_(np.log(3.0))
    classifier = made.adapt(batch.support_x, batch.support_y)
    logits = classifier(batch.query_x)
    support, query = (made.backbone(images)[0].detach().numpy() for images in (batch.support_x, batch.query_x))
    base = unit(made.centres.detach().numpy())
    for task in range(3):
        for way in range(3):
            own = unit(unit(support[task][batch.support_y[task] == way]).mean(0))
            similar = base @ own
            closest = np.argsort(-similar)[:nearest]
            shares = np.exp(3 * similar[closest])
            towards = (shares / shares.sum()) @ base[closest]
            centre = unit((1 - calibration) * own + calibration * towards)
            np.testing.assert_allclose(logits[task, :, way].numpy(), 3 * unit(query[task]) @ centre, rtol=1e-9)


@pytest.mark.parametrize("settings", [{"calibration": 1.0}, {"calibration": -0.1}, {"nearest": 0}, {"nearest": 13}])
def test_settings_out_of_range_are_refused(settings):
    with pytest.raises(RobustMetaError, match=r"they must lie in \[0, 1\) and 1 to 12, the number of base classes"):
        Transfer(Conv4(size=16, width=4), 12, **settings)
