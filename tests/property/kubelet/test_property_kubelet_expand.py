"""$(NAME): against the rules, written down once more in the slowest way."""

from __future__ import annotations

from hypothesis import example, given
from hypothesis import strategies as st

from cricket.kubelet.env import expand

names = st.text(alphabet="AB_", min_size=1, max_size=3)
texts = st.text(alphabet="$()AB_ x\n", max_size=20)


def slowly(text: str, variables: dict[str, str]) -> str:
    """Character by character, as Kubernetes' documentation has it."""
    out, at = "", 0
    while at < len(text):
        rest = text[at:]
        if rest.startswith("$$"):
            out, at = out + "$", at + 2
        elif rest.startswith("$(") and ")" in rest:
            name = rest[2 : rest.index(")")]
            out, at = out + variables.get(name, f"$({name})"), at + len(name) + 3
        else:
            out, at = out + rest[0], at + 1
    return out


@given(texts, st.dictionaries(names, texts))
@example("$$(A)", {"A": "x"})
@example("$$$(A)", {"A": "x"})
@example("$(A", {"A": "x"})
@example("$($(A))", {"A": "x", "$(A": "y"})
@example("a$", {})
def test_as_the_rules_say(text: str, variables: dict[str, str]) -> None:
    assert expand(text, variables) == slowly(text, variables)


@given(texts)
def test_values_are_not_expanded_again(text: str) -> None:
    assert expand("$(A)", {"A": text}) == text


@given(st.text().filter(lambda text: "$" not in text))
def test_text_without_a_dollar_stays(text: str) -> None:
    assert expand(text, {"A": "x"}) == text
