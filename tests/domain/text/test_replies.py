# ruff: noqa: RUF001  letters of other scripts that look like Latin ones
"""What an author answers is left out, whatever the mail program and its language."""

import pytest

from soulcaster.domain.feedback.items import COMPARED_CHARS, compared_item, mask_item
from soulcaster.domain.text.comparable import comparable
from tests.support.make import item

OWN = "The blue lamp still blinks."
MACRO = (
    "Dear customer, we are glad that you asked. Hold the button for ten seconds and wait for the tone.\n\n"
    "Your team at Lamps and More, Harbour Road 5"
)
QUOTED = "\n".join(f"> {line}" for line in MACRO.split("\n"))

INTRODUCTIONS = [
    "On Tue, Nov 17, 2026 at 4:05 PM Lamps Help <help@lamps.example> wrote:",
    "On Tue, Nov 17, 2026 at 4:05 PM Lamps Help and Repair Service\n<help@lamps.example> wrote:",
    "On Nov 17, 2026, at 16:05, Lamps Help wrote:",
    "On 11/17/26 16:05, Lamps Help wrote:",
    "Am Di., 17. Nov. 2026 um 16:05 Uhr schrieb Lamps Help <\nhelp@lamps.example>:",
    "Am 17.11.26 um 16:05 schrieb Lamps Help:",
    "Le mar. 17 nov. 2026 à 16:05, Lamps Help <help@lamps.example> a écrit :",
    "El mar, 17 nov 2026 a las 16:05, Lamps Help (<help@lamps.example>) escribió:",
    "Em ter., 17 de nov. de 2026 às 16:05, Lamps Help <help@lamps.example> escreveu:",
    "Il giorno mar 17 nov 2026 alle ore 16:05 Lamps Help <help@lamps.example> ha scritto:",
    "Op di 17 nov 2026 om 16:05 schreef Lamps Help <help@lamps.example>:",
    "Den tis 17 nov. 2026 kl 16:05 skrev Lamps Help <help@lamps.example>:",
    "Den tirs. 17. nov. 2026 kl. 16.05 skrev Lamps Help <help@lamps.example>:",
    "ti 17. marrask. 2026 klo 16.05 Lamps Help (help@lamps.example) kirjoitti:",
    "wt., 17 lis 2026 o 16:05 Lamps Help <help@lamps.example> napisał(a):",
    "út 17. 11. 2026 v 16:05 odesílatel Lamps Help <help@lamps.example> napsal:",
    "Lamps Help <help@lamps.example> ezt írta (időpont: 2026. nov. 17., K, 16:05):",
    "În mar., 17 nov. 2026 la 16:05, Lamps Help <help@lamps.example> a scris:",
    "вт, 17 нояб. 2026 г. в 16:05, Lamps Help <help@lamps.example>:",
    "вт, 17 лист. 2026 р. о 16:05 Lamps Help <help@lamps.example> пише:",
    "Στις Τρί 17 Νοε 2026 στις 4:05 μ.μ., ο χρήστης Lamps Help <help@lamps.example> έγραψε:",
    "Lamps Help <help@lamps.example>, 17 Kas 2026 Sal, 16:05 tarihinde şunu yazdı:",
    "Vào 16:05, T3, 17 thg 11, 2026 Lamps Help <help@lamps.example> đã viết:",
    "Pada tanggal Sel, 17 Nov 2026 pukul 16.05 Lamps Help <help@lamps.example> menulis:",
    "2026年11月17日(火) 16:05 Lamps Help <help@lamps.example>:",
    "Lamps Help <help@lamps.example> 于2026年11月17日周二 16:05写道：",
    "2026년 11월 17일 (화) 오후 4:05, Lamps Help <help@lamps.example>님이 작성:",
    "‫في الثلاثاء، 17 نوفمبر 2026 في 4:05 م تمت كتابة ما يلي بواسطة ‪Lamps Help‬‏ <‪help@lamps.example‬‏>:‬",
    "‫בתאריך יום ג׳, 17 בנוב׳ 2026 ב-16:05 מאת ‪Lamps Help‬‏ <‪help@lamps.example‬‏>:‬",
]

