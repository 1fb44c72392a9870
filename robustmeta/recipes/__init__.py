"""The recipes that ship with the package; `robustmeta bench` without one runs `glyphs-5w1s.yaml`."""
