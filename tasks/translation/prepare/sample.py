"""The embedded sample: English-Japanese pairs rendered from CLDR data (Babel) in sentence templates, seeded.

Writes `train.en`, `train.ja`, `dev.en`, `dev.ja`, `test.en`, `test.ja`: no sentence of either language stands twice.
"""

from __future__ import annotations

import datetime
import random
import re
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from babel import Locale, dates, numbers, units

from core.files import write_text
from tasks.translation.prepare.templates import (
    COUNTRIES,
    CURRENCIES,
    DURATIONS,
    EVENTS,
    LANGUAGES,
    PEOPLE,
    SMALL_UNITS,
    TEMPLATES,
    THINGS,
    WITH_ARTICLE,
)

TRIES = 200
"""Draws for each pair wanted, after which the templates are taken to be exhausted."""
Both = tuple[str, str]
"""The same in English and Japanese."""


def sample(folder: Path, params: Any, seed: int) -> None:
    """See `core.task.Prepare`; `params.data.sample.pairs` pairs over all three splits."""
    total, shares = params.data.sample.pairs, params.data.splits
    pairs = distinct(total, seed)
    val, test = (max(1, round(share * total)) for share in (shares.val, shares.test))
    parts = {"dev": pairs[:val], "test": pairs[val : val + test], "train": pairs[val + test :]}
    for name, rows in parts.items():
        for side, language in enumerate(("en", "ja")):
            write_text(folder / f"{name}.{language}", "".join(row[side] + "\n" for row in rows))


def distinct(count: int, seed: int) -> list[Both]:
    """`count` pairs, no sentence of either language twice."""
    rng = random.Random(seed)  # noqa: S311 - no secrets here
    pairs: list[Both] = []
    seen: set[str] = set()
    for _ in range(TRIES * count):
        english, japanese = render(rng)
        if english.casefold() not in seen and japanese not in seen:
            seen |= {english.casefold(), japanese}
            pairs.append((english, japanese))
            if len(pairs) == count:
                return pairs
    raise AssertionError(f"the templates give fewer than {count} pairs")


def render(rng: random.Random) -> Both:
    """One template with every slot filled; `{date2}` is a second draw of `{date}`, unlike the first."""
    english, japanese = rng.choice(TEMPLATES)
    drawn: dict[str, Both] = {}
    for slot in re.findall(r"{(\w+)}", english):
        draw = SLOTS[slot.rstrip("2")]
        value = draw(rng)
        while value in drawn.values():
            value = draw(rng)
        drawn[slot] = value
    left = english.format(**{slot: value[0] for slot, value in drawn.items()})
    right = japanese.format(**{slot: value[1] for slot, value in drawn.items()})
    return left[0].upper() + left[1:], right


def _both(render_in: Callable[[str], str]) -> Both:
    """CLDR sets no-break and thin spaces; Japanese takes none between a number and its unit."""
    english, japanese = (render_in(locale) for locale in ("en", "ja"))
    return re.sub(r"\s+", " ", english), re.sub(r"\s+", "", japanese)


@cache
def _locale(name: str) -> Locale:
    return Locale.parse(name)


def _date(rng: random.Random, form: str = "long") -> Both:
    day = datetime.date(1950, 1, 1) + datetime.timedelta(days=rng.randrange(80 * 365))
    return _both(lambda locale: dates.format_date(day, form, locale))


def _skeleton(rng: random.Random, form: str) -> Both:
    day = datetime.date(rng.randint(1950, 2029), rng.randint(1, 12), rng.randint(1, 28))
    return _both(lambda locale: dates.format_skeleton(form, day, locale=locale))


def _month(rng: random.Random) -> Both:
    month = rng.randint(1, 12)
    return _both(lambda locale: _locale(locale).months["stand-alone"]["wide"][month])


def _age(rng: random.Random) -> Both:
    years = str(rng.randint(6, 95))
    return years, years


