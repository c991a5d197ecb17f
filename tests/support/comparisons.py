"""Comparisons as a benchmark run writes them, made of times alone."""


def group(title, count=1, facts=None, curve=None, **times):
    """Return a comparison; the first rival is the baseline, `facts` are by rival."""
    base = next(iter(times.values()))
    rows = [
        {
            "name": name,
            "times": own,
            "ratios": [a / b for a, b in zip(own, base, strict=True)],
            "target": None,
            "facts": (facts or {}).get(name, {}),
        }
        for name, own in times.items()
    ]
    return {
        "title": title,
        "baseline": next(iter(times)),
        "rows": rows,
        "per": ["call", count],
        "curve": curve,
    }
