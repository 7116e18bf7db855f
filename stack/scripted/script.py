"""The script: who plays what. A limit refuses first, then a storm strikes, then the rules say which play answers."""

import secrets
import sys
import time
from collections import deque
from dataclasses import dataclass, field
from functools import partial
from random import Random
from typing import Any

from stack.scripted import plays
from stack.scripted.answers import text_of
from stack.scripted.invoice import Arrival, Charge, digest_of
from stack.scripted.limiter import Limit, Limiter, Refusal
from stack.scripted.performance import PLAYS, Performance, Scene, Step, input_tokens_of, perform
from stack.scripted.plays import Play

KEPT_REQUESTS = 1000
"""Received requests kept for inspection; the invoice is kept whole."""


class ScriptError(ValueError):
    """A rule, play, storm or limit that cannot be played; the message says what is wrong."""


@dataclass
class Rule:
    """When it applies, and what it plays in turn; the last play repeats.

    Attributes:
        plays: at least one.
        contains: a substring of the first or last user turn (or of the system prompt).
        model: the model id asked for.
        nth: the number of the call since the start or reset, from 1.
        name: what the invoice calls it.
    """

    plays: list[Play]
    contains: str | None = None
    model: str | None = None
    nth: int | None = None
    name: str = ""
    used: int = 0

    def matches(self, request: dict[str, Any], number: int) -> bool:
        """Whether all the conditions given hold."""
        if self.nth not in (None, number) or self.model not in (None, request["model"]):
            return False
        return self.contains is None or any(self.contains in text for text in _searched(request))

    def next_play(self) -> Play:
        """The next play."""
        play = self.plays[min(self.used, len(self.plays) - 1)]
        self.used += 1
        return play


def _searched(request: dict[str, Any]) -> list[str]:
    turns = [text_of(message["content"]) for message in request["messages"] if message["role"] == "user"]
    return [turns[0], turns[-1], text_of(request.get("system") or "")]


@dataclass
class Storm:
    """Strikes a share of all calls with its plays in turn, whatever the rules say.

    Attributes:
        plays: at least one.
        share: from 0 to 1.
        dice: which calls; the same seed strikes the same calls of a sequence.
    """

    plays: list[Play]
    share: float
    dice: Random
    used: int = 0

    def next_play(self) -> Play | None:
        """A play, or None: this call is spared."""
        if self.dice.random() >= self.share:
            return None
        play = self.plays[self.used % len(self.plays)]
        self.used += 1
        return play


@dataclass
class Script:
    """The rules, the calls seen and the invoice.

    Attributes:
        latency: seconds before the first byte of each answer; refusals of the limit come at once.
    """

    latency: float = 0.0
    rules: list[Rule] = field(default_factory=list)
    storm: Storm | None = None
    limiter: Limiter | None = None
    invoice: list[Charge] = field(default_factory=list)
    requests: deque[dict[str, Any]] = field(default_factory=lambda: deque(maxlen=KEPT_REQUESTS))
    number: int = 0
    serial: int = 0
    series: str = field(default_factory=lambda: f"scripted_{secrets.token_hex(4)}")
    started: float = field(default_factory=time.monotonic)

    def add_rules(self, rules: list[dict[str, Any]]) -> None:
        """Add rules in their JSON form; of those that match a request, the earliest added plays.

        Raises:
            ScriptError: a rule is malformed; none is added.
        """
        made: list[Rule] = []
        for number, rule in enumerate(rules):
            checked = _checked(rule.get("plays"), f"rules.{number}.plays")
            try:
                made.append(Rule(checked, name=rule.get("name", ""), **(rule.get("match") or {})))
            except TypeError:
                raise ScriptError(f"rules.{number}.match: use contains, model and nth") from None
        self.rules = [*self.rules, *made]

    def begin_storm(self, shown: object, share: object = 1.0, seed: object = None) -> None:
        """Let a storm strike from now on, in place of one that does.

        Raises:
            ScriptError: its plays are malformed, or its share is none.
        """
        if isinstance(share, bool) or not isinstance(share, int | float) or not 0 <= share <= 1:
            raise ScriptError("share: a number from 0 to 1 is required")
        if seed is not None and not isinstance(seed, int):
            raise ScriptError("seed: a whole number is required")
        self.storm = Storm(_checked(shown, "plays"), share, Random(seed))  # noqa: S311  no secret

    def set_limit(self, limit: Limit | None) -> None:
        """Accept no more than this from now on, with empty windows; None lifts the limit."""
        self.limiter = Limiter(limit) if limit else None

    def reset(self) -> None:
        """Forget rules, storm, requests and invoice; a limit stays, with empty windows."""
        self.rules, self.storm, self.number = [], None, 0
        self.set_limit(self.limiter.limit if self.limiter else None)
        self.invoice.clear()
        self.requests.clear()

    def arrivals(self) -> list[Arrival]:
        """Every call on the invoice, in order of arrival."""
        return [Arrival(charge.at, charge.status, charge.model) for charge in list(self.invoice)]

    def perform(self, request: dict[str, Any]) -> Performance:
        """Choose the play for a request that the API would accept."""
        now = time.monotonic()
        charge = self._charge(request, now)
        limiter, input_tokens = self.limiter, input_tokens_of(request)
        refusal = limiter.admit(charge.model, input_tokens, now) if limiter else None
        scene = Scene(request, charge, input_tokens, limiter.headers(charge.model, now) if limiter else {})
        if limiter and refusal:
            return _refused(limiter, refusal, scene)
        play = self._choose(request, charge)
        performance = Performance(_delayed(perform(play, scene), self.latency), charge, hangs=play["play"] == "hang")
        if limiter:
            performance.when_over = partial(_over, limiter, charge)
        return performance

    def _charge(self, request: dict[str, Any], now: float) -> Charge:
        self.number += 1
        self.serial += 1
        self.requests.append(request)
        charge = Charge(
            serial=self.serial,
            series=self.series,
            at=now - self.started,
            model=sys.intern(request["model"]),
            digest=digest_of(request["messages"]),
        )
        self.invoice.append(charge)
        return charge

    def _choose(self, request: dict[str, Any], charge: Charge) -> Play:
        storm, rules = self.storm, self.rules
        if storm and (struck := storm.next_play()):
            charge.rule, charge.play = "storm", struck["play"]
            return struck
        rule = next((rule for rule in rules if rule.matches(request, self.number)), None)
        play = rule.next_play() if rule else plays.answer()
        charge.rule, charge.play = rule.name if rule else None, play["play"]
        return play


def _refused(limiter: Limiter, refusal: Refusal, scene: Scene) -> Performance:
    charge = scene.charge
    charge.rule = charge.play = "limit"
    said = f"This request would exceed the rate limit of {charge.model}: {refusal.what}."
    play = plays.status(429, retry_after=limiter.retry_after(refusal), message=said)
    return Performance(perform(play, scene), charge)


def _over(limiter: Limiter, charge: Charge) -> None:
    limiter.ended(charge.model, charge.output_tokens, time.monotonic())


def _delayed(steps: list[Step], latency: float) -> list[Step]:
    return [steps[0]._replace(delay=steps[0].delay + latency), *steps[1:]] if steps else []


def _checked(shown: object, where: str) -> list[Play]:
    if not isinstance(shown, list) or not shown:
        raise ScriptError(f"{where}: a list of at least one play is required")
    for play in shown:
        if not isinstance(play, dict) or play.get("play") not in PLAYS:
            raise ScriptError(f"{where}: use one of {', '.join(sorted(PLAYS))}")
    return shown
