"""Cases: mutations that broke a promise once, each as key, file and number (`tests.fuzz.campaign`)."""

CASES: tuple[tuple[int, str, int], ...] = ()
