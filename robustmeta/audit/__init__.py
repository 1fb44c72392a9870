"""The audit: checks that catch robust accuracy which is none."""

from robustmeta.audit.explained import Explanation, explanations
from robustmeta.audit.finding import CODES, Finding, Summary, flags, lines, summaries
from robustmeta.audit.full import AUDITED, FULL, full_audit
from robustmeta.audit.judge import judge
from robustmeta.audit.probe import PROBED, probe
from robustmeta.audit.snapshot import Snapshot
from robustmeta.audit.watched import Watched, tied

__all__ = [
    "AUDITED",
    "CODES",
    "FULL",
    "PROBED",
    "Explanation",
    "Finding",
    "Snapshot",
    "Summary",
    "Watched",
    "explanations",
    "flags",
    "full_audit",
    "judge",
    "lines",
    "probe",
    "summaries",
    "tied",
]
