"""Wrong usage ends with exit code 2 and one plain sentence, before anything is connected to."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from cli.main import main
from stack.home import HomeLock, open_home, write_private
from stack.state import Connections, StackState

LABELS = ["--label", "a", "--label", "b"]
NO_JOB = "019ab3c4-5d6e-7f80-9a1b-2c3d4e5f6071"


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with documents good and bad, and an ASSAY_HOME in which nothing runs."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ASSAY_HOME", str(tmp_path / "home"))
    for name in ("DATABASE_URL", "REDIS_URL", "BROKER_URL", "ASSAY_DEBUG", "ASSAY_URL", "ASSAY_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "doc.txt").write_text("My parcel has not come.")
    (tmp_path / "empty.txt").write_text(" \n")
    (tmp_path / "latin.txt").write_bytes(b"caf\xe9")
    (tmp_path / "big.txt").write_bytes(b"a" * 4_000_001)
    (tmp_path / "broken.json").write_text('{"type": ')
    return tmp_path


def run(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> tuple[int, str, str]:
    """The command in this process: exit code, standard output, standard error."""
    monkeypatch.setattr(sys, "argv", ["assay", *arguments])
    with pytest.raises(SystemExit) as ended:
        main()
    said = capsys.readouterr()
    code = ended.value.code
    assert isinstance(code, int)
    return code, said.out, said.err


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (
            ["submit", "translate", "doc.txt"],
            "There is no task 'translate'; choose one of: classify, extract, summarize.",
        ),
        (["submit", "classify"], "Give one document"),
        (["submit", "classify", "doc.txt", "--jsonl", "doc.txt", *LABELS], "Give one document"),
        (["submit", "classify", "nowhere.txt", *LABELS], "There is no file nowhere.txt."),
        (["submit", "classify", ".", *LABELS], ". is a directory; give a file."),
        (["submit", "classify", "empty.txt", *LABELS], "empty.txt is empty"),
        (["submit", "classify", "latin.txt", *LABELS], "latin.txt is not UTF-8 (byte 4)"),
        (["submit", "classify", "big.txt", *LABELS], "big.txt has more than 1,000,000 characters"),
        (["submit", "classify", "doc.txt"], "classify needs labels: give --label NAME"),
        (["submit", "classify", "doc.txt", "--label", "a"], "labels: list should have at least 2 items"),
        (["submit", "classify", "doc.txt", "--label", "a", "--label", "a"], "'a' stands twice"),
        (["submit", "classify", "--jsonl", "doc.txt", "--label", "a"], "labels: list should have at least 2 items"),
        (["submit", "summarize", "doc.txt", *LABELS], "--label is not for summarize"),
        (["submit", "summarize", "doc.txt", "--multi"], "--multi is not for summarize"),
        (
            ["submit", "summarize", "doc.txt", "--max-words", "3"],
            "max_words: input should be greater than or equal to 10",
        ),
        (["submit", "summarize", "doc.txt", "--max-words", "many"], "Invalid value for '--max-words'"),
        (["submit", "summarize", "doc.txt", "--field", "colour=red"], "summarize has no field 'colour'"),
        (["submit", "summarize", "doc.txt", "--field", "max_words"], "has no value; write name=value"),
        (["submit", "summarize", "doc.txt", "--max-words", "50", "--field", "max_words=50"], "is given twice"),
        (["submit", "extract", "doc.txt"], "extract needs schema"),
        (["submit", "extract", "doc.txt", "--schema", "nope"], "'nope' is neither a known schema (contact, invoice"),
        (["submit", "extract", "doc.txt", "--schema", "broken.json"], "broken.json, given as --schema, is not JSON"),
        (["submit", "classify", "doc.txt", *LABELS, "--deadline", "soon"], "--deadline 'soon' is no time"),
        (["submit", "classify", "doc.txt", *LABELS, "--fallback", "maybe"], "'maybe' is not one of"),
        (["submit", "classify", "doc.txt", *LABELS, "--colour"], "No such option: --colour"),
        (["show", "12"], "'12' is no job id"),
        (["watch", "12"], "'12' is no batch id"),
        (["cancel", "12"], "'12' is no job or batch id"),
        (["review", "decide", NO_JOB, "edit"], "Give the answer: --answer FILE"),
        (["review", "decide", NO_JOB, "not-applicable"], "Say why the task does not apply: --reason TEXT."),
        (["review", "decide", NO_JOB, "accept", "--answer", "doc.txt"], "--answer goes with edit, not with accept."),
        (["review", "list", "--task", "translate"], "There is no task 'translate'"),
        (["review", "claim", NO_JOB, "--task", "classify"], "--task and --reason choose from the queue"),
        (["prompts", "show", "classify", "v99"], "classify has no prompt 'v99'; it has: v1"),
        (["frobnicate"], "No such command 'frobnicate'"),
    ],
)
def test_wrong_usage_is_one_sentence_and_exit_code_2(
    place: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    sentence: str,
) -> None:
    """Each is refused with its sentence on standard error and nothing on standard output."""
    code, out, err = run(monkeypatch, capsys, arguments)
    assert (code, out) == (2, "")
    assert err.startswith("assay: ")
    assert sentence in err
    assert err.count("\n") == 1


def test_without_a_stack_the_sentence_says_how_to_start_one(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """No database set and nothing running in ASSAY_HOME: exit code 1."""
    code, _, err = run(monkeypatch, capsys, ["show", NO_JOB])
    assert code == 1
    assert err == f"assay: No Assay is running in {place / 'home'}: start it with `assay up`, or set DATABASE_URL.\n"


@pytest.mark.parametrize(
    "arguments",
    [
        ["review", "rate"], ["review", "agreement"], ["audit", "show", NO_JOB], ["costs"], ["tenants", "list"],
        ["tenants", "create", "shop"], ["keys", "list"], ["keys", "create"], ["keys", "revoke", NO_JOB],
        ["accounts", "list"], ["webhooks", "list"], ["doctor"],
    ],
)  # fmt: skip
def test_what_needs_the_database_says_so_where_only_the_api_is_known(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    """Exit code 2 and what to set, even while another Assay runs in ASSAY_HOME: its data are not those of ASSAY_URL."""
    monkeypatch.setenv("ASSAY_URL", "https://assay.example.com")
    with running_in(place / "home", web_url="http://127.0.0.1:8400"):
        code, out, err = run(monkeypatch, capsys, arguments)
    assert (code, out) == (2, "")
    assert err == (
        "assay: This command works on the database and not over the API: set DATABASE_URL to the database of"
        f" https://assay.example.com, or unset ASSAY_URL for the Assay in {place / 'home'}.\n"
    )


@pytest.mark.parametrize("url", ["http://127.0.0.1:8400", "http://localhost:8400/"])
def test_the_assay_of_this_home_may_be_named_by_its_address(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], url: str
) -> None:
    """Where ASSAY_URL is the web of the Assay in ASSAY_HOME, its database is the one that is meant."""
    monkeypatch.setenv("ASSAY_URL", url)
    with running_in(place / "home", web_url="http://127.0.0.1:8400"):
        code, _, err = run(monkeypatch, capsys, ["keys", "list"])
    assert code == 1
    assert "The database is not reachable" in err


@contextmanager
def running_in(root: Path, *, web_url: str) -> Iterator[None]:
    """What a running stack leaves in its home: the lock, and where everything is; nobody answers there."""
    home = open_home(root)
    lock = HomeLock(home)
    lock.acquire()
    connections = Connections(database_url="postgresql://x:x@127.0.0.1:1/x", web_url=web_url)
    state = StackState(pid=os.getpid(), ready=True, parts=[], connections=connections)
    try:
        write_private(home.state_file, state.model_dump_json())
        yield
    finally:
        lock.release()


@pytest.mark.parametrize(
    ("variable", "value", "code", "sentence"),
    [
        ("DATABASE_URL", "nonsense", 2, "DATABASE_URL is not a database URL"),
        ("DATABASE_URL", "postgresql://x:secret@127.0.0.1:1/x", 1, "The database is not reachable"),
        ("ASSAY_CALL_SECONDS", "long", 2, "An environment variable is wrong: ASSAY_CALL_SECONDS"),
    ],
)
def test_a_wrong_environment_is_one_sentence(
    place: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    variable: str,
    value: str,
    code: int,
    sentence: str,
) -> None:
    """What the environment gets wrong is said without a trace and without a password."""
    monkeypatch.setenv(variable, value)
    ended, _, err = run(monkeypatch, capsys, ["show", NO_JOB])
    assert ended == code
    assert sentence in err
    assert "secret" not in err
    assert err.count("\n") == 1


def test_results_are_never_half_written(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """When the command fails, the file that was to be written does not exist, and no draft of it is left."""
    before = set(os.listdir(place))
    run(monkeypatch, capsys, ["results", NO_JOB, "--out", "out.jsonl"])
    assert set(os.listdir(place)) == before


def test_prompts_need_no_stack(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The versions, their texts and their differences come from the checkout."""
    assert "classify" in run(monkeypatch, capsys, ["prompts", "list"])[1]
    assert "=== user" in run(monkeypatch, capsys, ["prompts", "show", "classify", "v1"])[1]
    assert "are equal" in run(monkeypatch, capsys, ["prompts", "diff", "classify", "v1", "v1"])[1]
