"""The extractive summary: which sentences, within which bounds, in any language."""

import pytest

from fallbacks.sentences import sentences
from fallbacks.summarize import MAX_POINTS, Strategy, strategy_for, summarize
from fallbacks.words import cut, word_count
from schemas.summarize import SummarizeRequest

TEXTS = {
    "en": "The pump failed on Monday. Dr. Smith of Acme Inc. replaced the seal of the pump at 5 p.m. and tested it. "
    "The test of the pump showed no leak. The pump will be checked again in March. Lunch was served in the garden.",
    "de": "Die Pumpe fiel am Montag aus. Herr Dr. Weber tauschte die Dichtung der Pumpe gegen 17 Uhr. Der Test der "
    "Pumpe zeigte kein Leck. Die Pumpe wird im März erneut geprüft. Das Mittagessen gab es im Garten.",
    "fr": "La pompe est tombée en panne lundi. M. Durand a remplacé le joint de la pompe à 17 heures. L'essai de la "
    "pompe n'a montré aucune fuite. La pompe sera contrôlée en mars. Le déjeuner fut servi au jardin.",
    "es": "La bomba falló el lunes. El Sr. García cambió la junta de la bomba a las cinco. La prueba de la bomba no "
    "mostró fugas. La bomba se revisará en marzo. La comida se sirvió en el jardín.",
    "pl": "Pompa zepsuła się w poniedziałek. Dr Nowak wymienił uszczelkę pompy o godzinie 17. Próba pompy nie wykazała "
    "wycieku. Pompa zostanie sprawdzona w marcu. Obiad podano w ogrodzie.",
    "zh": "水泵在星期一发生了故障。王工程师下午五点更换了水泵的密封圈。水泵测试没有发现泄漏。"
    "水泵将在三月再次检查。午餐在花园里供应。",
    "ar": "تعطلت المضخة يوم الاثنين. استبدل المهندس أحمد مانع التسرب في المضخة مساء. لم يظهر اختبار المضخة أي تسرب. "
    "هل ستفحص المضخة مرة أخرى في مارس؟ قدم الغداء في الحديقة.",
}


@pytest.mark.parametrize("language", TEXTS)
def test_every_language_gives_whole_sentences_of_the_text(language: str) -> None:
    """A summary in seven languages consists of sentences of the text, in its order, and is shorter than the text."""
    text = TEXTS[language]

    summary = summarize(SummarizeRequest(text=text))

    assert summary is not None
    found = [sentence.text for sentence in sentences(text)]
    assert len(found) == 5
    quotes = [point.quote for point in summary.key_points]
    assert [quote for quote in found if quote in quotes] == quotes
    assert all(quote in summary.summary for quote in quotes)
    assert len(summary.summary) < len(text)


def test_abbreviations_do_not_end_a_sentence() -> None:
    """``Dr.``, ``Inc.`` and ``p.m.`` stay inside their sentence."""
    assert [s.text for s in sentences(TEXTS["en"])][1] == (
        "Dr. Smith of Acme Inc. replaced the seal of the pump at 5 p.m. and tested it."
    )


def test_max_words_is_never_exceeded_even_by_one_long_sentence() -> None:
    """Where no sentence fits, the summary is the beginning of one, cut between words, and its quote is that piece."""
    text = "one two three four five six seven eight nine ten eleven twelve thirteen"

    summary = summarize(SummarizeRequest(text=text, max_words=10))

    assert summary is not None
    assert summary.summary == "one two three four five six seven eight nine ten"
    assert [point.quote for point in summary.key_points] == [summary.summary]


def test_one_endless_line_is_cut_and_quoted() -> None:
    """A million characters without a space or a stop give a short piece that stands in the text."""
    summary = summarize(SummarizeRequest(text="x" * 1_000_000))

    assert summary is not None
    assert 0 < len(summary.summary) <= 1000
    assert summary.key_points[0].quote == summary.summary


@pytest.mark.parametrize("text", ["!!! ... ???", "🎉🎉🎉", "-----\n=====", "。。。"])
def test_a_text_without_letters_or_digits_has_no_summary(text: str) -> None:
    """There is nothing to say of punctuation and emoji; None, never an invented sentence."""
    assert summarize(SummarizeRequest(text=text)) is None


