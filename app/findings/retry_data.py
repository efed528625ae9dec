"""Mistakes that are taken back in the training texts teach a model to make fewer."""

from app.findings.criteria import Between, Criterion
from app.findings.finding import Finding

HYPOTHESIS = (
    Criterion(
        "solved",
        "condition: whole solutions right at the largest size in range, without retry data",
        supported=Between(low=0.80),
        unit="%",
    ),
    Criterion(
        "ood_gain",
        "whole solutions right beyond the training's sizes: the better of rates 0.2 and 0.5 less rate 0",
        supported=Between(low=0.05),
        refuted=(Between(high=0.0),),
        unit="%",
    ),
)

FINDING = Finding(
    name="retry_data",
    title="Learning from mistakes that are taken back",
    claim="A model pretrained on solutions with wrong beginnings that are taken back solves larger problems"
    " than one that saw only right ones, and more than going back adds at decoding.",
    source="Physics of Language Models 2.2, arXiv 2408.16293, section 4",
    design="igsm with `BACK` after a quantity that is not ready yet, at rates 0, 0.2 and 0.5, at equal "
    "tokens, the wrong beginnings masked in the loss and not. Then on 1,000 problems beyond the "
    "training: the plain model greedy, with retry_upon_regret and with the oracle; the retry model "
    "greedy and with regret.",
    criteria=HYPOTHESIS,
)
