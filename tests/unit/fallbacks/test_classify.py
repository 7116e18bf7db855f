"""The classifier by the producer's own words: what decides, what is evidence, when it is silent."""

from typing import Any

import pytest

from fallbacks.classify import classify
from fallbacks.keywords import find
from schemas.classify import Classification, ClassifyRequest

SUPPORT: list[dict[str, Any]] = [
    {"name": "billing", "keywords": ["invoice", "charged twice", "refund"]},
    {"name": "shipping", "keywords": ["parcel", "delivery", "tracking number"]},
    {"name": "other"},
]


def _classify(text: str, labels: list[Any], *, multi: bool = False) -> Classification | None:
    return classify(ClassifyRequest(text=text, labels=labels, multi=multi))


def test_a_keyword_decides_and_its_sentence_is_the_evidence() -> None:
    """The label whose keyword stands in the text is given, with the sentence around it, unscored."""
    found = _classify("Hello there. I was CHARGED\ntwice for one order! Thanks.", SUPPORT)

    assert found is not None
    assert found.labels == ["billing"]
    assert found.evidence == "I was CHARGED\ntwice for one order!"
    assert found.confidence is None


def test_a_keyword_inside_another_word_is_none() -> None:
    """``invoice`` does not stand in ``invoiceless``, nor ``art`` in ``party``."""
    labels = [{"name": "x1", "keywords": ["art"]}, {"name": "x2", "keywords": ["invoice"]}]

    assert _classify("An invoiceless party.", labels) is None


def test_equal_evidence_for_two_labels_is_no_answer() -> None:
    """One keyword each and nothing else to tell them apart: silence, not a coin."""
    assert _classify("Where is the parcel for this invoice?", SUPPORT) is None


def test_a_tie_of_keywords_is_broken_by_examples() -> None:
    """Where the labels also have examples, the clearly more alike one is taken."""
    labels = [
        {"name": "billing", "keywords": ["invoice"], "examples": ["please correct the invoice for my last order"]},
        {"name": "shipping", "keywords": ["parcel"], "examples": ["when will the lorry come to my house"]},
    ]

    found = _classify("Please correct the invoice for the parcel of my last order.", labels)

    assert found is not None
    assert found.labels == ["billing"]


def test_more_and_longer_phrases_outweigh_one_word() -> None:
    """A label scores the words of its distinct phrases; repeating one word does not help."""
    found = _classify("Parcel, parcel, parcel: I was charged twice!", SUPPORT)

    assert found is not None
    assert found.labels == ["billing"]


def test_multi_gives_every_label_with_evidence_best_first() -> None:
    """Several labels fit where the request allows several."""
    found = _classify("The parcel came, its tracking number was wrong, and I want a refund.", SUPPORT, multi=True)

    assert found is not None
    assert found.labels == ["shipping", "billing"]


@pytest.mark.parametrize(
    ("text", "keyword"),
    [
        ("Die STRASSE ist gesperrt.", "Straße"),
        ("Un cafe\N{COMBINING ACUTE ACCENT} serré", "café"),
        ("我想要退款，谢谢", "退款"),
        ("أريد استرداد المبلغ", "استرداد"),
        ("Poproszę o ZWROT pieniędzy", "zwrot"),
        ("I love C++ a lot", "c++"),
        ("ticket #4711x", "#4711x"),
        ("¿Dónde está mi pedido?", "¿dónde"),
        ("İstanbul is far", "is far"),
    ],
)
def test_keywords_are_found_in_any_script_and_case(text: str, keyword: str) -> None:
    """Case is folded, accents match in both forms, scripts without spaces need no word boundary."""
    found = _classify(text, [{"name": "yes", "keywords": [keyword]}, {"name": "no", "keywords": ["absent"]}])

    assert found is not None
    assert found.labels == ["yes"]
    assert found.evidence in text


def test_offsets_are_of_the_original_text_where_folding_lengthens_it() -> None:
    """A sharp s before the word does not shift the evidence."""
    text = "Große Straße, weiß: Paket"

    (hit,) = find(text, ["paket"])

    assert text[hit.start : hit.end] == "Paket"


def test_examples_decide_without_keywords() -> None:
    """A text close to the examples of one label gets it, with the closest sentence as evidence."""
    labels = [
        {"name": "card_arrival", "examples": ["when will my new card arrive", "my card has not come yet"]},
        {"name": "exchange_rate", "examples": ["what exchange rate do you use", "is the rate of today better"]},
    ]

    found = _classify("Good morning. When does my new card arrive?", labels)

    assert found is not None
    assert found.labels == ["card_arrival"]
    assert found.evidence == "When does my new card arrive?"


def test_a_name_decides_only_where_all_its_words_stand_in_the_text() -> None:
    """``shipping`` is found in "shipped"; ``card_arrival`` needs both of its words."""
    shipped = _classify("It was shipped to the wrong town.", ["billing", "shipping"])
    half = _classify("My card is blue.", ["card_arrival", "exchange_rate"])

    assert shipped is not None
    assert shipped.labels == ["shipping"]
    assert half is None


def test_a_label_for_the_rest_is_never_found_by_its_name() -> None:
    """ "The other day" says nothing about the label ``other``."""
    assert _classify("The other day it rained.", ["billing", "other"]) is None


def test_nothing_in_common_is_no_answer() -> None:
    """Without any evidence there is no label, however many examples there are."""
    labels = [{"name": "ham", "examples": ["see you at home"]}, {"name": "spam", "examples": ["win a free prize"]}]

    assert _classify("Zwölf Boxkämpfer jagen Viktor quer über den Sylter Deich", labels) is None