def test_quoted_mail_headings_and_tables_are_left_out_while_there_is_prose() -> None:
    """Old mail behind ``>``, Markdown headings and table rows are not sentences of this text."""
    text = (
        "# Status\n> We shall deliver the old batch of machines on time, as we wrote.\n\n"
        "The new batch of machines is late by a week.\n\n| machine | week |\n|---|---|\n| press | 12 |\n\n"
        "The press of the new batch of machines needs a spare part from the supplier.\n"
    )

    summary = summarize(SummarizeRequest(text=text))

    assert summary is not None
    assert summary.summary == "The new batch of machines is late by a week."


def test_only_quoted_lines_are_still_summarized() -> None:
    """Where nothing but quoted mail stands, it is the text; its marks are not part of the quote."""
    summary = summarize(SummarizeRequest(text="> The order was shipped on Friday.\n"))

    assert summary is not None
    assert summary.key_points[0].quote == "The order was shipped on Friday."


def test_wrapped_lines_are_one_sentence_and_list_items_are_many() -> None:
    """A line break inside a wrapped sentence does not end it; a bullet begins a new one, without its mark."""
    text = (
        "The committee met on Tuesday in the large hall\nto speak about the budget.\n"
        "- buy a new pump\n- repair the old pump\n"
    )

    assert [s.text for s in sentences(text)] == [
        "The committee met on Tuesday in the large hall\nto speak about the budget.",
        "buy a new pump",
        "repair the old pump",
    ]


def test_the_strategy_follows_stated_features() -> None:
    """Turns of speech are talk; a heading over many sentences or words of contracts mean lead; all else is central."""
    talk = "Ann: Shall we start?\nBob: Yes.\nAnn: The budget is tight this year.\nBob: It is.\n"
    article = "Mayor opens bridge\n\n" + "The bridge was opened by the mayor. " * 8
    contract = "The licensee shall keep this agreement secret. The licensor gives no warranty hereunder. It ends."

    assert strategy_for(talk, sentences(talk)) is Strategy.TALK
    assert strategy_for(article, sentences(article)) is Strategy.LEAD
    assert strategy_for(contract, sentences(contract)) is Strategy.LEAD
    assert strategy_for(TEXTS["en"], sentences(TEXTS["en"])) is Strategy.CENTRAL


def test_talk_leaves_out_turns_that_say_nothing() -> None:
    """Short turns are alike to everything; they are not chosen while longer ones exist."""
    text = "".join(
        f"Ann: Yeah .\nBob: Okay .\nAnn: The remote control number {i} needs a battery that lasts for five years .\n"
        for i in range(5)
    )

    summary = summarize(SummarizeRequest(text=text, max_words=40))

    assert summary is not None
    assert all("battery" in point.quote for point in summary.key_points)


def test_a_sentence_that_says_the_same_again_is_not_taken_twice() -> None:
    """Repeated sentences fill no place in the summary."""
    summary = summarize(SummarizeRequest(text="The same thing was said again. " * 200, max_words=100))

    assert summary is not None
    assert summary.summary == "The same thing was said again."


def test_there_are_at_most_five_points() -> None:
    """Many sentences in the summary do not make many key points."""
    text = " ".join(f"Item {i} is about topic{i} and word{i * 7} in room{i * 3}." for i in range(300))

    summary = summarize(SummarizeRequest(text=text, max_words=300))

    assert summary is not None
    assert len(summary.key_points) == MAX_POINTS


def test_words_of_unspaced_scripts_count_by_two_characters() -> None:
    """The count is never below that of white space, so a limit means something in Chinese too."""
    assert word_count("one two") == 2
    assert word_count("水泵在星期一") == 3
    assert cut("水泵在星期一发生了故障", 3, 1000) == "水泵在星期一"


def test_a_cut_keeps_a_character_with_its_marks() -> None:
    """An emoji family or an accent is not cut in two."""
    assert cut("ab\N{MAN}\N{ZERO WIDTH JOINER}\N{WOMAN}", 5, 4) == "ab"
    assert cut("cafe\N{COMBINING ACUTE ACCENT}", 5, 4) == "caf"
