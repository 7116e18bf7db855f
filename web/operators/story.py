"""A job's story as a page shows it: one timeline of calls, events and decisions."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from jobs.show import Story


@dataclass(frozen=True)
class Text:
    """Something that was sent or received, verbatim."""

    title: str
    body: str


@dataclass(frozen=True)
class Entry:
    """What happened at one moment.

    Attributes:
        facts: names and values, in order.
    """

    at: datetime
    title: str
    actor: str
    detail: str | None = None
    facts: list[tuple[str, str]] = field(default_factory=list)
    texts: list[Text] = field(default_factory=list)
    tone: str = ""


_TONES = {"accepted": "good", "rejected": "bad", "failed": "bad", "unknown": "bad", "open": ""}


def timeline(story: Story) -> list[Entry]:
    """Everything that happened, the first at the top."""
    entries = [Entry(story.job["created_at"], "Submitted", "producer")]
    entries += [_call(attempt) for attempt in story.attempts]
    entries += [
        Entry(event["at"], event["kind"].replace("_", " ").capitalize(), event["actor"], event["detail"])
        for event in story.events
    ]
    if story.job["finished_at"] is not None:
        by = story.job["answered_by"]
        tone = "good" if by else "bad"
        entries.append(Entry(story.job["finished_at"], story.job["state"].capitalize(), by or "", tone=tone))
    return sorted(entries, key=lambda entry: entry.at)


def pretty(value: object) -> str:
    """JSON for people."""
    return json.dumps(value, indent=2, ensure_ascii=False)


def _call(attempt: Mapping[str, Any]) -> Entry:
    facts = [
        ("model", attempt["answered_model"] or attempt["model"]),
        ("tier", attempt["tier"]),
        ("prompt", attempt["prompt_version"]),
        ("took", None if attempt["seconds"] is None else f"{attempt['seconds']:.2f} s"),
        ("tokens in", _tokens_in(attempt)),
        ("tokens out", attempt["output_tokens"]),
        ("cost", None if attempt["cost_usd"] is None else f"${attempt['cost_usd']:f}"),
        ("stopped", attempt["stop_reason"]),
        ("status", attempt["http_status"]),
        ("request id", attempt["request_id"]),
    ]
    reason = attempt["failure_reason"]
    return Entry(
        at=attempt["opened_at"],
        title=f"Call {attempt['number']} ({attempt['purpose']}): {attempt['outcome']}{f', {reason}' if reason else ''}",
        actor=attempt["actor"],
        detail=attempt["failure_detail"],
        facts=[(name, str(value)) for name, value in facts if value is not None],
        texts=[*_sent(attempt["request"]), *_received(attempt["response"])],
        tone=_TONES.get(attempt["outcome"], ""),
    )


def _tokens_in(attempt: Mapping[str, Any]) -> int | None:
    parts = [attempt[name] for name in ("input_tokens", "cache_read_tokens", "cache_write_tokens")]
    return None if attempt["input_tokens"] is None else sum(part or 0 for part in parts)


def _sent(request: Mapping[str, Any]) -> list[Text]:
    turns = [Text(f"Sent: {turn['role']}", str(turn["content"])) for turn in request["messages"]]
    rest = {name: value for name, value in request.items() if name not in {"system", "messages"}}
    system = [Text("Sent: system", str(request["system"]))] if request["system"] else []
    return [*system, *turns, Text("Sent: parameters and output schema", pretty(rest))]


def _received(response: Any) -> list[Text]:
    if response is None:
        return []
    blocks = response.get("content") if isinstance(response, dict) else None
    words = [
        str(block.get("text", "")) for block in blocks or [] if isinstance(block, dict) and block.get("type") == "text"
    ]
    spoken = [Text("Received: text", "".join(words))] if words else []
    return [*spoken, Text("Received: whole message", pretty(response))]
