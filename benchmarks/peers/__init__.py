"""The contenders of the adversarial outer step: other libraries, plain torch, and robustmeta."""
