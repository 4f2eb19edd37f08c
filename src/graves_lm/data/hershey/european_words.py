"""Sentences of Europe's languages, and English ones whose letters are given accents.

No letter of `european.LETTERS` is rare in what is drawn here: each takes its turn in the place of its plain
form.
"""

from collections.abc import Sequence

import numpy as np

from graves_lm.data.characters import plain_letter
from graves_lm.data.hershey.european import LETTERS, SIGNS

SENTENCES = """
Grüß Gott! Über die Brücke führt ein schöner Weg.
Die Bäume blühen früh, das Gemüse wächst später.
Äpfel, Öl und Süßes kosten zusammen 12,50 €.
Fräulein Müller trägt die Schlüssel in der Tasche.
Ärger? Übermorgen heißt es: „Öffnen verboten“.
Weiße Möwen kreisen über dem großen Fluß.
L'été dernier, nous étions à la plage près de Sète.
Où est la clé? Elle était là, derrière la fenêtre.
Un garçon reçoit une leçon de français à Noël.
« Ça alors! » s'écria l'élève naïf, très fâché.
Le cœur de ma sœur bat à côté de l'œuvre.
Être ou ne pas être: voilà où ça mène, Hélène.
El niño soñó con una montaña de azúcar y café.
¿Cómo está usted, señor? ¡Muy bien, gracias!
Mañana por la mañana iré a Córdoba en autobús.
La cigüeña voló sobre el río, ¿la viste tú?
O coração não esquece as canções da avó.
Amanhã à tarde, três irmãos vão até São João.
Ela pôs pão, limões e maçãs no avião de Évora.
Perché è così? La città è più bella di lunedì.
Può darsi che giovedì verrà anche papà Niccolò.
Zażółć gęślą jaźń, mówi pan Łukasz z Łodzi.
Dziękuję, że przyszłaś na święta do babci.
Wróć, proszę, o świcie: śnieg już leży wszędzie.
Źle śpię, gdy księżyc świeci w Żywcu i Ćmielowie.
Příliš žluťoučký kůň úpěl ďábelské ódy.
Děti šly řekou až k útesu, kde čekala paní Říhová.
Ďakujem, môj milý, ľúbim ťa až do šťastného rána.
Vŕba stojí pri ceste, stĺp sa kĺže k Ľubici.
Češnje in žganci so na mizi, šivilja pa poje.
Đurđa čeka đaka, a Željko šeta niz Čakovec.
På ön växer älvor, säger Åsa och Örjan.
Blåbærsyltetøy på brødskiver er kjempegodt.
Æblet ligger på øen, og Ørsted går i å-dalen.
Öinen jääkärien yö: Äiti, älä pelkää!
Það er ótrúlegt að sjá æðarfugl á Þingvöllum.
Þórður býr í Ísafirði; húsið er grænt, ekki rautt.
Õhtul sõitsime üle mäe, öö oli külm ja tähine.
Şoförün çantası İstanbul'da, gözlüğü Iğdır'da.
Güneş doğuyor, kuşlar ağaçlarda öğle uykusunda.
Árvíztűrő tükörfúrógép, és még egy kis gőzös.
Őszintén szólva, Ödön, a fű nőni fog az Űrben.
Ştiu că şapte ţărani aşteaptă în faţa băncii.
Așa și țara: în Brașov și în Timiș plouă câte puțin.
Ķēniņš ēd ābolus, ģimene dzer tēju, bērni šūpojas.
Ļoti žēl, ka Ņina nevar būt Čiekurkalnā šovakar.
Ąžuolas, ėglė ir ūkas: Šįvakar žvaigždės šviečia.
Mūsų namų šeimininkė į rūsį padėjo ąsotį.
Château d'Yquem, crème brûlée & café: 38 £ each!
Write to anna.berg@post.example, or call by noon.
It is 7° outside, says § 4; we paid $20 – or 18 €?
2+2=4, 3=1+2, file_name and a note – all at 21°.
“Whose naïve idea was this?” asked Zoë Brontë.
François, Łukasz, Jürgen, Søren, Iñaki and Chloë met.
Dvořák, Škvorecký, Čapek: three names, one §.
Ÿ, Ü and Ÿ again: L'Haÿ-les-Roses has one ÿ.
İzmir, Ísland, Île de Ré, Åland, Øresund, Évora.
„Ale to žert!“ řekl Žižka a odešel do Šumavy.
»Nein«, sagte Jörg, »ich gehöre an die Küste.«
Ìlmar, Ênio, Ûrsula, Ïa, Êve, Ôter: names in Î and Ù.
Ďáblice, Ňorma, Ťahanovce, Ěva, Ůlov, Řím, Źle.
Ţepeş, Ţara, Ărdeal, Ŕeka, Ĺad, Ēriks, Īva, Ūla, Āra.
""".strip().splitlines()

# Shares of lines that are of these sentences, and of lines that are given accents.
_SHIPPED, _ACCENTED = 0.35, 0.25
# In a line that is given accents: shares of the small letters and of the capitals that get one where there
# is one, and of the words that get a capital.
_SMALL, _CAPITAL, _TITLES = 0.15, 0.8, 0.4
_FORMS = {plain: [c for c in LETTERS if plain_letter(c) == plain] for plain in map(plain_letter, LETTERS)}


def paragraph(rng: np.random.Generator, others: Sequence[str]) -> str:
    """A sentence from here, or one of the `others`, perhaps with accents."""
    which = rng.random()
    if which < _SHIPPED:
        return str(SENTENCES[rng.integers(len(SENTENCES))])
    text = others[int(rng.integers(len(others)))]
    return accented(text, rng) if which < _SHIPPED + _ACCENTED else text


def accented(text: str, rng: np.random.Generator) -> str:
    """The text with some letters as composed ones, and perhaps a sign before or behind a word."""
    words = text.split(" ")
    titled = " ".join(w[:1].upper() + w[1:] if rng.random() < _TITLES else w for w in words)
    made = "".join(_given_accent(c, rng) for c in titled)
    # Forms of rare letters would be rare: some letter of all, whatever stands in its place.
    place, letter = int(rng.integers(len(made))), str(rng.choice(list(LETTERS)))
    if made[place] != " ":
        made = made[:place] + letter + made[place + 1 :]
    if rng.random() < 0.5:
        words = made.split(" ")
        n, sign = int(rng.integers(len(words))), str(rng.choice(list(SIGNS)))
        words[n] = sign + words[n] if rng.random() < 0.5 else words[n] + sign
        made = " ".join(words)
    return made


def _given_accent(character: str, rng: np.random.Generator) -> str:
    """Perhaps one of the forms of a letter."""
    changed = rng.random() < (_SMALL if character.islower() else _CAPITAL)
    return str(rng.choice(_FORMS[character])) if changed and character in _FORMS else character
