"""Whether a letter comes from where its authority is registered: "same", "lookalike" or "other" domain.

A forged letter comes from a domain that reads like the real one: another ending, letters that look alike, one more or
one less. None of these proves anything; the authority is asked at the address on file, never at the one in the letter.
"""

from __future__ import annotations

import re
import unicodedata

import idna

SAME, LOOKALIKE, OTHER = "same", "lookalike", "other"
WORDS = {
    SAME: "the domain is the one on file",
    LOOKALIKE: "LOOK-ALIKE: the domain is not the one on file, it only looks like it",
    OTHER: "the domain is not the one on file",
}
# Letters that are read for others: of other alphabets, digits, and pairs.
CONFUSED = str.maketrans(
    {
        "\u0430": "a",
        "\u0435": "e",
        "\u043e": "o",
        "\u0440": "p",
        "\u0441": "c",
        "\u0443": "y",
        "\u0445": "x",
        "\u0456": "i",
        "\u0455": "s",
        "\u0501": "d",
        "\u0261": "g",
        "\u04cf": "l",
        "\u03bf": "o",
        "\u03b1": "a",
        "\u03bd": "v",
        "\u03b9": "i",
        "\u0131": "i",
        "0": "o",
        "1": "l",
        "3": "e",
        "5": "s",
    }
)
PAIRS = (("rn", "m"), ("vv", "w"), ("cl", "d"), ("nn", "m"))
CLOSE = 2


def compared(sender: str, on_file: str) -> str:
    """Return how the domain of `sender` compares with that of the address on file."""
    theirs, ours = domain_of(sender), domain_of(on_file)
    if not theirs or not ours:
        return OTHER
    if theirs == ours or theirs.endswith(f".{ours}"):
        return SAME
    first, second = skeleton(theirs), skeleton(ours)
    return LOOKALIKE if first == second or _is_near(first, second) else OTHER


def domain_of(address: str) -> str:
    """Return the domain of an address in its ASCII form: NFKC, lower case, IDNA 2008; empty for none."""
    text = unicodedata.normalize("NFKC", address.strip()).casefold().rpartition("@")[2].strip(" .<>")
    try:
        return idna.encode(text, uts46=True).decode() if text else ""
    except idna.IDNAError:
        return text


def skeleton(domain: str) -> str:
    """Return a domain as an eye reads it: without accents and hyphens, look-alike letters made the same."""
    try:
        text = idna.decode(domain)
    except idna.IDNAError:
        text = domain
    plain = "".join(letter for letter in unicodedata.normalize("NFKD", text) if not unicodedata.combining(letter))
    plain = re.sub(r"[-_]", "", plain.translate(CONFUSED))
    for pair, letter in PAIRS:
        plain = plain.replace(pair, letter)
    return plain.replace("i", "l")


def _is_near(first: str, second: str) -> bool:
    """Return whether two names differ in little, or hold the same name in another place: under another ending."""
    own, other = _names(first), _names(second)
    if own & other:
        return True
    return abs(len(first) - len(second)) <= CLOSE and _distance(first, second) <= CLOSE


def _names(domain: str) -> set[str]:
    """Return the labels that name somebody: neither the ending nor what is too short to tell."""
    return {label for label in domain.split(".")[:-1] if len(label) > 4}


def _distance(first: str, second: str) -> int:
    """Return how many letters must be added, left out or changed (Levenshtein)."""
    row = list(range(len(second) + 1))
    for number, letter in enumerate(first, 1):
        before, row[0] = row[0], number
        for place, against in enumerate(second, 1):
            before, row[place] = row[place], min(row[place] + 1, row[place - 1] + 1, before + (letter != against))
    return row[-1]
