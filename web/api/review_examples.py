"""Examples of the operations of reviewers, as the OpenAPI document shows them and as the tests send them."""

from web.api.examples import AT, CLASSIFY_INPUT, CURSOR, JOB

_DIGEST = "9f2b1c6d0e5a47388c1f62d3b7a94e05d18c7f3a6b2e490517dc8a3f6e0b9c24"
_UNTIL = "2026-11-22T09:30:00Z"
_WAITING = {
    "job_id": JOB, "task": "classify", "reason": "ungrounded", "detail": "the quote does not stand in the text",
    "created_at": AT, "priority": "normal",
}  # fmt: skip
_SUGGESTION = {"outcome": "classification", "labels": ["billing"], "confidence": 0.4, "evidence": "charged twice"}
_LINE = {**_WAITING, "attempts": 2, "cluster": _DIGEST, "held": False}
REVIEW_PAGE = {"reviews": [_LINE], "next": CURSOR}
HELD = {"reviews": [{**_LINE, "held": True, "reviewer": "ada", "lease_until": _UNTIL}]}
COUNTS = {
    "counts": [
        {"task": "classify", "reason": "ungrounded", "waiting": 12, "held": 1, "oldest": AT, "next_deadline": None}
    ]
}
CLUSTERS = {
    "clusters": [
        {
            "task": "classify", "reason": "refused", "cluster": _DIGEST, "waiting": 12, "suggestion": _SUGGESTION,
            "oldest": AT,
        }
    ]
}  # fmt: skip
ACCEPTING: dict[str, tuple[str, object]] = {
    "all": ("All of them, at once", {"task": "classify", "reason": "refused"}),
    "some": (
        "A few, to be undone within a minute",
        {"task": "classify", "reason": "refused", "limit": 20, "note": "looked at ten of them", "can_be_undone": True},
    ),
}
ACCEPTED = {"accepted": [JOB], "refused": 0, "left": 0, "reviewer": "key:desk"}
HELD_REVIEW = {
    **{name: _WAITING[name] for name in ("job_id", "task", "reason", "detail")},
    "suggestion": _SUGGESTION, "request": CLASSIFY_INPUT, "fence": 1, "reviewer": "key:desk",
    "lease_until": _UNTIL,
}  # fmt: skip
REVIEW_DETAIL = {
    **_WAITING, "held": False, "request": CLASSIFY_INPUT, "model": {**_SUGGESTION, "evidence": "charged three times"},
    "violations": [{"path": "evidence", "message": "does not stand in the text", "ungrounded": True}], "rules": _SUGGESTION,
    "differing": ["evidence"], "cost_usd": "0.00012", "pending": False,
}  # fmt: skip
RENEWING: dict[str, tuple[str, object]] = {"renew": ("Hold it for longer", {"fence": 1})}
LEASE = {"job_id": JOB, "fence": 1, "lease_until": "2026-11-22T09:45:00Z"}
RELEASING: dict[str, tuple[str, object]] = {"skip": ("Somebody else shall decide", {"fence": 1, "skip": True})}
RELEASED = {"job_id": JOB, "released": True, "reviewer": "key:desk"}
DECISIONS: dict[str, tuple[str, object]] = {
    "accept": ("The suggestion is right", {"decision": "accept", "fence": 1}),
    "edit": (
        "An answer of one's own",
        {"decision": "edit", "output": {**_SUGGESTION, "evidence": "charged twice in March"}, "can_be_undone": True},
    ),
    "not_applicable": ("Not this task", {"decision": "not_applicable", "reason": "It is an advertisement."}),
    "reject": ("No answer can be given", {"decision": "reject", "note": "the text is cut off"}),
}
DECIDED = {"job_id": JOB, "decision": "accept", "reviewer": "key:desk", "answer": _SUGGESTION}

_SECOND = {"job_id": JOB, "task": "classify", "stage": "second", "created_at": AT}
_HELD = {"held": True, "reviewer": "key:desk", "lease_until": _UNTIL}
WAITING_SECONDS = {"reviews": [{**_SECOND, **_HELD, "mine": False}]}
SECOND_REVIEW = {**_SECOND, "request": CLASSIFY_INPUT, "fence": 1, **_HELD}
_OPINION = {"outcome": "classification", "labels": ["billing"], "evidence": "charged twice in March"}
OPINIONS: dict[str, tuple[str, object]] = {
    "edit": ("An answer of one's own", {"decision": "edit", "output": _OPINION, "fence": 1}),
    "not_applicable": ("Not this task", {"decision": "not_applicable", "reason": "It is an advertisement."}),
    "reject": ("No answer can be given", {"decision": "reject", "note": "the text is cut off"}),
}
SECOND_OPINION = {
    "job_id": JOB, "stage": "third", "agrees": False, "differing": ["labels"],
    "model": {**_SUGGESTION, "labels": ["other"]},
}  # fmt: skip
VERDICTS: dict[str, tuple[str, object]] = {
    "model": ("The model was right", {"verdict": "model"}),
    "neither": ("Neither of them was", {"verdict": "neither", "note": "it is about a delivery"}),
}
JUDGED = {"job_id": JOB, "verdict": "model", "stage": "settled"}
