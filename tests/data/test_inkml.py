"""InkML, as the W3C recommendation of 2011 says it."""

from pathlib import Path

import numpy as np
import pytest

from graves_lm.data.ink.reading import read_ink
from graves_lm.data.strokes import StrokeLine, to_pen_strokes
from graves_lm.runtime.errors import UserError

NS = 'xmlns="http://www.w3.org/2003/InkML"'
XY = '<traceFormat><channel name="X"/><channel name="Y"/></traceFormat>'
PATH = [[1, 2], [4, 6], [5, 9]]
T = "<trace>1 2, 4 6, 5 9</trace>"


def read(tmp_path: Path, content: str | bytes, ending: str = "inkml") -> tuple[list[StrokeLine], list[str]]:
    path = tmp_path / f"ink.{ending}"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    lines, problems = read_ink(path)
    return lines, [problem.reason for problem in problems]


def strokes(line: StrokeLine) -> list[list[list[float]]]:
    """Positions, of which the first is (1, 2), as in all traces here."""
    return [np.add(stroke, [1, 2]).tolist() for stroke in to_pen_strokes(line.strokes)]


def only(tmp_path: Path, content: str | bytes) -> list[list[list[float]]]:
    lines, problems = read(tmp_path, content)
    assert len(lines) == 1
    assert not problems
    return strokes(lines[0])


def refused(tmp_path: Path, content: str | bytes, reason: str) -> None:
    with pytest.raises(UserError, match=reason) as error:
        read(tmp_path, content)
    assert "\n" not in str(error.value)


def context(name: str, channels: str) -> str:
    named = "".join(f'<channel name="{c}" type="integer"/>' for c in channels)
    source = f'<inkSource xml:id="s{name}"><traceFormat>{named}</traceFormat></inkSource>'
    return f'<context xml:id="{name}">{source}</context>'


def channels(x: str, y: str) -> str:
    """A format of two channels, by their further attributes, or that is wholly another."""
    return f'<traceFormat><channel name="X" {x}/><channel name="Y" {y}/></traceFormat>'


def group(text: str, inside: str) -> str:
    return f"<traceGroup>{label(text)}{inside}</traceGroup>"


# ------------------------------------------------------------------------------------------ contexts

TWO = f"<definitions>{context('a', 'XYF')}{context('b', 'FXY')}</definitions>"


@pytest.mark.parametrize(
    "content",
    [
        f'{TWO}<trace contextRef="#a">1 2 7, 4 6 8, 5 9 9</trace>',
        f'{TWO}<trace contextRef="#b">7 1 2, 8 4 6, 9 5 9</trace>',
        f'{TWO}<traceGroup contextRef="#b"><traceGroup><trace>7 1 2, 8 4 6, 9 5 9</trace></traceGroup>'
        '</traceGroup>',
        f'{TWO}<traceGroup contextRef="#b"><trace contextRef="#a">1 2 7, 4 6 8, 5 9 9</trace></traceGroup>',
        f"{TWO}{T}",  # neither is this trace's, whose format is X Y
        f'{TWO}<trace contextRef="#DefaultContext">1 2, 4 6, 5 9</trace>',
        f'{TWO}<context contextRef="#b"/><trace>7 1 2, 8 4 6, 9 5 9</trace>',
        f'{TWO}<context contextRef="#a"/><context contextRef="#b"/><trace>7 1 2, 8 4 6, 9 5 9</trace>',
        f'{TWO}<context contextRef="#b"/><context brushRef="#x"/><trace>7 1 2, 8 4 6, 9 5 9</trace>',
        f"{context('c', 'FXY')}<trace>7 1 2, 8 4 6, 9 5 9</trace>",
        f'{TWO}<context inkSourceRef="#sb"/><trace>7 1 2, 8 4 6, 9 5 9</trace>',
        f'<definitions>{context("a", "XYF")}<context xml:id="d" contextRef="#a"/></definitions>'
        '<trace contextRef="#d">1 2 7, 4 6 8, 5 9 9</trace>',
        '<definitions><traceFormat xml:id="f"><channel name="Y"/><channel name="X"/></traceFormat>'
        '</definitions>'
        '<context traceFormatRef="#f"/><trace>2 1, 6 4, 9 5</trace>',
        # A format of the context goes before that of its source.
        f'<context><inkSource>{XY}</inkSource><traceFormat><channel name="Y"/><channel name="X"/>'
        '</traceFormat>'
        "</context><trace>2 1, 6 4, 9 5</trace>",
        '<traceFormat><channel name="T"/><channel name="Y"/><channel name="X"/></traceFormat>'
        '<trace>7 2 1, 8 6 4, 9 9 5</trace>',
        f'<context traceFormatRef="#DefaultTraceFormat"/>{T}',
        f'<context><canvasTransform><mapping type="identity"/></canvasTransform></context>{T}',
        '<definitions><trace xml:id="t">1 2, 4 6, 5 9</trace></definitions><traceView traceDataRef="#t"/>',
        f'<x:trace xmlns:x="urn:other">99 99</x:trace>{T}<other xmlns="urn:o"><trace>8 8</trace></other>',
        f'<annotationXML><trace>99 99</trace></annotationXML>{T}',
    ],
)  # fmt: skip
def test_a_trace_is_in_the_format_of_its_context(tmp_path, content):
    assert only(tmp_path, f"<ink {NS}>{content}</ink>") == [PATH]


