"""Search as one types. `find()` is the one function behind which a search engine could stand.

It is PostgreSQL's own search: the words of names and brands are `tsvector`s that the application
makes, without any language's rules, in two GIN indexes. The index of the popular foods, a few per
cent of all, is asked first, and the other only if it finds little. What they find is bounded, so
that a search takes about as long however many foods there are.
"""

from __future__ import annotations

import string
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple
from uuid import UUID

from django.db import OperationalError, connection, transaction

from catalog.words import name_key, quoted
from countonme.api.text import compounds, is_unspaced
from products import gtin
from products.models import Product

# The most popular foods that a search finds; its last page ends with them and a few others.
CANDIDATES = 200
# So many are enough not to look among less popular foods as well.
ENOUGH = 50
# The most that are looked at of the foods that are not close together: each is on another page.
LOOKED_AT = 60
# Words of no more letters are short.
SHORT = 2
# Only longer words may have a letter wrong.
SHORTEST_MISTYPED = 4
# In milliseconds. What is found until then is answered.
STATEMENT_TIMEOUT = 1000
# The order of the letters matters to no alphabet; which letters there are does.
ALPHABETS = (
    string.ascii_lowercase,
    "αβγδεζηθικλμνξοπρστυφχψω",
    "абвгдежзиклмнопрстуфхцчшщъыьэюяієґ",
)

# The planner does not know how few foods have a word: it would read the whole table, or take
# milliseconds to think about each of a mistyped word's forms.
SETTINGS = f"""
SELECT set_config('statement_timeout', '{STATEMENT_TIMEOUT}', true),
    set_config('enable_seqscan', 'off', true), set_config('enable_indexscan', 'off', true),
    set_config('enable_indexonlyscan', 'off', true), set_config('jit', 'off', true),
    set_config('plan_cache_mode', 'force_generic_plan', true)
"""
RANK = """
doubtful,
CASE WHEN name_key = %(key)s THEN 0 WHEN starts_with(name_key, %(key)s) THEN 1 ELSE 2 END,
NOT is_generic,
%(language)s <> '' AND language IS DISTINCT FROM %(language)s,
-popularity, name_key, id
"""
POPULAR = f"""
SELECT {RANK.replace(", id", ", food_id")} FROM catalog_popular_foods
WHERE words @@ %(query)s::tsquery
ORDER BY 1, 2, 3, 4, 5, 6, 7 LIMIT {CANDIDATES}
"""  # noqa: S608  # our own SQL, here and below
KNOWN, OTHERS = (
    f"""
    SELECT {RANK} FROM (
        SELECT * FROM catalog_foods
        WHERE is_live AND NOT is_popular AND {condition} AND words @@ %(long_words)s::tsquery
        LIMIT {LOOKED_AT}
    ) AS found
    WHERE words @@ %(query)s::tsquery
    """  # noqa: S608
    for condition in ("popularity > 0", "popularity <= 0")
)
WHOLE_NAME = f"""
SELECT {RANK} FROM (
    SELECT * FROM catalog_foods WHERE is_live AND name_key = %(key)s LIMIT {LOOKED_AT}
) AS found
"""  # noqa: S608
# One food of each source: the one that is known best.
BARCODE = """
SELECT DISTINCT ON (source) doubtful, 0, NOT is_generic, false, -popularity, name_key, id
FROM catalog_foods WHERE is_live AND gtin_14 = %(gtin_14)s
ORDER BY source, doubtful, popularity DESC, source_updated_at DESC NULLS LAST, id
"""
WHOLE, START, WITHIN = range(3)


class Hit(NamedTuple):
    """A food that was found, and its place: hits sort best first."""

    doubtful: bool
    # Whether the name as a whole was typed, its start, or words within.
    match: int
    is_branded: bool
    is_in_another_language: bool
    unpopularity: int
    name_key: str
    id: UUID


def find(text: str, language: str = "") -> list[Hit]:
    """Return the foods that a search finds, the best first: a few hundred at most.

    Each word of the search must start a word of name or brand. Where nothing does, words with one
    letter wrong count. The digits of a barcode find the foods with it.

    Args:
        text: what was typed, the last word perhaps by half.
        language: two letters; foods in it come first among those that match alike.

    Raises:
        OperationalError: the database is too busy to find even popular foods in a second.
    """
    gtin_14 = gtin.to_gtin_14(gtin.compact(text))
    if gtin_14:
        return with_barcode(gtin_14)
    typed = list(compounds(text))
    if not typed:
        return []
    key = name_key(text)
    # Short words begin too many others to be looked up among all foods.
    long_words = [pieces for pieces in typed if not is_short("".join(pieces))]
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(SETTINGS)
        for mistyped in (False, True):
            values = {
                "query": to_tsquery(typed, mistyped=mistyped),
                "long_words": to_tsquery(long_words, mistyped=mistyped, short=False),
                "key": key,
                "language": language,
            }
            hits = {*_ask(cursor, POPULAR, values), *_ask(cursor, WHOLE_NAME, values)}
            try:
                with transaction.atomic():
                    for part in (KNOWN, OTHERS) if long_words else ():
                        if len(hits) < ENOUGH:
                            hits |= {*_ask(cursor, part, values)}
            except OperationalError:
                # Too slow: what was found until here is all, and no second is lost on another try.
                break
            if hits:
                break
    return sorted(_as_if_typed_right(hits, key) if mistyped else hits)


