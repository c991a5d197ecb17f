"""What runs in the kernels of lessons is no test that pytest finds."""

collect_ignore = ["lessons"]