def test_prefixed_elements_are_inkml_too(tmp_path):
    content = f'<i:ink xmlns:i="http://www.w3.org/2003/InkML">{T.replace("trace", "i:trace")}</i:ink>'
    assert only(tmp_path, content) == [PATH]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (f'{TWO}<trace contextRef="#z">1 2</trace>', "0 of its elements context"),
        (f'{TWO}<trace contextRef="other.inkml#a">1 2</trace>', "another document, 'other.inkml'"),
        (f'{TWO}<trace contextRef="/etc/passwd#a">1 2</trace>', "another document, '/etc/passwd'"),
        (f"{context('a', 'XY')}{context('a', 'YX')}<trace contextRef='#a'>1 2</trace>", "2 of its elements"),
        (f'{TWO}<trace contextRef="#a">1 2, 3 4</trace>', "2 values, too few"),
        (f"{TWO}<trace>1 2 7, 3 4 8</trace>", "3 values, too many"),
        ('<context xml:id="a" contextRef="#b"/><context xml:id="b" contextRef="#a"/>' + T, "in a circle"),
        (
            '<context><canvasTransform><mapping type="affine"><affine>2 0 0, 0 1 0</affine></mapping>'
            f"</canvasTransform></context>{T}",
            "canvasTransform is not the identity",
        ),
        ('<traceFormat><channel name="X"><mapping type="mathml"/></channel><channel name="Y"/>'
        f'</traceFormat>{T}', "mappings"),
        (channels('type="boolean"', "") + T, "of type 'boolean'"),
        (channels('respectTo="#o"', "") + T, "respectTo"),
        (channels("", 'orientation="up"') + T, "orientation 'up'"),
        ('<traceFormat><channel name="X"/><intermittentChannels><channel name="Y"/>'
        f'</intermittentChannels></traceFormat>{T}', "no channels X and Y"),
        ('<definitions><trace>1 2, 4 6</trace></definitions>', "outside of <definitions>"),
    ],
)  # fmt: skip
def test_what_no_context_says_is_refused(tmp_path, content, reason):
    refused(tmp_path, f"<ink {NS}>{content}</ink>", reason)


def test_units(tmp_path):
    def form(x: str, y: str) -> str:
        return f'<traceFormat><channel name="X" units="{x}"/><channel name="Y" units="{y}"/></traceFormat>'

    assert only(tmp_path, f"<ink>{form('mm', 'cm')}<trace>1 .2, 4 .6, 5 .9</trace></ink>") == [PATH]
    both = f"<ink>{form('cm', 'cm')}<trace>1 2, 4 6</trace>{form('mm', 'mm')}<trace>50 90</trace></ink>"
    assert only(tmp_path, both) == [PATH[:2], PATH[2:]]
    assert only(tmp_path, f"<ink>{form('dev', 'dev')}{T}</ink>") == [PATH]
    refused(tmp_path, f"<ink>{form('mm', 'dev')}{T}</ink>", "'mm' and 'dev'|'dev' and 'mm'")


