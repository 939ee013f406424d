"""What people write, and how long it may be."""

import unicodedata

TITLE_LENGTH = 200


def clean(name, text, longest):
    """Return `text` trimmed, or raise ValueError, whose words call the text by its `name`."""
    text = text.strip()
    if not 1 <= len(text) <= longest:
        raise ValueError(f"A {name} has 1 to {longest} characters.")
    if any(unicodedata.category(character) in ("Cc", "Cs") for character in text):
        raise ValueError(f"A {name} has no control characters.")
    return text
