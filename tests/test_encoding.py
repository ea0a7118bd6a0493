"""Mis-decoded texts are found, real accents are not taken for them."""

import pytest

from skbert_filter.io.mojibake import looks_misdecoded, misdecoded_share

CORRECT = [
    "Don’t miss our “winter” offers – now 20 % off…",
    "Le café du marché est fermé à Noël",
    "VENEZ AU MARCHÉ\xa0! SOCIÉTÉ ANONYME",
    "« LE CAFÉ »",
    "OUVERT TOUTE L’ANNÉE\xa0: RÉSERVEZ",
    "Größe und Maße ändern, „Über uns“",
    "GRÖSSE Ä Ö Ü ß",
    "¿Dónde está el baño? ¡Aquí! Nº 3, 2ª planta",
    "SÃO PAULO, A IRMÃ» E O PÃO, maçã… MAÇÃ”",
    "Â gauche, l’âge et la pâte",
    "Çağrı merkezi: İletişim ŞİRKETİ",
    "Știri și întâmplări",
    "Příliš žluťoučký kůň",
    "Привет, мир",
    "東京都の会社概要",
    "25 °C ± 2 µm © ACME® €5 £4",
    "👍 great",
]


@pytest.mark.parametrize("text", CORRECT)
def test_correct_text_in_many_languages_is_left_alone(text):
    assert not looks_misdecoded(text)


@pytest.mark.parametrize("codec", ["cp1252", "latin-1"])
@pytest.mark.parametrize(
    "text",
    [
        "Don’t miss it",
        "the “best” offers",
        "Product™ – new",
        "café",
        "Größe",
        "el baño",
        "Price:\xa0€30",
        "25 °C",
        "© ACME",
        "\ufeffName",
        "Příliš žluťoučký kůň",
        "Привет, мир",
        "東京都",
        "👍 great",
    ],
)
def test_the_same_kind_of_text_read_with_the_wrong_codec_is_found(text, codec):
    raw = text.encode()
    if codec == "cp1252":  # as browsers do, unassigned bytes pass as control characters
        wrong = "".join(bytes([b]).decode("cp1252", errors="ignore") or chr(b) for b in raw)
    else:
        wrong = raw.decode("latin-1")
    assert looks_misdecoded(wrong)


def test_a_wrong_piece_within_a_text_that_is_right_elsewhere_is_found():
    assert looks_misdecoded("東京 itâ€™s new, café")


def test_share():
    assert misdecoded_share([]) == 0
    assert misdecoded_share(iter(["a", "Ã©t\u00c3\u00a9", "été", "b"])) == 0.25