HEADERS = [
    "From: Lamps Help <help@lamps.example>\nSent: Tuesday, 17 November 2026 16:05\nTo: Ola\nSubject: Lamp",
    "From: Lamps Help\nDate: Tuesday, 17 November 2026 at 16:05\nTo: Ola\nSubject: Lamp",
    "Von: Lamps Help\nGesendet: Dienstag, 17. November 2026 16:05\nAn: Ola\nBetreff: Lampe",
    "De : Lamps Help <help@lamps.example>\nEnvoyé : mardi 17 novembre 2026 16:05\nÀ : Ola\nObjet : Lampe",
    "De: Lamps Help <help@lamps.example>\nEnviado el: martes, 17 de noviembre de 2026 16:05\nPara: Ola\nAsunto: x",
    "Da: Lamps Help <help@lamps.example>\nInviato: martedì 17 novembre 2026 16:05\nA: Ola\nOggetto: Lampada",
    "Van: Lamps Help <help@lamps.example>\nVerzonden: dinsdag 17 november 2026 16:05\nAan: Ola\nOnderwerp: Lamp",
    "Från: Lamps Help <help@lamps.example>\nSkickat: den 17 november 2026 16:05\nTill: Ola\nÄmne: Lampa",
    "Lähettäjä: Lamps Help <help@lamps.example>\nLähetetty: tiistai 17. marraskuuta 2026 16.05\nAihe: Lamppu",
    "Od: Lamps Help <help@lamps.example>\nWysłano: wtorek, 17 listopada 2026 16:05\nDo: Ola\nTemat: Lampa",
    "Od: Lamps Help <help@lamps.example>\nOdesláno: úterý 17. listopadu 2026 16:05\nKomu: Ola\nPředmět: Lampa",
    "Feladó: Lamps Help <help@lamps.example>\nElküldve: 2026. november 17., kedd 16:05\nCímzett: Ola\nTárgy: x",
    "От: Lamps Help <help@lamps.example>\nОтправлено: 17 ноября 2026 г. 16:05\nКому: Ola\nТема: Лампа",
    "Από: Lamps Help <help@lamps.example>\nΣτάλθηκε: Τρίτη, 17 Νοεμβρίου 2026 16:05\nΠρος: Ola\nΘέμα: Λάμπα",
    "Kimden: Lamps Help <help@lamps.example>\nGönderildi: 17 Kasım 2026 Salı 16:05\nKime: Ola\nKonu: Lamba",
    "差出人: Lamps Help <help@lamps.example>\n送信日時: 2026年11月17日 16:05\n宛先: Ola\n件名: ランプ",
    "发件人: Lamps Help <help@lamps.example>\n发送时间: 2026年11月17日 16:05\n收件人: Ola\n主题: 灯",
    "发件人：Lamps Help\n日期：2026年11月17日 16:05\n收件人：Ola\n主题：灯",
    "보낸 사람: Lamps Help <help@lamps.example>\n보낸 날짜: 2026년 11월 17일 화요일 16:05\n받는 사람: Ola",
    "Mittente sconosciuto: Lamps Help <help@lamps.example>\nQuando: 17/11/2026 16:05\nOggetto: x",
    "Nork: Lamps Help <help@lamps.example>\nNoiz: 2026-11-17 16:05\nNori: Ola\nGaia: Lanpara",
    "From: Lamps Help <help@lamps.example>\n\nSent: Tuesday, 17 November 2026 16:05\n\nSubject: Lamp",
    "-----Original Message-----\nLamps Help",
    "-----Ursprüngliche Nachricht-----\nLamps Help",
    "-------- Исходное сообщение --------\nLamps Help",
    "##- Please type your reply above this line -##",
]


@pytest.mark.parametrize("introduction", INTRODUCTIONS)
@pytest.mark.parametrize("quoted", [QUOTED, MACRO], ids=["marked", "unmarked"])
def test_an_introduction_and_what_it_quotes_go(introduction: str, quoted: str) -> None:
    assert comparable(f"{OWN}\n\n{introduction}\n{quoted}", COMPARED_CHARS) == OWN
    assert comparable(f"{OWN}\n\n{introduction}\n\n{quoted}", COMPARED_CHARS) == OWN


@pytest.mark.parametrize("header", HEADERS)
def test_a_header_and_what_follows_go(header: str) -> None:
    assert comparable(f"{OWN}\n\n{header}\n\n{MACRO}", COMPARED_CHARS) == OWN


@pytest.mark.parametrize("around", [*INTRODUCTIONS, *HEADERS])
def test_they_go_from_masked_texts_as_well(around: str) -> None:
    masked = mask_item(item(title="Lamp", body=f"{OWN}\n\n{around}\n{QUOTED}"))
    assert compared_item(masked).text == f"Lamp\n{OWN}"


@pytest.mark.parametrize("own", ["Does not help", "No.", "还是不行", "Still broken"])
def test_the_shortest_answer_is_compared_alone(own: str) -> None:
    assert comparable(f"{own}\n\n{INTRODUCTIONS[0]}\n{QUOTED}", COMPARED_CHARS) == own


def test_an_answer_below_or_between_stays() -> None:
    below = f"{INTRODUCTIONS[0]}\n{QUOTED}\n\n{OWN}"
    between = f"{INTRODUCTIONS[4]}\n> Does it blink?\n\n{OWN}\n\n> And the tone?\n\nThere is none."
    assert comparable(below, COMPARED_CHARS) == OWN
    assert comparable(between, COMPARED_CHARS) == f"{OWN}\nThere is none."


@pytest.mark.parametrize(
    "text",
    [
        "I set it up on 3 March 2026 and wrote this down:\nfirst it blinks\nthen it stops",
        "Steps at 10:30:\nopen the box\npress the button",
        "From: Oslo\nTo: Bergen\nthe map shows no ferry",
        "It fails for two rooms.\nName: kitchen\nFloor: 2\nSince: 2026-11-03\nthe others work",
        "No: 4711\nDate: 2026-11-03\nthe invoice is empty",
        "The log of today:\nerror 17 at start\nerror 18 at end",
        "--- steps ---\npress it",
        "Sent from the wrong account, my order is lost",
    ],
)
def test_what_is_said_is_no_quotation(text: str) -> None:
    kept = comparable(text, COMPARED_CHARS)
    assert kept.split("\n")[-1] == text.split("\n")[-1]
    assert kept.split("\n")[0] == text.split("\n")[0]


