"""Texts that say that something fails, or goes on as before, and not what: "still not working", "same here".

They are replies mostly, and about what they reply to. Nothing in them tells one problem from another, so what they are
like says nothing.
"""

from collections.abc import Mapping

from soulcaster.domain.text.stop_words import stop_words
from soulcaster.domain.text.words import words

_VAGUE: Mapping[str, frozenset[str]] = {
    language: frozenset(listed.split())
    for language, listed in {
        "en": "work works worked working help helps helped helping change changes changed happen happens happened"
        " happening same still again here too also yet anymore issue issues problem problems bug error"
        " errors thing things update updates news fix fixed fixes broken fails failed failing solved"
        " resolved better bump thanks thank please hello hi ok okay yes no not nothing any anything luck"
        " didn't doesn't isn't don't",
        "de": "geht gehts funktioniert funktionierte hilft half ändert geändert änderung passiert gleiche"
        " gleiches gleich dasselbe selbe immer noch wieder weiterhin auch hier problem fehler update neues"
        " lösung gelöst behoben kaputt danke bitte hallo ja nein nicht nichts leider",
        "fr": "marche marchent fonctionne fonctionnent aide aidé change changé changement arrive même pareil"
        " toujours encore aussi ici problème problèmes bug erreur nouvelle nouvelles résolu corrigé cassé"
        " merci bonjour oui non ne pas rien ça cela",
        "es": "funciona funcionan funcionar funcionando ayuda ayudó cambia cambió cambio cambios pasa pasando"
        " mismo misma igual sigue siguen todavía aún también aquí problema problemas error novedad novedades"
        " solucionado resuelto gracias hola sí no nada sin",
        "it": "funziona funzionano aiuta cambia cambiato cambiamento succede stesso stessa uguale ancora sempre"
        " anche qui problema problemi errore novità risolto rotto grazie ciao sì no non niente nulla",
        "pt": "funciona funcionam funcionando funcionar ajuda ajudou muda mudou mudança acontece mesmo mesma"
        " igual ainda continua também aqui problema problemas erro novidade novidades resolvido obrigado"
        " obrigada olá sim não nada",
        "nl": "werkt werken helpt hielp verandert veranderd verandering gebeurt zelfde hetzelfde nog steeds weer"
        " ook hier probleem problemen fout update nieuws opgelost kapot bedankt hallo ja nee niet niets",
        "sv": "fungerar funkar hjälper hjälpte ändrar ändrats ändring händer samma fortfarande ännu igen också"
        " här problem fel nyheter löst trasig tack hej ja nej inte inget ingen",
        "da": "virker fungerer hjælper hjalp ændrer ændret ændring sker samme stadig endnu igen også her problem"
        " fejl nyt løst tak hej ja nej ikke intet ingen",
        "no": "virker fungerer hjelper hjalp endrer endret endring skjer samme fortsatt ennå igjen også her"
        " problem feil nytt løst takk hei ja nei ikke ingenting ingen",
        "pl": "działa działają pomaga pomogło zmienia zmieniło zmiana zmian dzieje samo sam nadal dalej wciąż"
        " znowu też także tutaj problem błąd naprawione dzięki dziękuję cześć tak nie nic",
        "ru": "работает работают помогает помогло помогла изменилось изменений меняется происходит то же самое"
        " опять снова тоже также здесь всё все еще ещё проблема проблемы ошибка новости исправлено спасибо"
        " привет да нет не ничего",
        "tr": "çalışmıyor çalışıyor olmuyor oluyor yardımcı değişmedi değişiklik aynı hala hâlâ yine burada sorun"
        " hata teşekkürler merhaba evet hayır değil hiçbir şey",
    }.items()
}
"""By language, beside its stop words."""

_KNOWN = {language: vague | stop_words(language) for language, vague in _VAGUE.items()}
_OF_ANY = frozenset().union(*_KNOWN.values())
_AROUND = ".,;:!?…()\"'"

FEWEST_WORDS = 2
LONGEST = 60
"""Characters; a longer text says something."""


def contentless(text: str) -> str | None:
    """Return the words of a text that says nothing, in a form that is the same for the same words; None for others."""
    if len(text) > LONGEST or len(ends := text.split()) < FEWEST_WORDS:
        return None
    if ends[-1].strip(_AROUND).lower() not in _OF_ANY:
        return None  # nearly all texts end here
    found = words(text)
    said = set(found)
    for language, vague in _VAGUE.items():
        if said <= _KNOWN[language] and not said.isdisjoint(vague):
            return " ".join(found)
    return None
