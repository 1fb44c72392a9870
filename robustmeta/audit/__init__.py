"""The audit: checks that catch robust accuracy which is none."""

from robustmeta.audit.finding import CODES, Finding, flags, lines
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
    "Finding",
    "Snapshot",
    "Watched",
    "flags",
    "full_audit",
    "judge",
    "lines",
    "probe",
    "tied",
]
