"""Attack cards and suites: package data, read by `robustmeta.attacks.card`."""
