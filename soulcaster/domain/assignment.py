"""Why an item is in its cluster."""

from dataclasses import dataclass
from typing import Literal

Change = Literal["opened", "joined", "moved"]
"""What happened to the item: it opened its cluster, joined it, or came to it from another one."""

Rule = Literal["same-text", "same-masked-text", "near", "first", "far", "consolidation", "person", "template"]
"""What decided: equal text; text that is equal once numbers, ids and addresses are masked; the nearest cluster; no
cluster to compare with; no cluster near enough; a round of consolidation; a person's command; the template of a
machine's text. Rows store a rule by its position here, so a new one goes to the end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Assignment:
    """The decision that put an item into its cluster. A later merge of that cluster does not change it.

    Attributes:
        change: What happened to the item.
        score: The cosine similarity that decided, -1 to 1. An item that opened its cluster reached the threshold
            nowhere: its score is the similarity to the best cluster that refused it, -1 if there was none. By the rule
            `template` it is the share of equal words, 0 to 1.
        threshold: The similarity that the score had to reach.
        runner_up_id: The next best cluster.
        runner_up_score: Similarity to the next best cluster; for an item that a round moved, to its old cluster.
        rule: What decided.
        calibration: How often the thresholds had been calibrated by then.
        round: How many rounds of consolidation there had been by then.
        embedder: The embedder of the item's vector, as "name@version".
        reason: More to say, for people.
    """

    change: Change
    score: float
    threshold: float
    runner_up_id: str | None = None
    runner_up_score: float | None = None
    rule: Rule = "near"
    calibration: int = 0
    round: int = 0
    embedder: str = ""
    reason: str | None = None
