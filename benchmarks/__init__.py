"""Benchmarks against other libraries, on the same tensors; not part of the installed package.

Run from the root of the repository, with the extra `bench` installed:

    python -m benchmarks.adversarial_step --help
    python -m benchmarks.attack_suite --help
"""
