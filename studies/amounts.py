"""Seconds and bytes as a reader says them."""


def duration(seconds: float) -> str:
    """`40 s`, `21 min`, `3.5 h`, `4.2 days`."""
    for unit, length, least in (("days", 86_400.0, 172_800.0), ("h", 3_600.0, 5_400.0), ("min", 60.0, 90.0)):
        if seconds >= least:
            return f"{seconds / length:.0f} {unit}" if unit == "min" else f"{seconds / length:.1f} {unit}"
    return f"{seconds:.0f} s" if seconds >= 1 else "under 1 s"


def size(bytes_: float) -> str:
    """`340 MiB`, `1.2 GiB`."""
    mebibytes = bytes_ / 2**20
    if mebibytes >= 1_000:
        return f"{mebibytes / 1024:.1f} GiB"
    return f"{mebibytes:.0f} MiB" if mebibytes >= 1 else "under 1 MiB"
