"""The entropy above which the likeliest token is more often wrong than right (AdaDec, He et al., 2025)."""

from collections.abc import Sequence

import numpy as np
from sklearn.linear_model import LogisticRegression

from app.decoding.calibration.calibration import LearnedThreshold

# Of scikit-learn, so mild that it only keeps the maximum finite where entropy tells right from wrong without
# a mistake.
_INVERSE_PENALTY = 1e6


def learn_threshold(entropies: Sequence[float], wrong: Sequence[bool]) -> LearnedThreshold:
    """Fit P(wrong | H) by logistic regression and find where it is one half; see `LearnedThreshold`.

    entropies: in nats, one per token, at least one.
    wrong: whether the likeliest token was another than the reference's.
    """
    count, tokens = sum(wrong), len(wrong)
    if count in (0, tokens):
        return LearnedThreshold(wrong=count, tokens=tokens)
    regression = LogisticRegression(C=_INVERSE_PENALTY, solver="newton-cholesky", tol=1e-10)
    regression.fit(np.asarray(entropies, np.float64)[:, None], np.asarray(wrong))
    slope, intercept = float(np.ravel(regression.coef_)[0]), float(np.ravel(regression.intercept_)[0])
    threshold = max(0.0, -intercept / slope) if slope > 0 else None
    return LearnedThreshold(threshold=threshold, intercept=intercept, slope=slope, wrong=count, tokens=tokens)
