"""How often letters and pairs of letters are in English, per thousand.

After P. Norvig, English Letter Frequency Counts: Mayzner Revisited (2013), rounded; of the pairs the most
frequent, from 3 per thousand on.
"""


def _table(text: str) -> dict[str, float]:
    pairs = (item.split(":") for item in text.split())
    return {key: float(value) for key, value in pairs}


LETTERS = _table(
    """
    e:125 t:93 a:80 i:76 o:76 n:72 s:65 r:63 h:51 l:41 d:38 c:33 u:27 m:25 f:24 p:21 g:19 w:17 y:17
    b:15 v:10 k:5 x:2.4 j:1.6 q:1.2 z:0.9
    """
)

PAIRS = _table(
    """
    th:36 he:31 in:24 an:20 er:20 re:19 on:18 at:15 en:15 nd:14 es:13 or:13 ti:13 ed:12 of:12 te:12
    al:11 ar:11 is:11 it:11 st:11 ng:10 nt:10 to:10 as:9 ha:9 ou:9 se:9 co:8 de:8 hi:8 io:8 le:8
    me:8 ve:8 ce:7 ea:7 ic:7 ne:7 ra:7 ri:7 ro:7 be:6 ch:6 li:6 ll:6 ma:6 om:6 si:6 ca:5 ct:5 di:5
    ec:5 el:5 fo:5 ho:5 la:5 no:5 ns:5 pe:5 pr:5 ta:5 ur:5 us:5 ac:4 ad:4 ee:4 em:4 et:4 ge:4 ie:4
    il:4 lo:4 ly:4 nc:4 ol:4 ot:4 po:4 rs:4 rt:4 so:4 ss:4 tr:4 un:4 ut:4 wa:4 we:4 wh:4 wi:4 ai:3
    im:3 ir:3 mi:3 mo:3 na:3 ni:3 ow:3 pa:3 sh:3 su:3 ts:3 ul:3
    """
)