def with_barcode(gtin_14: str) -> list[Hit]:
    """Return the foods with a barcode, one of each source, the best known first."""
    with connection.cursor() as cursor:
        return sorted(_ask(cursor, BARCODE, {"gtin_14": gtin_14}))


def find_with_own(
    device_id: UUID, text: str, language: str, limit: int
) -> list[tuple[Product | None, UUID | None]]:
    """Return what a search finds of a device's own products and of the catalog, in one order.

    A food of which the device has a copy is the copy. Of what matches alike, the device's own
    products come first.

    Returns:
        Pairs of a product and the id of a food, one of which is None.
    """
    foods = find(text, language)
    products: Any = Product.objects.for_device(device_id)
    is_barcode = gtin.to_gtin_14(gtin.compact(text)) is not None
    if is_barcode:
        own = products.with_barcode(gtin.compact(text)).in_order()
    else:
        own = products.search(text).best_first(text)
    copies = products.filter(catalog_id__any_of=[hit.id for hit in foods]).in_order()
    copied = {product.catalog_id: product for product in copies}
    key = name_key(text)
    ranked: list[tuple[Any, Product | None, UUID | None]] = []
    listed = set()
    for product in own[:limit]:
        own_key = name_key(product.name)
        is_whole = is_barcode or own_key == key
        match = WHOLE if is_whole else START if own_key.startswith(key) else WITHIN
        ranked.append(((False, match, False, len(ranked)), product, None))
        listed.add(product.pk)
    for place, hit in enumerate(foods):
        copy = copied.get(hit.id)
        if copy is None:
            ranked.append(((hit.doubtful, hit.match, True, place), None, hit.id))
        elif copy.pk not in listed:
            ranked.append(((False, hit.match, False, limit + place), copy, None))
            listed.add(copy.pk)
    ranked.sort(key=lambda row: row[0])
    return [(product, food) for _, product, food in ranked[:limit]]


def to_tsquery(
    typed: Sequence[Sequence[str]], *, mistyped: bool = False, short: bool = True
) -> str:
    """Return the `tsquery` for words as `compounds()` yields them; each may be half typed.

    Args:
        mistyped: whether each longer word may have one letter wrong. Only the last may then be half
            typed as well: other words are looked up whole, which takes less time.
        short: whether to look up short pieces of words, as the letter in O'Brien.
    """
    last = typed[-1][-1] if typed else ""

    def has(word: str) -> str:
        found = f"{quoted(word)}:*"
        if not mistyped or len(word) < SHORTEST_MISTYPED or is_unspaced(word):
            return found
        end = ":*" if word == last else ""
        forms = {*one_letter_off(word)} - {word}
        return f"({found} | {' | '.join(quoted(form) + end for form in sorted(forms))})"

    def is_found(pieces: Sequence[str]) -> str:
        joined = has("".join(pieces))
        if not pieces[1:] or (not short and any(map(is_short, pieces))):
            return joined
        return f"({joined} | ({' & '.join(map(has, pieces))}))"

    return " & ".join(map(is_found, typed))


def is_short(word: str) -> bool:
    """Return whether a word has two letters at most, of a script with blanks between words."""
    return len(word) <= SHORT and not is_unspaced(word)


def one_letter_off(word: str) -> Iterable[str]:
    """Yield the words that become this one by a letter too few, too many or wrong, or two swapped.

    The first letter is taken as right.
    """
    letters = next((a for a in ALPHABETS if not set(word).isdisjoint(a)), "")
    for place in range(1, len(word)):
        before, here, after = word[:place], word[place], word[place + 1 :]
        yield before + after
        if after:
            yield before + after[0] + here + after[1:]
        for letter in letters:
            yield before + letter + after
            yield before + letter + here + after


def _ask(cursor: Any, sql: str, values: dict[str, Any]) -> list[Hit]:
    cursor.execute(sql, values)
    return [Hit(*row) for row in cursor.fetchall()]


def _as_if_typed_right(hits: Iterable[Hit], key: str) -> Iterable[Hit]:
    """Yield hits whose names match a mistyped search as a whole or at their start as such."""
    forms = {*one_letter_off(key)}
    for hit in hits:
        starts = {hit.name_key[: len(key) + more] for more in (-1, 0, 1)}
        match = WHOLE if hit.name_key in forms else WITHIN if forms.isdisjoint(starts) else START
        yield Hit(hit.doubtful, match, *hit[2:])