def test_axes_of_other_resolutions_are_refused(tmp_path):
    def source(x: str, y: str) -> str:
        properties = "".join(
            f'<channelProperty channel="{axis}" name="resolution" value="{value}" units="1/mm"/>'
            for axis, value in (("X", x), ("Y", y))
        )
        return (
            f'<ink><inkSource xml:id="s"><traceFormat><channel name="X"/><channel name="Y"/></traceFormat>'
            f"<channelProperties>{properties}</channelProperties></inkSource>"
            '<context xml:id="c" inkSourceRef="#s"/><trace contextRef="#c">0 0, 10 5, 20 0</trace></ink>'
        )

    refused(tmp_path, source("100", "50"), "different resolutions")
    path = tmp_path / "even.inkml"
    path.write_text(source("100", "100"))
    ((line,), left_out) = read_ink(path)
    assert len(line.strokes) == 3
    assert not left_out


def test_an_axis_may_be_turned_round(tmp_path):
    form = channels('orientation="-ve"', 'orientation="-ve"')
    assert only(tmp_path, f"<ink>{form}{T}</ink>") == [[[1, 2], [-2, -2], [-3, -5]]]


# -------------------------------------------------------------------------------------------- values


@pytest.mark.parametrize(
    "values",
    [
        "1 2,4 6,5 9",
        "1 2, '3'4, 1 3",
        "1 2,'3'4,*!9",  # the difference once more: 7
        "#1 #2, #4 #6, #5 #9",
        "#01 #02, 4 6, +5 9.0,",
        "1.0 .2e1, 40e-1 6E0, 5. 9",
        "!1!2, ! 4 6\n,\t5\r\n9",
        "1 2,4 6, '1'3",
        "1 2,'3'4,\"-2\"-1",
    ],
)
def test_values(tmp_path, values):
    expected = [[1, 2], [4, 6], [7, 9]] if "*" in values else PATH
    assert only(tmp_path, f"<ink><trace>{values}</trace></ink>") == [expected]


def test_a_trace_with_all_prefixes_and_buttons(tmp_path):
    """Velocities and accelerations that hold, values without spaces, repeated ones, channels left out."""
    form = (
        '<traceFormat><channel name="X"/><channel name="Y"/><intermittentChannels>'
        '<channel name="B1" type="boolean"/>'
        '<channel name="B2" type="boolean"/></intermittentChannels></traceFormat>'
    )
    values = "1 2,'10'20,\"5\"-5,2-3,2 *T,*-1TF,1 1*F,!100!200?T"
    x, y = [1, 11, 26, 43, 62, 83, 105, 100], [2, 22, 37, 49, 58, 66, 75, 200]
    assert only(tmp_path, f"<ink>{form}<trace>{values}</trace></ink>") == [np.array([x, y]).T.tolist()]


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ("'1'2, 3 4", "begins a trace with a difference"),
        ('1 2, "3"4', "a second difference before"),
        ("* 2, 3 4", "no position"),
        ("1 2, T F", "no position"),
        ("1 2, ? 4", "no position"),
        ("1 2, x 4", "no value"),
        ("1 2, 3;4", "no value"),
        ("1 2 3 4 5 6", "6 values, too many"),
        ("1, 2", "1 values, too few"),
        ("#G 2, 3 4", "no value"),
        (f"#{'F' * 400} 2, 3 4", "no device"),
        ("nan 2, inf 4", "no value"),
        ("1e999 2, 3 4", "not a number below"),
        ("1_0 2, 3 4", "no value"),
    ],
)
def test_values_that_are_none(tmp_path, values, reason):
    refused(tmp_path, f"<ink><trace>{values}</trace></ink>", reason)


# -------------------------------------------------------------------------------------------- traces


def test_pens_in_the_air_and_traces_that_go_on(tmp_path):
    up = '<trace type="penUp">100 200, 300 400</trace>'
    assert only(tmp_path, f"<ink>{T}{up}</ink>") == [PATH]
    chain = (
        '<trace xml:id="a" continuation="begin">1 2</trace><trace>0 0, 1 1</trace>'
        '<trace xml:id="b" continuation="middle" priorRef="#a">4 6</trace>'
        '<trace continuation="end" priorRef="#b" duration="9" timeOffset="3">5 9</trace>'
    )
    assert only(tmp_path, f"<ink>{chain}</ink>") == [PATH, [[0, 0], [1, 1]]]


