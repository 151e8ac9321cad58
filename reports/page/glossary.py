"""Glossary of the page: a sentence for every word that a reader may not know, shown behind a `?`."""

import re

from markupsafe import Markup, escape

SEEDS = "Interval over seeds: where the mean difference lies for other seeds, on the same documents (Student's t)."
MISSING_READ = "Test is scored again with the same trained weights"
HEADINGS = {
    "Rel.": "Relations with their type, both clusters and both entity types right (strict).",
    "Ent.": "Clusters of mentions with their entity type.",
    "Coref.": "Clusters of mentions, whatever their type.",
    "Men.": "Mentions: the exact span.",
    "95 % seeds": SEEDS,
    "95 % documents and seeds": "Bootstrap interval: where the difference lies for other documents and other seeds.",
    "Higher": "In how many of the shared seeds the row is above its baseline.",
    "B higher": "In how many of the shared seeds B is above A.",
    "Pr. higher": "The probability that a random seed of the row is above a random seed of the baseline; 0.5 is even.",
    "p": "How often a difference as large would come by chance if there were none (paired t-test, two-sided).",
    "Holm": "The same p, raised for the number of comparisons: among many tests some find a difference by chance.",
    "Sign-flip": "A p that assumes no normal distribution: how many of all ways to flip the signs of the seeds' "
    "differences give a mean as far from 0. With few seeds it cannot be small.",
    "Tokens %": "How much reading changes the vectors of word pieces: norm of what is added over the norm before.",
    "Mentions %": "How much reading changes the vectors of gold mentions: norm of what is added over the norm before.",
    "Ratio": "Whether reading scales a mention at inference as it does in training; 1 is alike.",
    "Entropy": "How evenly reading looks at everything: 1 is all alike, 0 is one thing only.",
    "Δ reading off": f"{MISSING_READ} and no reading; below 0 the model loses.",
    "Δ mean read": f"{MISSING_READ}, every read of a document replaced by their mean; below 0 the model loses.",
    "Verdict": "By the intervals of both knock-outs; the rule stands below the table.",
    "Peak MiB": "The most memory that the run's process held at any time.",
    "Chosen epoch": "The epoch with the best validation score, whose weights are tested.",
}
"""Heading of a column -> what it means."""
WORDS = {
    "ddof 1": "The sum of squares is divided by n − 1, as for a sample; ddof 0 would divide by n.",
    "judged by its own mentions": "A relation that is not in gold has no gold sentences: whether it is within a "
    "sentence is decided by the mentions that were predicted for its head and tail.",
    "t-interval": SEEDS,
    "hierarchical paired bootstrap": "Documents and seeds are drawn again with replacement, the same for both rows, "
    "and the difference is computed anew each time; the middle 95 % is the interval.",
    "Welch": "A t-test from mean, standard deviation and n alone, for rows whose seeds are no pairs.",
    "micro-F1": "F1 of all items of all documents together.",
    "PED-ANOVA": "A measure of how much a setting separates the better trials from all others.",
}
"""Word in running text -> what it means."""
GLOSSARY = HEADINGS | WORDS
IN_TEXT = re.compile("|".join(map(re.escape, WORDS)))


def explain(text: str) -> Markup:
    """A running text with a `?` behind each of its words that needs one, once."""
    seen: set[str] = set()

    def mark(match: re.Match[str]) -> str:
        word = match.group()
        known = word in seen
        seen.add(word)
        return word if known else word + write_button(word)

    return Markup(IN_TEXT.sub(mark, str(escape(text))))


def write_button(word: str) -> Markup:
    """A `?` that shows what a word means by mouse or keyboard (Escape closes it); empty for other words.

    The page holds every explanation once, at its end, as an element that the button names.
    """
    if word not in GLOSSARY:
        return Markup()
    number = list(GLOSSARY).index(word)
    button = '<button type="button" class="help" popovertarget="help-{}" aria-label="What is “{}”?">?</button>'
    return Markup(button).format(number, word)
