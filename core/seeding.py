"""Seeds from keys: a random draw depends on what it is for, never on what was drawn before it."""

import hashlib


def seed_for(*parts: str | int) -> int:
    """A 63-bit seed that depends on every part and on nothing else."""
    text = "\x1f".join(str(part) for part in parts)
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big") >> 1
