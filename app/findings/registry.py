"""The findings by name, in the order in which they are shown. A new one is a file and a line here."""

from collections.abc import Mapping

from app.findings import capacity, mistakes, one_way, planning, pretraining, retry_data
from app.findings.finding import Finding

FINDINGS: Mapping[str, Finding] = {
    each.name: each
    for each in (
        capacity.FINDING,
        pretraining.FINDING,
        mistakes.FINDING,
        planning.FINDING,
        one_way.FINDING,
        retry_data.FINDING,
    )
}
