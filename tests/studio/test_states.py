"""States of images: what is read late never puts back what is newer."""

from __future__ import annotations

from segstudio.studio.states import States


def test_a_look_that_began_before_a_person_did_something_comes_too_late() -> None:
    states = States({"a": "none", "b": "none"})
    look = states.look()
    assert states.note("a", "confirmed")
    assert not states.note("a", "confirmed")
    assert states.take({"a": "none", "b": "draft"}, look, ()) == ["b"]
    assert (states["a"], states["b"]) == ("confirmed", "draft")
    assert states.take({"a": "edited"}, states.look(), ()) == ["a"]
    assert states["a"] == "edited"


def test_what_is_not_yet_written_is_not_taken_from_the_disk() -> None:
    states = States()
    states.note("a", "edited")
    assert states.take({"a": "none"}, states.look(), {"a"}) == []
    assert states["a"] == "edited"


def test_of_two_looks_the_one_that_began_later_wins() -> None:
    states = States()
    first, second = states.look(), states.look()
    states.take({"a": "confirmed"}, second, ())
    states.take_all({"a": "none"}, first, ())
    assert states["a"] == "confirmed"


def test_images_that_a_look_at_all_has_not_seen_are_gone() -> None:
    states = States({"a": "confirmed", "b": "none"})
    look = states.look()
    states.note("c", "edited")
    states.note("d", "edited")
    assert states.take_all({"b": "none"}, look, {"d"}) == ["b"]
    assert not states.has("confirmed")
    assert states["c"] == states["d"] == "edited"
    states.take_all({"b": "none"}, states.look(), {"d"})
    assert (states["c"], states["d"]) == ("none", "edited")