@pytest.mark.parametrize(
    "marker",
    [
        "---------- Forwarded message ---------",
        "-------- Weitergeleitete Nachricht --------",
        "Begin forwarded message:",
    ],
)
def test_a_forwarded_message_is_what_is_said(marker: str) -> None:
    header = "From: Ola <ola@homes.example>\nDate: Tue, 17 Nov 2026 16:05\nSubject: Lamp\nTo: Lamps Help"
    text = comparable(f"See below.\n\n{marker}\n{header}\n\nThe lamp in my hall is dark.", COMPARED_CHARS)
    assert text == "See below.\nThe lamp in my hall is dark."


@pytest.mark.parametrize(
    "line",
    [
        "Sent from my Galaxy",
        "Von meinem iPhone gesendet",
        "Gesendet von Outlook für Android",
        "Envoyé de mon iPhone",
        "Enviado desde mi iPad",
        "Inviato da iPhone",
        "Verzonden vanaf mijn iPhone",
        "Skickat från min iPhone",
        "Wysłane z iPhone'a",
        "Отправлено с iPhone",
        "iPhoneから送信",
        "发自我的iPhone",
        "나의 iPhone에서 보냄",
    ],
)
def test_the_line_of_a_telephone_goes(line: str) -> None:
    assert comparable(f"{OWN}\n\n{line}", COMPARED_CHARS) == OWN


HTML_QUOTES = {
    "Gmail": '<div class="gmail_quote gmail_quote_container"><div dir="ltr" class="gmail_attr">On Nov 17, 2026 Help'
    ' &lt;<a href="mailto:help@lamps.example">help@lamps.example</a>&gt; wrote:<br></div>'
    '<blockquote class="gmail_quote" style="margin:0"><div>{macro}<div>inner</div></div></blockquote></div>',
    "Outlook on the web": '<div id="appendonsend"></div><hr style="width:98%" tabindex="-1">'
    '<div id="divRplyFwdMsg"><b>Von:</b> Help</div><div>{macro}</div>',
    "Outlook": '<div style="border:none;border-top:solid #E1E1E1 1.0pt;padding:3.0pt 0"><b>From:</b> Help</div>'
    "<p>{macro}</p>",
    "Apple Mail": '<div><br><blockquote type="cite"><div>On 17 Nov 2026, Help wrote:</div><div>{macro}</div>'
    "</blockquote></div>",
    "Yahoo": '<div id="yahoo_quoted_12" class="yahoo_quoted"><div>Am Dienstag schrieb Help:</div>{macro}</div>',
    "Thunderbird": '<div class="moz-cite-prefix">Am 17.11.26 um 16:05 schrieb Help:<br></div>'
    '<blockquote type="cite" cite="mid:1@lamps.example"><p>{macro}</p></blockquote>',
    "Proton": '<div class="protonmail_quote">On Tuesday, Help wrote:<br><blockquote>{macro}</blockquote></div>',
    "GMX": '<div name="quote" style="margin:10px"><b>Gesendet:</b> Dienstag<div>{macro}</div></div>',
    "Yandex": "<div>17.11.2026, 16:05, &quot;Help&quot; &lt;help@lamps.example&gt;:</div>"
    "<blockquote>{macro}</blockquote>",
    "cut": '<blockquote type="cite"><div>{macro}</div>',
}


@pytest.mark.parametrize("quote", HTML_QUOTES.values(), ids=HTML_QUOTES)
def test_a_quotation_in_html_goes(quote: str) -> None:
    html = f"<html><body><div dir='ltr'>{OWN}</div>{quote.format(macro=MACRO)}</body></html>"
    assert comparable(html, COMPARED_CHARS) == OWN


def test_html_below_a_quotation_and_citations_stay() -> None:
    below = f'<blockquote type="cite"><p>{MACRO}</p></blockquote><p>{OWN}</p>'
    assert comparable(below, COMPARED_CHARS) == OWN
    cited = "<p>It says</p><blockquote>Lamp not found</blockquote>"
    assert comparable(cited, COMPARED_CHARS) == "It says\nLamp not found"
    forwarded = (
        '<div>See below</div><div class="gmail_quote"><div class="gmail_attr">---------- Forwarded message ---------'
        "<br>From: Ola &lt;ola@homes.example&gt;<br>Date: 17 Nov 2026<br></div>The lamp in my hall is dark.</div>"
    )
    assert comparable(forwarded, COMPARED_CHARS) == "See below\nThe lamp in my hall is dark."


def test_a_quotation_alone_stays() -> None:
    assert comparable(f'<blockquote type="cite"><p>{OWN}</p></blockquote>', COMPARED_CHARS) == OWN
    assert comparable(f"{INTRODUCTIONS[0]}\n> {OWN}", COMPARED_CHARS).endswith(OWN)