@pytest.mark.parametrize(
    ("traces", "reason"),
    [
        ('<trace type="indeterminate">1 2, 3 4</trace>', "type 'indeterminate'"),
        ('<trace type="pendown">1 2, 3 4</trace>', "type 'pendown'"),
        ('<trace continuation="end">1 2, 3 4</trace>', "without saying which"),
        ('<trace continuation="last" priorRef="#a">1 2, 3 4</trace>', "continuation 'last'"),
        ('<trace continuation="end" priorRef="#z">1 2, 3 4</trace>', "0 of its elements trace"),
        ('<trace priorRef="#z">1 2, 3 4</trace>', "priorRef and no continuation"),
        ('<trace id="a" continuation="end" priorRef="#a">1 2, 3 4</trace>', "did not end before it"),
        (
            '<trace id="a">1 2</trace><trace continuation="end" priorRef="#a">1 2</trace>'
            '<trace continuation="end" priorRef="#a">1 2</trace>',
            "did not end before it",
        ),
    ],
)
def test_traces_that_cannot_be_read(tmp_path, traces, reason):
    refused(tmp_path, f"<ink>{traces}</ink>", reason)


# --------------------------------------------------------------------------------------------- lines


def label(text: str, kind: str = "truth") -> str:
    return f'<annotation type="{kind}">{text}</annotation>'


def view(reference: str, inside: str = "", also: str = "") -> str:
    return f'<traceView traceDataRef="#{reference}" {also}>{inside}</traceView>'


A, B = '<trace xml:id="a">1 2, 4 6, 5 9</trace>', '<trace xml:id="b">1 2, 2 2</trace>'
DOCUMENT = (
    '<traceView>{0}<traceView>{1}' + label("Textline", "type") + view("a") + "</traceView>"
    "<traceView>{2}" + label("Textline", "type") + view("b") + "</traceView></traceView>"
)  # fmt: skip


@pytest.mark.parametrize(
    "content",
    [
        A + B + DOCUMENT.format("", label("one"), label("two", "transcription")),
        A + B + DOCUMENT.format(label("one\ntwo"), label("one"), label("two")),
        A + B + DOCUMENT.format(label("page", "description"), label("one"), label("two")),
        label("all of it") + A + B + DOCUMENT.format("", label("one"), label("two")),
        f"<traceGroup>{label('one')}{view('a')}</traceGroup><traceGroup>{label('two')}{view('b')}"
        f"</traceGroup>{A}{B}",
        group("one", A) + group("two", f"<traceGroup>{B}</traceGroup>"),
        group("", group("one", A) + group("two", B)),
        label("one\ntwo") + group("one", A) + group("two", B),
        f"<definitions>{A}{B}</definitions>" + view("a", label("one")) + view("b", label("two")),
        f"<definitions><traceGroup id='g'>{label('one')}{A}</traceGroup>{B}</definitions>{view('g')}"
        + view("b", label("two")),
        # words as groups, and the lines that they are in as views
        f"<traceGroup id='g'>{label('o')}{A}<trace>7 7</trace></traceGroup>"
        f"<traceGroup id='h'>{label('t')}{B}</traceGroup>"
        f"<traceView>{label('one')}{view('g')}</traceView><traceView>{label('two')}{view('h')}</traceView>",
        # no "#", as in the files of a known competition
        f"{A}{B}<traceGroup>{label('one')}<traceView traceDataRef='a'/></traceGroup>"
        f"<traceGroup>{label('two')}<traceView traceDataRef='b'/></traceGroup>",
        f"<traceGroup><annotationXML type='truth'><t xmlns='urn:t'>one</t></annotationXML>{A}"
        f"</traceGroup><traceGroup>{label('two')}{B}</traceGroup>",
    ],
)  # fmt: skip
def test_two_lines_with_their_texts(tmp_path, content):
    lines, problems = read(tmp_path, f"<ink {NS}>{content}</ink>")
    assert not problems
    assert [line.text[:1] for line in lines] == ["o", "t"]
    assert strokes(lines[0])[0] == PATH
    assert strokes(lines[1]) == [[[1, 2], [2, 2]]]


