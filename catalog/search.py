"""Search as one types. `find()` is the one function behind which a search engine could stand.

It is PostgreSQL's own search: the words of names and brands are `tsvector`s that the application
makes, without any language's rules, in GIN indexes. The index of the popular foods, a few per cent
of all, is asked first, and the others only if it finds little. What they find is bounded, so that a
search takes about as long however many foods there are.

GIN reads all that starts with a word before it compares, and is fast with words that it knows
whole. So a table of all words is asked first which there are. It also tells which of the forms of a
mistyped word exist.
"""

from __future__ import annotations

import string
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache
from itertools import chain
from typing import Any, NamedTuple
from uuid import UUID

from django.db import OperationalError, connection, transaction

from catalog.words import name_key, quoted
from countonme.api.text import compounds, is_unspaced
from countonme.scope.prepared import Prepared
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

# Of the words that start with what was typed, so many are looked up whole. More are looked up by
# their start.
MOST_WORDS = 40

# The planner does not know how few foods have a word: it would read the whole table, or another
# index of it.
SETTINGS = f"""
SELECT set_config('statement_timeout', '{STATEMENT_TIMEOUT}', true),
    set_config('enable_seqscan', 'off', true),
    set_config('enable_indexscan', %(index_scans)s, true),
    set_config('enable_indexonlyscan', %(index_scans)s, true), set_config('jit', 'off', true),
    set_config('plan_cache_mode', 'force_generic_plan', true)
"""
# Words of foods that start with one of these, and one more than wanted where there are more; and,
# without a start, those that are one of some words.
WORDS = """
SELECT start, word FROM unnest(%(starts)s::text[]) AS start, LATERAL (
    SELECT word FROM catalog_words
    WHERE word >= start AND word < start || chr(1114111)  -- the last character of all
    ORDER BY word LIMIT %(most)s + 1
) AS found
UNION ALL SELECT NULL, word FROM catalog_words WHERE word = ANY(%(wholes)s)
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
# If these are enough, they are the best popular foods. A letter begins a word of many more foods,
# and to look at all takes twice as long.
POPULAR_STARTS = POPULAR.replace(
    "WHERE",
    "WHERE name_key >= %(key)s AND name_key < %(key)s || chr(1114111) AND NOT doubtful AND",
)
KNOWN, OTHERS = (
    f"""
    SELECT {RANK} FROM (
        SELECT * FROM catalog_foods
        WHERE is_live AND NOT is_popular AND {condition} AND words @@ %(selective)s::tsquery
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


def find(text: str, language: str = "", enough: int = ENOUGH) -> list[Hit]:
    """Return the foods that a search finds, the best first: a few hundred at most.

    Each word of the search must start a word of name or brand. Where nothing does, words with one
    letter wrong count. The digits of a barcode find the foods with it.

    Args:
        text: what was typed, the last word perhaps by half.
        language: two letters; foods in it come first among those that match alike.
        enough: how many hits are enough not to look among less popular foods as well.

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
    only_short = all(is_short("".join(pieces)) for pieces in typed)
    with transaction.atomic(), connection.cursor() as cursor:
        for known, mistyped in _readings(cursor, typed):
            # Many foods have a word that starts with a short one: too many to look all up.
            selective = [
                pieces
                for pieces in typed
                if not is_short(word := "".join(pieces)) or known[word] != by_start(word)
            ]
            values = {
                "query": to_tsquery(typed, known.__getitem__),
                "selective": to_tsquery(selective, known.__getitem__, short=False),
                "key": key,
                "language": language,
            }
            hits = {*_ask(cursor, WHOLE_NAME, values), *_popular(cursor, values, only_short)}
            is_slow = False
            try:
                with transaction.atomic():
                    for part in (KNOWN, OTHERS):
                        if values["query"] and not only_short and len(hits) < enough:
                            hits |= {*_ask(cursor, part, values)}
            except OperationalError:
                # What was found until here is all, and no second is lost on another try.
                is_slow = True
            if hits or is_slow:
                return sorted(_as_if_typed_right(hits, key) if mistyped else hits)
    return []


def _popular(cursor: Any, values: dict[str, Any], only_short: bool) -> list[Hit]:
    """Return the best of the popular foods."""
    if not values["query"]:
        return []
    if only_short:
        found = _ask(cursor, POPULAR_STARTS, values)
        if len(found) == CANDIDATES:
            return found
    return _ask(cursor, POPULAR, values)


def with_barcode(gtin_14: str) -> list[Hit]:
    """Return the foods with a barcode, one of each source, the best known first."""
    with connection.cursor() as cursor:
        return sorted(_ask(cursor, BARCODE, {"gtin_14": gtin_14}))


@cache
def _copies() -> Prepared:
    def build(device: Any, foods: Any) -> Any:
        products: Any = Product.objects.for_device(device)
        return products.filter(catalog_id__any_of=foods).in_order()

    return Prepared(build, "device", "foods")


def find_with_own(
    device_id: UUID, text: str, language: str, limit: int
) -> list[tuple[Product | None, UUID | None]]:
    """Return what a search finds of a device's own products and of the catalog, in one order.

    A food of which the device has a copy is the copy. Of what matches alike, the device's own
    products come first.

    Returns:
        Pairs of a product and the id of a food, one of which is None.
    """
    foods = find(text, language, limit)
    products: Any = Product.objects.for_device(device_id)
    is_barcode = gtin.to_gtin_14(gtin.compact(text)) is not None
    if is_barcode:
        own = products.with_barcode(gtin.compact(text)).in_order()
    else:
        own = products.search(text).best_first(text)
    copies = _copies().instances(device=device_id, foods=[hit.id for hit in foods])
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


def _readings(
    cursor: Any, typed: Sequence[Sequence[str]]
) -> Iterator[tuple[dict[str, list[str]], bool]]:
    """Yield what is looked up for each word, and whether letters may be wrong, the likeliest first.

    The words are as they were typed; then those that no food has are mistyped; then any may be. To
    look for what is like a common word takes long, and is seldom meant.
    """
    known = lexemes_of(cursor, typed)
    yield known, False
    mistyped = lexemes_of(cursor, typed, mistyped=True)
    unknown = {word: mistyped[word] for word, found in known.items() if not found}
    if 0 < len(unknown) < len(known):
        yield known | unknown, True
    yield mistyped, True


def lexemes_of(
    cursor: Any, typed: Sequence[Sequence[str]], *, mistyped: bool = False
) -> dict[str, list[str]]:
    """Return what is looked up for each word that was typed, and each piece of one.

    They are the foods' own words that it may stand for, none if there are none.

    Args:
        typed: words as `compounds()` yields them.
        mistyped: whether each longer word may have one letter wrong. Only the last may then be half
            typed as well: other words are looked up whole, which takes less time.
    """
    last = typed[-1][-1]
    words = {form for pieces in typed for form in (*pieces, "".join(pieces))}
    # What the words of foods may start with, and be as a whole.
    starts = {word: [word] for word in words}
    wholes: dict[str, list[str]] = {word: [] for word in words}
    if mistyped:
        for word in words:
            if len(word) >= SHORTEST_MISTYPED and not is_unspaced(word):
                forms = {*one_letter_off(word)} - {word}
                (starts if word == last else wholes)[word].extend(forms)
    most = 1 if mistyped else MOST_WORDS
    values = {"starts": [*chain(*starts.values())], "wholes": [*chain(*wholes.values())]}
    # Words are found by their index, and after this foods by bitmaps alone.
    cursor.execute(SETTINGS, {"index_scans": "on"})
    cursor.execute(WORDS, values | {"most": most})
    found: dict[str | None, list[str]] = defaultdict(list)
    for start, word in cursor.fetchall():
        found[start].append(word)
    cursor.execute(SETTINGS, {"index_scans": "off"})

    def lexemes(word: str) -> Iterator[str]:
        for start in starts[word]:
            yield from by_start(start) if len(found[start]) > most else map(quoted, found[start])
        yield from map(quoted, set(wholes[word]).intersection(found[None]))

    return {word: sorted(set(lexemes(word))) for word in words}


def by_start(word: str) -> list[str]:
    """Return what is looked up for a word where it is not known which words start with it."""
    return [f"{quoted(word)}:*"]


def to_tsquery(
    typed: Iterable[Sequence[str]],
    lexemes: Callable[[str], Sequence[str]] = by_start,
    *,
    short: bool = True,
) -> str:
    """Return the `tsquery` for words as `compounds()` yields them; "" if it can't find anything.

    Args:
        lexemes: returns what is looked up for a word.
        short: whether to look up short pieces of words, as the letter in O'Brien.
    """

    def is_found(pieces: Sequence[str]) -> str:
        ways = [*lexemes("".join(pieces))]
        if pieces[1:] and (short or not any(map(is_short, pieces))):
            each = [" | ".join(lexemes(piece)) for piece in pieces]
            if all(each):
                ways.append(" & ".join(f"({way})" for way in each))
        return " | ".join(ways)

    terms = [is_found(pieces) for pieces in typed]
    return " & ".join(f"({term})" for term in terms) if all(terms) else ""


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
