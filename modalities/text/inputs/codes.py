"""Codes and names of languages: the same language under BCP 47 (`ja`, `zh-Hans`), ISO 639-2 and 639-3 (`jpn`, `ger`)
and by its English name, as files, columns and corpora have it.

https://www.loc.gov/standards/iso639-2/php/code_list.php, https://iso639-3.sil.org/code_tables/639/data
"""

from __future__ import annotations

import re

TABLE = """
af afr afrikaans|am amh amharic|ar ara arb arabic|as asm assamese|az aze azj azerbaijani|be bel belarusian
bg bul bulgarian|bn ben bengali|bo bod tib tibetan|bs bos bosnian|ca cat catalan|cs ces cze czech|cy cym wel welsh
da dan danish|de deu ger german|dz dzo dzongkha|el ell gre greek|en eng english|eo epo esperanto|es spa spanish
et est ekk estonian|eu eus baq basque|fa fas per pes persian|fi fin finnish|fil filipino|fr fra fre french
ga gle irish|gd gla gaelic|gl glg galician|gu guj gujarati|ha hau hausa|he heb hebrew|hi hin hindi|hr hrv croatian
ht hat haitian|hu hun hungarian|hy hye arm armenian|id ind indonesian|ig ibo igbo|is isl ice icelandic|it ita italian
ja jpn japanese|jv jav javanese|ka kat geo georgian|kk kaz kazakh|km khm khmer|kn kan kannada|ko kor korean
ku kur kurdish|ky kir kyrgyz|la lat latin|lb ltz luxembourgish|lo lao lao|lt lit lithuanian|lv lav lvs latvian
mg mlg plt malagasy|mi mri mao maori|mk mkd mac macedonian|ml mal malayalam|mn mon khk mongolian|mr mar marathi
ms msa may zsm malay|mt mlt maltese|my mya bur burmese|nb nob bokmal|ne nep npi nepali|nl nld dut dutch|nn nno nynorsk
no nor norwegian|or ori ory odia|pa pan punjabi|pl pol polish|ps pus pashto|pt por portuguese|ro ron rum romanian
ru rus russian|sd snd sindhi|si sin sinhala|sk slk slo slovak|sl slv slovenian|so som somali|sq sqi alb albanian
sr srp serbian|sv swe swedish|sw swa swh swahili|ta tam tamil|te tel telugu|tg tgk tajik|th tha thai|tk tuk turkmen
tl tgl tagalog|tr tur turkish|tt tat tatar|ug uig uyghur|uk ukr ukrainian|ur urd urdu|uz uzb uzn uzbek
vi vie vietnamese|xh xho xhosa|yi yid ydd yiddish|yo yor yoruba|zh zho chi cmn chinese mandarin|zu zul zulu
"""
ENTRIES = [entry.split() for entry in re.split(r"[|\n]", TABLE) if entry.strip()]
SHORT = {code: entry[0] for entry in ENTRIES for code in entry if len(code) <= 3}
NAMED = {name: entry[0] for entry in ENTRIES for name in entry if len(name) > 3}
LIKE = {"yue": "zh", "wuu": "zh", "nan": "zh", "hak": "zh", "lzh": "zh", "gan": "zh", "hsn": "zh", "prs": "fa"}
"""Other languages, written and measured like one of the table."""


def normal(tag: str) -> str:
    """One spelling of a tag: lower case, `-` between its parts, the shortest code of the language.

    >>> normal("jpn"), normal("zh_Hans"), normal("deu-CH"), normal("German"), normal("yue"), normal("xx")
    ('ja', 'zh-hans', 'de-ch', 'de', 'yue', 'xx')
    """
    base, *rest = tag.strip().replace("_", "-").lower().split("-")
    return "-".join([NAMED.get(base, SHORT.get(base, base)), *rest])


def base(tag: str) -> str:
    """The language by which a text is measured: `pt` of `pt-BR`, `ja` of `jpn`, `zh` of `yue`."""
    short = normal(tag).partition("-")[0]
    return LIKE.get(short, short)


def romanised(tag: str) -> bool:
    """Whether a tag says that a language without spaces is written in letters that have them: `ja-Latn`."""
    return bool({"latn", "cyrl"} & set(normal(tag).split("-")[1:]))
