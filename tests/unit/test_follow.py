"""The output of several epochs, joined into what one undisturbed run would have shown."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenkernel.run.follow import Merger
from greenkernel.store.runs import LogEvent

NOW = datetime(2026, 1, 5, tzinfo=UTC)


def printed(text: str) -> LogEvent:
    return LogEvent(at=NOW, kind="stdout", text=text)


def shown(image: str) -> LogEvent:
    return LogEvent(at=NOW, kind="display", data={"image/png": image})


def merged(*epochs: list[LogEvent]) -> list[LogEvent]:
    merger = Merger()
    return [event for number, events in enumerate(epochs, start=1) for event in merger.feed(number, events)]


def text_of(events: list[LogEvent]) -> str:
    return "".join(event.text for event in events)


@pytest.mark.parametrize(
    ("expected", "epochs"),
    [
        ("ab", [["a", "b"]]),
        ("abc", [["a", "b"], ["a", "b", "c"]]),
        ("abc", [["ab"], ["a", "bc"]]),
        ("ab\nX\n", [["ab"], ["X\n"]]),
        ("abc\nabX\n", [["abc"], ["ab", "X", "\n"]]),
        ("abc\nabX", [["abc"], ["ab", "X"]]),
        ("a\nb\nX\nd\n", [["a\nb\n"], ["a\nX\nd\n"]]),
        ("fit in 3.1 s\nscore 1\nend\n", [["fit in 3.1 s\nscore 1\n"], ["fit in", " 12.95 s\nsco", "re 1\nend\n"]]),
        ("fit in 3.1 s\nscore 1\nscore 2\n", [["fit in 3.1 s\nscore 1\n"], ["fit in 2 s\nscore 2\n"]]),
        ("at 10:03:07\nat 10:03:09\n", [["at 10:03:07\n"], ["at 10:05:11\n", "at 10:03:09\n"]]),
        ("abc", [["a"], ["ab"], ["abc"]]),
        ("ab", [["ab"], []]),
    ],
)
def test_repeated_text_is_shown_once(expected: str, epochs: list[list[str]]) -> None:
    """What a later epoch repeats is left out, what differs is shown from there on."""
    assert expected == text_of(merged(*[[printed(text) for text in texts] for texts in epochs]))


def goes_on(stdout: int, displays: int = 0) -> LogEvent:
    return LogEvent(at=NOW, kind="go_on", data={"stdout": stdout, "stderr": 0, "displays": displays})


@pytest.mark.parametrize(
    ("expected", "epochs"),
    [
        ("a\nb\nc\nd\n", [["a\nb\nc\n"], [4, "c\nd\n"]]),
        ("a\nb\nc\n", [["a\nb\n"], [4, "c\n"]]),
        ("a\nb\nc\nX\n", [["a\nb\nc\n"], [4, "X\n"]]),
        ("a\nb\nc\nd\n", [["a\nb\n"], [2, "b\nc\n"], [4, "c\nd\n"]]),
        ("took 3 s\nb\nc\n", [["took 3 s\nb\n"], ["took 12.5 s\nb\n"], [12, "b\nc\n"]]),
        ("took 3 s\nb\nc\n", [["took 3 s\n"], [0, "took 12.5 s\n", "b\n"], [14, "c\n"]]),
        ("a\nb\nc\n", [["a\nb\n", 0, "a\nb\nc\n"]]),
        ("loss 0.5\nloss 0.7\nend", [["loss 0.5"], [0, "loss 0.7"], [8, "\nend"]]),
        ("loss 0.5\nend", [["loss 0.5\n"], [0, "loss 0."], [0, "loss 0.5\nend"]]),
    ],
    ids=[
        "repeats one",
        "repeats nothing",
        "differs",
        "twice",
        "other lengths",
        "lengths before",
        "begins again",
        "held and kept",
        "held and dropped",
    ],
)
def test_what_goes_on_in_the_middle(expected: str, epochs: list[list[str | int]]) -> None:
    """An epoch that goes on says how much had been printed; what it repeats of the rest is left out."""
    events = [[goes_on(one) if isinstance(one, int) else printed(one) for one in epoch] for epoch in epochs]
    assert expected == text_of(merged(*events))


def test_displays_that_go_on_in_the_middle() -> None:
    """Displays after the point are compared one by one, too."""
    again = merged([shown("a"), shown("b"), shown("c")], [goes_on(0, displays=2), shown("c"), shown("d")])
    assert ["a", "b", "c", "d"] == [(event.data or {})["image/png"] for event in again]


def test_nothing_is_held_back_for_ever() -> None:
    """A last line without an end that may have become the old one is shown once there is nothing more to come."""
    merger = Merger()
    first = [*merger.feed(1, [printed("loss 0.5")]), *merger.feed(2, [printed("loss 0.7")])]
    assert "loss 0.5" == text_of(first)
    assert merger.holds()
    assert "\nloss 0.7" == text_of(list(merger.rest(NOW)))
    assert not merger.holds()


def test_repeated_displays_are_shown_once() -> None:
    """A figure that repeated work draws again appears once, a new one appears."""
    assert ["1", "2"] == [e.data["image/png"] for e in merged([shown("1")], [shown("1"), shown("2")]) if e.data]


@given(st.text(max_size=30), st.lists(st.integers(0, 30), max_size=4), st.randoms(use_true_random=False))
def test_interruptions_do_not_change_the_text(text: str, cuts: list[int], random: object) -> None:
    """However often a deterministic cell is interrupted, and however its text is cut into pieces, it is shown once."""
    epochs = [text[: min(cut, len(text))] for cut in sorted(cuts)] + [text]
    events = [[printed(piece) for piece in _pieces(part, random)] for part in epochs]
    assert text == text_of(merged(*events))


def _pieces(text: str, random: object) -> list[str]:
    at = sorted(random.randint(0, len(text)) for _ in range(3))  # type: ignore[attr-defined]
    return [text[a:b] for a, b in zip([0, *at], [*at, len(text)], strict=True)]
