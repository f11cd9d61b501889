"""A hash of what something is made from."""

import hashlib
import json


def of(*parts: object) -> str:
    """Hashes JSON values, dicts by their sorted keys, to a hex string."""
    text = json.dumps(parts, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()