@pytest.mark.parametrize(
    "content",
    [
        label("m") + A,
        label(" m\n", "Transcription") + A + view("a"),
        f"<traceGroup>{label('m')}<traceGroup><traceGroup>{A}</traceGroup></traceGroup></traceGroup>",
        label("m") + f"<traceGroup>{label('x')}{A}</traceGroup>",
        label("m") + A + view("a", label("x")),
        view("a", label("m")) + A,
        f"<traceView>{label('m')}<traceView>{label('x')}{view('a')}</traceView>{view('a')}</traceView>{A}",
        label("m") + "<annotationXML type='truth'><math>x<y/>2</math></annotationXML>" + A,
        label("m") + A + view("a", also='from="2"'),
    ],
)
def test_one_line_with_its_text(tmp_path, content):
    lines, problems = read(tmp_path, f"<ink>{content}</ink>")
    assert not problems
    assert [(line.text, strokes(line)) for line in lines] == [("m", [PATH])]


def test_the_text_of_words_is_that_of_their_line(tmp_path):
    words = "".join(f"<traceView>{label(w)}{view(t)}</traceView>" for w, t in (("to", "a"), ("be", "b")))
    content = f"<ink>{A}{B}<traceView>{label('textLine', 'type')}{words}</traceView></ink>"
    ((line,), problems) = read(tmp_path, content)
    assert line.text == "to be"
    assert not problems


def test_writers_are_those_of_their_groups(tmp_path):
    group = f"<traceGroup>{label('x')}{label('w2', 'writer')}{A}</traceGroup>"
    lines, _ = read(
        tmp_path, f"<ink>{label('w1', 'writer')}<traceGroup>{label('x')}{T}</traceGroup>{group}</ink>"
    )
    assert [line.writer for line in lines] == ["w1", "w2"]


def test_strokes_without_a_text_among_others_are_named(tmp_path):
    content = f"<ink><traceGroup>{label('one')}{T}</traceGroup><traceGroup>{T}</traceGroup>{T}</ink>"
    lines, problems = read(tmp_path, content)
    assert [line.text for line in lines] == ["one"]
    assert problems == ["2 of 3 traces are in no group with a text: number 2, 3"]
    lines, problems = read(
        tmp_path, content.replace("</ink>", f"<traceGroup>{label('none')}</traceGroup></ink>")
    )
    assert problems[1] == "the text 'none' has no strokes"


@pytest.mark.parametrize(
    ("span", "expected"),
    [
        ('from="2"', [[[4, 6], [5, 9]]]),
        ('to="2"', [[[1, 2], [4, 6]]]),
        ('from="1" to="3"', [PATH]),
    ],
)
def test_a_view_of_some_points(tmp_path, span, expected):
    (line,), _ = read(tmp_path, f"<ink>{A}{view('a', label('m'), span)}</ink>")
    shift = np.array(expected[0][0]) - [1, 2]
    assert [(np.array(s) + shift).tolist() for s in strokes(line)] == expected


def test_a_view_of_some_traces_of_a_group(tmp_path):
    group = (
        "<traceGroup id='g'>"
        + "".join(f"<trace>{x} 2, {x + 1} 3, {x + 2} 4</trace>" for x in (1, 4, 7))
        + "</traceGroup>"
    )
    shown = view("g", label("m"), "from='1:2' to='2:1'")
    (line,), _ = read(tmp_path, f"<ink>{group}{shown}</ink>")
    assert strokes(line) == [[[1, 2], [2, 3]], [[3, 1]]]


