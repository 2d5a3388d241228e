# ruff: noqa: RUF001  letters of other scripts that look like Latin ones
"""The words that mail programs put around a quotation, in the languages they speak."""

import re


def _words(listed: str) -> frozenset[str]:
    return frozenset(word.strip() for word in listed.replace("\n", "").split("|") if word.strip())


FROM = _words(
    """
    from|von|de|da|van|från|fra|frá|lähettäjä|od|feladó|de la|от|від|από|kimden|gönderen|šalje|pošiljatelj|nuo|
    saatja|kellelt|từ|dari|จาก|差出人|送信者|发件人|寄件者|寄件人|發件人|보낸 사람|보낸사람|प्रेषक|من|מאת|nork|od koga
    """
)
"""Labels of the line that says who wrote; in lower case."""

SENT = _words(
    """
    sent|date|gesendet|datum|envoyé|enviado|enviada em|enviado el|enviada el|fecha|data|inviato|verzonden|
    skickat|sendt|dato|dags|lähetetty|päivämäärä|päiväys|wysłano|odesláno|odoslané|dátum|elküldve|trimis|
    изпратено|дата|отправлено|надіслано|αποστολή|στάλθηκε|ημερομηνία|gönderildi|gönderme tarihi|tarih|poslano|
    išsiųsta|nosūtīts|datums|saadetud|kuupäev|đã gửi|ngày|dikirim|tanggal|ส่ง|วันที่|送信日時|送信済み|日時|日付|发送时间|
    日期|时间|寄件日期|傳送時間|발송일|보낸 날짜|날짜|भेजा गया|दिनांक|تاريخ|التاريخ|أرسلت|נשלח|תאריך
    """
)
"""Labels of the line that says when; in lower case."""

WROTE = re.compile(
    r"\b(?:wrote|schrieb|geschrieben|(?:a|ha|han) [eé]crit|escribió|escribiste|escreveu|ha scritto|va escriure"
    r"|ha escrit|escribiu|schreef|skrev|skrifaði|kirjoitti|napisał(?:\(?a\)?)?|pisze|napsala?|napsal\(a\)|napísala?"
    r"|napísal\(a\)|napisa[ol]a?|napisao/la|je napisal/-?a|írta|a scris|rašė|rakstīja|kirjutas|idatzi du"
    r"|(?:şunları )?yazdı|đã viết|menulis|написал\(?а?\)?|пишет|писал\(?а?\)?|написав|написала|пише|написа|έγραψε"
    r"|เขียน(?:ว่า)?|כתב(?:ה)?|كتب(?:ت)?|نوشت|ने लिखा)\b|写道|寫道|写到|书写|작성|님이 쓴|書きました|のメール|wrote"
)
"""The verb of an introduction."""

DATED_START = re.compile(r"(?:On|Am|Le|El|Em|Il|Op|Den|Dne|Dňa|Dnia|W dniu|La|Pe|Às|На|У|Στις|Vào|Pada|เมื่อ) .{0,40}\d")
"""How an introduction begins that has no address."""

ORIGINAL = re.compile(
    r"(?i)origin|ursprünglich|oprindelig|oorspronkelijk|pierwotna|pôvodná|původní|eredeti|исходн|первоначальн|оригинал|вихідне"
    r"|αρχικό|alkuperäinen|izvorn|mesaj original|orijinal|özgün|元のメッセージ|원본"
    r"|原始邮件|原始郵件|الأصلية|מקורית|ดั้งเดิม"
)
"""In a dashed line: the message that is answered follows."""

FORWARDED = re.compile(
    r"(?i)forwarded|weitergeleitet|transféré|reenviad|encaminhad|inoltrat|doorgestuurd|vidarebefordra|videresend"
    r"|przekazan|přeposlan|переслан|переслано|iletilen|転送|转发|轉寄|전달"
)
"""In a dashed line: a forwarded message follows."""

SENT_FROM = re.compile(
    r"(?:Sent (?:from|with|via) (?:my |Yahoo|Proton|Outlook|Samsung|Mail|the )|Get (?:Outlook|BlueMail) for"
    r"|(?:Von meinem|Gesendet (?:von|mit|über)) |Envoyé (?:de(?:puis)? (?:mon|l)|à partir)|Télécharger Outlook"
    r"|Enviado (?:desde|do meu|a partir|de mi) |Obtener Outlook|Obter o Outlook|Inviato da(?:l|) |Scarica Outlook"
    r"|Verzonden (?:vanaf|met|vanuit) |Skickat från (?:min|mitt)|Sendt fra (?:min|mitt)|Hent Outlook"
    r"|Lähetetty .{0,12}(?:iPho|Andr|puhel)|Wysłan[eo] z |Odesláno z |Odoslané z |Küldve |Elküldve .{0,4}i?[PA]"
    r"|Trimis de pe |Отправлено (?:с|из) |Надіслано з |Изпратено от |Στάλθηκε από |Gönderildi|Poslano (?:z|s) "
    r"|Đã gửi từ |Dikirim dari |ส่งจาก|发自我的|從我的|从我的|나의 i|내 i|iPhone ?から|Androidから).{0,60}$"
    r"|i(?:Phone|Pad)(?:'umdan| ?から|에서|-omról).{0,20}$"
)
"""A line that a telephone or a mail program adds."""
