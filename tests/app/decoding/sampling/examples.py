"""Parameters that turn on each sampler, by its name; in the default order."""

from typing import Any

# Odd values, so that no threshold falls on a sum of round logits.
EXAMPLES: dict[str, list[dict[str, Any]]] = {
    "penalties": [{"presence_penalty": 1.0}],
    "no_repeat_ngram": [{"no_repeat_ngram_size": 2}],
    "dry": [{"dry_multiplier": 1.0}],
    "temperature": [
        {"temperature": 0.37},
        {"dynatemp_range": 0.71, "temperature": 0.83},
        {"edt_theta": 0.41},
    ],
    "quadratic": [{"smoothing_factor": 0.23}, {"smoothing_factor": 0.31, "smoothing_curve": 2.3}],
    "top_n_sigma": [{"top_n_sigma": 0.773}],
    "top_k": [{"top_k": 1}, {"top_k": 3}],
    "typical_p": [{"typical_p": 0.3137}, {"typical_p": 0.9271}],
    "top_p": [{"top_p": 0.3137}, {"top_p": 0.9271}],
    "min_p": [{"min_p": 0.2111}],
    "epsilon_cutoff": [{"epsilon_cutoff": 0.0719}],
    "eta_cutoff": [{"eta_cutoff": 0.3119}],
    "top_h": [{"top_h": 0.4177}],
    "p_less": [{"p_less": True}],
    "top_a": [{"top_a": 0.6173}],
    "tfs": [{"tfs": 0.9137}],
    "xtc": [{"xtc_probability": 1.0, "xtc_threshold": 0.0873}],
    "mirostat": [{"mirostat": 1, "mirostat_tau": 1.137}, {"mirostat": 2, "mirostat_tau": 1.137}],
    "adaptive_p": [{"adaptive_target": 0.2371}],
}