def _time(rng: random.Random, low: int = 6, high: int = 22) -> Both:
    moment = datetime.time(rng.randint(low, high), rng.choice((0, 0, 15, 30, 45, rng.randrange(60))))
    return _both(lambda locale: dates.format_time(moment, "short", locale=locale))


def _weekday(rng: random.Random) -> Both:
    day = rng.randrange(7)
    return _both(lambda locale: _locale(locale).days["stand-alone"]["wide"][day])


def _country(rng: random.Random) -> Both:
    code = rng.choice(COUNTRIES)
    english, japanese = _both(lambda locale: _locale(locale).territories[code])
    return ("the " + english if code in WITH_ARTICLE else english), japanese


def _language(rng: random.Random) -> Both:
    code = rng.choice(LANGUAGES)
    return _both(lambda locale: _locale(locale).languages[code])


def _amount(rng: random.Random) -> int:
    """Prices people meet: two digits that count, then zeros."""
    return rng.randint(2, 99) * 10 ** rng.choice((0, 0, 1, 2))


def _money(rng: random.Random) -> Both:
    code = rng.choice(CURRENCIES)
    amount = _amount(rng) * (100 if code in SMALL_UNITS else 1)
    return _both(
        lambda locale: numbers.format_currency(amount, code, locale=locale, format_type="name", currency_digits=False)
    )


def _unit(rng: random.Random, kinds: tuple[str, ...], low: int, high: int) -> Both:
    number, kind = rng.randint(low, high), rng.choice(kinds)
    # CLDR gives Japanese durations in short form only, which is the written-out one.
    short = kind.startswith("duration-")
    return _both(
        lambda locale: units.format_unit(number, kind, "short" if short and locale == "ja" else "long", locale=locale)
    )


def _number(rng: random.Random) -> Both:
    number = rng.randint(2, 99) * rng.choice((1, 1, 1, 10, 10, 100))
    return _both(lambda locale: numbers.format_decimal(number, locale=locale))


def _percent(rng: random.Random) -> Both:
    share = rng.randint(2, 98) / 100
    return _both(lambda locale: numbers.format_percent(share, locale=locale))


SLOTS: dict[str, Callable[[random.Random], Both]] = {
    "date": _date,
    "full_date": lambda rng: _date(rng, "full"),
    "day": lambda rng: _skeleton(rng, "MMMMd"),
    "month": _month,
    "month_year": lambda rng: _skeleton(rng, "yMMMM"),
    "weekday": _weekday,
    "time": _time,
    "morning": lambda rng: _time(rng, 6, 11),
    "evening": lambda rng: _time(rng, 13, 22),
    "country": _country,
    "language": _language,
    "money": _money,
    "number": _number,
    "percent": _percent,
    "age": _age,
    "duration": lambda rng: _unit(rng, DURATIONS, 2, 50),
    "hours": lambda rng: _unit(rng, ("duration-hour",), 2, 12),
    "years": lambda rng: _unit(rng, ("duration-year",), 2, 40),
    "distance": lambda rng: _unit(rng, ("length-kilometer", "length-mile"), 2, 90),
    "walk": lambda rng: _unit(rng, ("length-kilometer",), 2, 30),
    "mass": lambda rng: _unit(rng, *rng.choice(((("mass-kilogram",), 2, 20), (("mass-gram",), 100, 950)))),
    "temperature": lambda rng: _unit(rng, ("temperature-celsius",), 2, 39),
    "speed": lambda rng: _unit(rng, ("speed-kilometer-per-hour",), 20, 320),
    "area": lambda rng: _unit(rng, ("area-square-meter", "area-square-kilometer"), 20, 900),
    "size": lambda rng: _unit(rng, ("digital-megabyte", "digital-gigabyte"), 2, 900),
    "person": lambda rng: rng.choice(PEOPLE),
    "event": lambda rng: rng.choice(EVENTS),
    "thing": lambda rng: rng.choice(THINGS),
}