@pytest.mark.parametrize(
    ("views", "reason"),
    [
        (view("a", label("m"), 'from="0"'), "numbers from 1"),
        (view("a", label("m"), 'from="9"'), "points 9 to"),
        (view("a", label("m"), 'from="3" to="2"'), "points 3 to 2"),
        (view("a", label("m"), 'from="1:1"'), "more levels"),
        (view("z", label("m")), "0 of its elements"),
        ("<traceView id='v'>" + label("m") + view("v") + "</traceView>", "views of each other"),
        ("<traceView traceDataRef='http://a.b/c.inkml#t'/>", "another document"),
        (
            "".join(f"<traceView id='v{i}'>{2 * view(f'v{i + 1}')}</traceView>" for i in range(22))
            + "<traceView id='v22'/>",
            "traces in views",
        ),
    ],
)  # fmt: skip
def test_views_that_cannot_be_read(tmp_path, views, reason):
    refused(tmp_path, f"<ink>{A}{views}</ink>", reason)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("<ink>" + "<traceGroup>" * 200 + T + "</traceGroup>" * 200 + "</ink>", "elements in each other"),
        ("<ink " + " ".join(f'xmlns:a{i}="u"' for i in range(60)) + f">{T}</ink>", "name spaces"),
        (f"<ink>{T}<trace>{'1' * 20_000}</trace></ink>", "characters in a point"),
    ],
)
def test_endless_files_are_refused(tmp_path, content, reason):
    refused(tmp_path, content, reason)


def test_a_file_has_no_more_than_it_may(tmp_path, monkeypatch):
    for place, what in (
        ("ink.inkml_tree.ELEMENTS", "elements"),
        ("safe_xml.ATTRIBUTES", "attributes"),
        ("ink.inkml_trace.POINTS", "points"),
        ("ink.inkml.POINTS", "points"),
        ("ink.inkml.LINES", "lines"),
    ):
        with monkeypatch.context() as patch:
            patch.setattr(f"graves_lm.data.{place}", 1)
            refused(
                tmp_path,
                f'<ink a="" b="">{T}{group("a", T)}{group("b", T)}</ink>',
                f"more than 1 {what}",
            )


# ----------------------------------------------------------------------------------------- encodings


@pytest.mark.parametrize(
    ("declared", "written"),
    [
        ("gb2312", "gb2312"),
        ("shift_jis", "shift_jis"),
        ("Shift_JIS", "shift_jis"),
        ("EUC-JP", "euc_jp"),
        ("big5", "big5"),
        ("gb18030", "gb18030"),
        ("utf-16", "utf-16"),
        ("UTF-8", "utf-16"),  # converted, and the declaration left as it was
        ("UTF-8", "utf-16-le"),
        ("UTF-8", "utf-16-be"),
        ("utf-32", "utf-32"),
        ("iso-8859-1", "utf-8-sig"),
        ("utf-8", "utf-8"),
    ],
)
def test_encodings(tmp_path, declared, written):
    content = f'<?xml version="1.0" encoding="{declared}"?>\n<ink>{label("日本")}{T}</ink>'.encode(written)
    (line,), _ = read(tmp_path, content)
    assert (line.text, strokes(line)) == ("日本", [PATH])


@pytest.mark.parametrize(
    "encoding", ["iso-8859-1", "windows-1252", "ISO-8859-15", "koi8-r", "mac-roman", "cp850"]
)
def test_encodings_of_single_bytes(tmp_path, encoding):
    text = "ы" if encoding == "koi8-r" else "é"
    content = f"<?xml version='1.0' encoding='{encoding}'?><ink>{label(text)}{T}</ink>".encode(encoding)
    assert read(tmp_path, content)[0][0].text == text


@pytest.mark.parametrize(
    ("declared", "content"),
    [
        ("none-such", b""),
        ("punycode", b""),
        ("unicode_escape", b""),
        ("zlib", b""),
        ("rot13", b""),
        ("idna", b""),
        ("utf-7", b""),
        ("cp037", b""),
        ("utf-16", b""),
        ("ucs-4", b""),
        ("gb2312", b"\xff\xff"),
        ("ascii", "é".encode()),
        ("utf-8", b"\xe9"),
        ("shift_jis", b"\x81"),
    ],
)  # fmt: skip
def test_encodings_that_are_none_of_the_file(tmp_path, declared, content):
    head = f'<?xml version="1.0" encoding="{declared}"?><ink><annotation type="truth">'.encode()
    refused(
        tmp_path, head + content + f"</annotation>{T}</ink>".encode(), r"unreadable XML|not well-formed XML"
    )
