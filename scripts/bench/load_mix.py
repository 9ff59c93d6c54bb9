"""How people use an index server: how often they ask for what, and how long they stay. PURE.

What a person does in an hour was measured on a Direct Connect hub with 800 to 2,200 people over six days: 2.7
searches and 11.6 connections a second (dcpp.net, "Hub performance"), four of these for each search. How long
people stay was measured for Napster (Saroiu, Gummadi and Gribble, "A measurement study of peer-to-peer file
sharing systems", 2002): sixty minutes in the median, and 20 to 40 % of them share little or nothing.
"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass

HOUR_S = 3_600.0
SESSION_MEDIAN_S = HOUR_S
SESSION_SIGMA = 1.0  # of the logarithm: a tenth stays less than 17 minutes, another tenth more than 3.6 hours
SHARE_NOTHING = 0.3
SHARES_SIGMA = 1.0  # of the logarithm of how many files the others share
REACHABLE = 0.7  # of all people can be connected to from outside
CHANGED_WHILE_AWAY = 0.1  # of all who come back share other files than when they left
CHANGE_MAX = 20  # files added, and as many removed, by one change


@dataclass(frozen=True)
class Mix:
    """What one person asks for in an hour."""

    searches: float = 6.4
    tickets: float = 4 * 6.4
    find_sources: float = 6.4
    publishes: float = 2.0
    look_ups: float = 2.0

    @property
    def kinds(self) -> dict[str, float]:
        """The names of the messages, each with how many an hour."""
        return {
            "search": self.searches,
            "ask_ticket": self.tickets,
            "find_sources": self.find_sources,
            "publish": self.publishes,
            "look_up": self.look_ups,
        }

    @property
    def an_hour(self) -> float:
        return sum(self.kinds.values())

    def next_in_s(self, rng: random.Random, hurry: float) -> float:
        """Until a person asks for something again, `hurry` times as soon as people do."""
        return rng.expovariate(hurry * self.an_hour / HOUR_S)

    def next_kind(self, rng: random.Random) -> str:
        kinds = self.kinds
        return rng.choices(list(kinds), weights=list(kinds.values()))[0]


def session_s(rng: random.Random) -> float:
    """How long somebody who comes now will stay."""
    return rng.lognormvariate(math.log(SESSION_MEDIAN_S), SESSION_SIGMA)


def rest_of_session_s(rng: random.Random) -> float:
    """How long somebody who is online already will go on to stay.

    Whoever is found online is more likely one of those who stay long, in the middle of it: as it is in a
    network that has run for days. Without this, a run that begins with everybody's login would see a wave of
    departures.
    """
    # The lognormal distribution, weighted by length, is the same with its logarithm shifted.
    whole = rng.lognormvariate(math.log(SESSION_MEDIAN_S) + SESSION_SIGMA**2, SESSION_SIGMA)
    return rng.random() * whole


def files_shared(rng: random.Random, mean: float) -> int:
    """By one person, with this mean over all people."""
    if rng.random() < SHARE_NOTHING or mean <= 0:
        return 0
    sharers_mean = mean / (1.0 - SHARE_NOTHING)
    return 1 + int(rng.lognormvariate(math.log(sharers_mean) - SHARES_SIGMA**2 / 2, SHARES_SIGMA))
