import platform

from robustmeta.report.machine import this_machine


def test_one_line_that_names_system_cores_and_python():
    line = this_machine()
    assert "\n" not in line
    assert line.startswith(platform.system())
    assert " cores, " in line
    assert line.endswith(f"Python {platform.python_version()}")
