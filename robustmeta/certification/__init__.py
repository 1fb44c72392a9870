"""Randomized smoothing: accuracy that no perturbation of a given length can take, with a stated confidence."""

from robustmeta.certification.base import CERTIFICATES, Certificate
from robustmeta.certification.certify import certified_rows, certify, certify_episodes, measure_certified
from robustmeta.certification.embedding import EmbeddingCertificate
from robustmeta.certification.majority import MajorityVote
from robustmeta.certification.smoothing import Smoothing

__all__ = [
    "CERTIFICATES",
    "Certificate",
    "EmbeddingCertificate",
    "MajorityVote",
    "Smoothing",
    "certified_rows",
    "certify",
    "certify_episodes",
    "measure_certified",
]
