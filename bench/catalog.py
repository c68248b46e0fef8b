"""The catalog: an import of millions of foods, and what a phone waits for while one types."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from http.client import HTTPConnection
from itertools import accumulate, islice, product
from math import ceil
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple
from urllib.parse import urlencode

from bench import fill, load
from bench.endurance import resident_mb
from bench.fill import Connection
from bench.load import BenchError
from bench.servers import DATA_DIR, ROOT, connect, database, environment, serving
from bench.world import Call

FOODS = 3_000_000
SOURCE = "bench"
# How many of each call are timed.
SEARCHES, BARCODES, COPIES = 1_000, 1_000, 200
# Calls before those that are timed, so that every thread of both workers has answered some.
WARM_UP = 200
# `ASKING` asks for its products, its foods and barcodes. `OTHER` copies and is the busy one, so
# that the list of products that all is compared with stays as long as it is.
ASKING, OTHER = range(2)
DEVICES, PRODUCTS, ENTRIES = 2, 200, 900
LIST = Call(ASKING, "GET", "/v1/products")
FOUND, CATALOG = "GET /v1/foods", "GET /v1/catalog/foods?search="
BARCODE, COPY = "GET /v1/catalog/foods?barcode=", "POST /v1/catalog/foods/{id}/copy"

WORDS = Path(__file__).with_name("foods.txt")
# How much of the file is in each language.
LANGUAGES = {"en": 40, "fr": 25, "de": 15, "es": 12, "it": 8}
SYLLABLES = [
    consonant + vowel
    for consonant in ("b", "d", "f", "g", "k", "l", "m", "n", "p", "r", "s", "t", "v", "z")
    for vowel in "aeio"
]
BRANDS = 30_000
# The most frequent words are this many ranks down Zipf's curve: without it, half of all names would
# have the first of a list as short as ours. In FoodData Central "chocolate" is in 5 %.
RANKS_LEFT_OUT = 10
LETTERS = "abcdefghijklmnopqrstuvwxyz"
COLUMNS = (
    "source_id,name,brand,language,generic,kcal_100g,protein_100g,carbs_100g,fat_100g,fiber_100g,"
    "sugars_100g,saturated_fat_100g,salt_100g,barcode,serving_name,serving_grams,popularity\n"
)
# Figures that have an aim: name, place in the results, and the least or most that it should be.
GOALS = [
    ("import, rows/s", ("import", "rows_per_s"), ">=", 5_000),
    ("the same file again, rows/s", ("again", "rows_per_s"), ">=", 20_000),
    ("import, peak MB", ("import", "peak_mb"), "<=", 300),
    *(
        goal
        for name in (FOUND, CATALOG)
        for goal in (
            (f"{name}, p95", ("calls", name, "p95_ratio"), "<=", 10),
            (f"{name}, worst", ("calls", name, "worst_ratio"), "<=", 40),
        )
    ),
    (f"{BARCODE}, p50", ("calls", BARCODE, "p50_ratio"), "<=", 1.5),
]


class Sample(NamedTuple):
    """What calls need to know of a food in the file."""

    source_id: str
    name: str
    language: str
    barcode: str


def measure(rounds: int, seconds: float, foods: int = FOODS) -> dict[str, Any]:
    """Return the figures of imports, of calls, and of a phone beside one that searches.

    Raises:
        BenchError: an import or a call failed.
    """
    with TemporaryDirectory(dir=DATA_DIR) as folder, database("catalog") as url:
        path = Path(folder) / "foods.csv"
        print(f"Writing {foods:,} foods …", flush=True)
        samples = write_csv(path, foods)
        with connect(url) as connection:
            print("Importing them …", flush=True)
            first = import_csv(connection, url, path, f"new {foods}")
            # Also vacuums and analyzes all tables, as time would until the next import.
            fill.fill(connection, DEVICES, DEVICES * ENTRIES, PRODUCTS)
            print("Importing them again …", flush=True)
            again = import_csv(connection, url, path, f"unchanged {foods}")
            sizes = sizes_mb(connection)
        for figures in (first, again):
            figures["rows_per_s"] = round(foods / figures["seconds"])
        with serving("ours", url) as server:
            print("Calling …", flush=True)
            calls = time_calls(server.port, samples)
            print("Searching beside others …", flush=True)
            beside = time_beside(server.port, samples, rounds, seconds)
    return {
        "foods": foods,
        "import": first,
        "again": again,
        "sizes_mb": sizes,
        "calls": calls,
        "beside": beside,
    }


def write_csv(path: Path, foods: int) -> list[Sample]:
    """Write a file in the format `csv`, the same every time; return a sample of its foods."""
    chance = random.Random(0)
    languages = chance.choices(list(LANGUAGES), list(LANGUAGES.values()), k=foods)
    lists = dict(line.split(maxsplit=1) for line in WORDS.read_text().splitlines())
    words = {language: lists[language].split() for language in LANGUAGES}
    word_weights = {language: zipf(len(words[language])) for language in LANGUAGES}
    brands = ["".join(three).title() for three in product(SYLLABLES, repeat=3)]
    brands = chance.sample(brands, BRANDS)
    brand_weights = zipf(BRANDS)
    wanted = set(chance.sample(range(foods), min(foods, 2 * SEARCHES + BARCODES + COPIES)))
    samples = []
    with path.open("w", encoding="utf-8") as file:
        file.write(COLUMNS)
        for number, language in enumerate(languages):
            length = chance.choice((2, 3, 3, 4, 5))
            picked = chance.choices(words[language], cum_weights=word_weights[language], k=length)
            name = " ".join(dict.fromkeys(picked)).capitalize()
            is_generic = number % 400 == 0
            (brand,) = chance.choices(brands, cum_weights=brand_weights)
            brand = "" if is_generic or number % 7 == 0 else brand
            code = "" if is_generic or number % 10 == 0 else barcode(number)
            serving = f"1 serving,{10 + number % 290}" if number % 3 == 0 else ","
            # 2 % have 20 or more, three in five have none.
            popularity = int(0.4 / (1 - chance.random()))
            file.write(
                f"{number},{name},{brand},{language},{is_generic:d},{nutrients(chance)},{code},"
                f"{serving},{popularity}\n"
            )
            if number in wanted:
                samples.append(Sample(str(number), name, language, code))
    chance.shuffle(samples)
    return samples


def zipf(length: int) -> list[float]:
    """Return the cumulated weights of words by their rank, after Zipf and Mandelbrot."""
    return list(accumulate(1 / (rank + RANKS_LEFT_OUT) for rank in range(1, length + 1)))


def barcode(number: int) -> str:
    """Return a GTIN-13 that no other number has. Neighbours lie far apart, as in real files."""
    digits = f"3{number * 387_420_489 % 10**11:011}"
    total = sum(map(int, digits[0::2])) + 3 * sum(map(int, digits[1::2]))
    return f"{digits}{-total % 10}"


def nutrients(chance: random.Random) -> str:
    """Return columns of energy and nutrients that fit each other."""
    left = 100.0
    protein = round(chance.random() * left * 0.3, 1)
    carbs = round(chance.random() * (left - protein), 1)
    fat = round(chance.random() * (left - protein - carbs) * 0.6, 1)
    kcal = round(4 * protein + 4 * carbs + 9 * fat)
    share = chance.random()
    parts = (carbs * share * 0.2, carbs * (1 - share), fat * share, share * 2)
    return ",".join([f"{kcal},{protein},{carbs},{fat}", *(f"{part:.2f}" for part in parts)])


def import_csv(connection: Connection, url: str, path: Path, outcome: str) -> dict[str, float]:
    """Import the file; return seconds, the peak of memory, and what was written to the WAL.

    Raises:
        BenchError: it fails, or its summary does not have the outcome.
    """
    command = [sys.executable, "manage.py", "import_catalog", "csv", str(path)]
    source = ["--source", SOURCE, "--name", "Bench", "--licence", "CC0"]
    log = DATA_DIR / "import.log"
    connection.execute("CHECKPOINT")
    before = wal(connection)
    start = time.perf_counter()
    peak = 0.0
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*command, *source, "--url", "https://example.org/foods"],
            cwd=ROOT,
            env=environment(url),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )
        try:
            while process.poll() is None:
                # What the kernel counts for `getrusage()` begins with the peak of this process.
                peak = max(peak, resident_mb(process.pid, "VmHWM"))
                time.sleep(0.05)
        finally:
            process.kill()
            process.wait()
    seconds = time.perf_counter() - start
    written = wal(connection) - before
    if process.returncode or outcome not in map(str.strip, log.read_text().splitlines()):
        raise BenchError(f"The import failed, or had another outcome than {outcome!r}; see {log}.")
    return {
        "seconds": round(seconds, 1),
        "peak_mb": round(peak, 1),
        "wal_mb": round(written / 2**20, 1),
    }


def wal(connection: Connection) -> int:
    """Return how many bytes have ever been written to the WAL."""
    return int(one(connection, "SELECT pg_current_wal_lsn() - '0/0'"))


def one(connection: Connection, statement: str) -> Any:
    row = connection.execute(statement.encode()).fetchone()
    return row and row[0]


def sizes_mb(connection: Connection) -> dict[str, float]:
    """Return the sizes of the catalog's tables, TOAST included, and of each of their indexes."""
    rows = connection.execute(
        """
        SELECT relname, CASE relkind WHEN 'r' THEN pg_table_size(oid) ELSE pg_relation_size(oid) END
        FROM pg_class
        WHERE oid IN (
            SELECT unnest(ARRAY[indrelid, indexrelid]) FROM pg_index
            WHERE indrelid IN (
                'catalog_foods'::regclass, 'catalog_popular_foods'::regclass,
                'catalog_words'::regclass
            )
        )
        ORDER BY relkind DESC, relname
        """
    ).fetchall()
    return {name: round(size / 2**20, 1) for name, size in rows}


class Phone:
    """A client with one connection that stays open, and one call after the other."""

    def __init__(self, port: int) -> None:
        self.connection = HTTPConnection("127.0.0.1", port, timeout=30)

    def close(self) -> None:
        self.connection.close()

    def timed(self, call: Call) -> tuple[float, bytes]:
        """Return the milliseconds until a call was answered, and the answer.

        Raises:
            BenchError: it was not answered with 200 or 201.
        """
        headers = call.headers
        start = time.perf_counter()
        self.connection.request(call.method, call.path, headers=headers)
        response = self.connection.getresponse()
        body = response.read()
        milliseconds = (time.perf_counter() - start) * 1000
        if response.status not in (200, 201):
            raise BenchError(f"{call.method} {call.path} answered {response.status}.")
        return milliseconds, body


def time_calls(port: int, samples: Sequence[Sample]) -> dict[str, dict[str, Any]]:
    """Return the figures of each call, beside those of the list of products.

    All calls come in one order by chance. Each has the list of products before it, so that what
    else runs on the machine disturbs both alike.
    """
    foods = iter(samples)
    calls = [
        *(
            (kind, search(kind, text, language))
            for kind in (FOUND, CATALOG)
            for text, language in typed(islice(foods, SEARCHES))
        ),
        *((BARCODE, call) for call in islice(barcodes(foods), BARCODES)),
        *((COPY, call) for call in islice(copies(foods), COPIES)),
    ]
    random.Random(1).shuffle(calls)
    reference: list[float] = []
    seen: dict[str, list[float]] = {kind: [] for kind in (FOUND, CATALOG, BARCODE, COPY)}
    slowest: dict[str, tuple[float, str]] = dict.fromkeys(seen, (0, ""))
    empty = dict.fromkeys(seen, 0)
    with closing(Phone(port)) as phone:
        for text, language in typed(samples[-WARM_UP:]):
            phone.timed(LIST)
            phone.timed(search(FOUND, text, language))
        for kind, call in calls:
            reference.append(phone.timed(LIST)[0])
            milliseconds, body = phone.timed(call)
            seen[kind].append(milliseconds)
            empty[kind] += body == b"[]"
            slowest[kind] = max(slowest[kind], (milliseconds, call.path))
    base = median(reference)
    found: dict[str, dict[str, Any]] = {"GET /v1/products": figures_of(reference, base)}
    for kind, times in seen.items():
        found[kind] = {
            **figures_of(times, base),
            "empty": round(empty[kind] / len(times), 3),
            "slowest": slowest[kind][1],
        }
    return found


def figures_of(times: Sequence[float], base: float) -> dict[str, float]:
    """Return p50, p95 and the worst of times, in milliseconds and over a base."""
    figures = {"p50": median(times), "p95": percentile_95(times), "worst": max(times)}
    return {
        **{f"{name}_ms": round(value, 2) for name, value in figures.items()},
        **{f"{name}_ratio": round(value / base, 2) for name, value in figures.items()},
    }


def percentile_95(times: Sequence[float]) -> float:
    return sorted(times)[ceil(0.95 * len(times)) - 1]


def typed(samples: Iterator[Sample] | Sequence[Sample]) -> Iterator[tuple[str, str]]:
    """Yield what people have typed at some moment, and their language.

    It is one to all letters of a word of a name. Half of the time another of its words stands
    before that, and one time in ten one letter is wrong.
    """
    chance = random.Random(2)
    for sample in samples:
        words = sample.name.lower().split()
        chance.shuffle(words)
        last = words[0][: chance.randint(1, len(words[0]))]
        text = f"{words[1]} {last}" if words[1:] and chance.random() < 0.5 else last
        if chance.random() < 0.1:
            place = chance.randrange(len(text))
            text = text[:place] + chance.choice(LETTERS) + text[place + 1 :]
        yield text, sample.language


def search(kind: str, text: str, language: str) -> Call:
    path = kind.split()[1].partition("?")[0]
    return Call(ASKING, "GET", f"{path}?{urlencode({'search': text, 'language': language})}")


def barcodes(samples: Iterator[Sample]) -> Iterator[Call]:
    for sample in samples:
        if sample.barcode:
            yield Call(ASKING, "GET", f"/v1/catalog/foods?barcode={sample.barcode}")


def copies(samples: Iterator[Sample]) -> Iterator[Call]:
    from catalog.models import food_id  # needs the settings

    for sample in samples:
        food = food_id(SOURCE, sample.source_id)
        yield Call(OTHER, "POST", f"/v1/catalog/foods/{food}/copy")


def time_beside(
    port: int, samples: Sequence[Sample], rounds: int, seconds: float
) -> dict[str, dict[str, float]]:
    """Return the figures of a phone's list of products while another phone is busy, and alone.

    The other one sends what it has over one connection without a pause: searches, or for comparison
    its own list of products.
    """
    searches = [
        Call(OTHER, "GET", search(FOUND, text, language).path)
        for text, language in typed(samples[:SEARCHES])
    ]
    busy: dict[str, list[Call]] = {
        "alone": [],
        "beside lists": [Call(OTHER, "GET", "/v1/products")],
        "beside searches": searches,
    }
    seen: dict[str, list[float]] = {name: [] for name in busy}
    with closing(Phone(port)) as phone, ThreadPoolExecutor(1) as other:
        for _ in range(rounds):
            for name, calls in busy.items():
                load_ = calls and other.submit(load.run, port, calls, seconds, connections=1)
                end = time.monotonic() + seconds
                while time.monotonic() < end:
                    seen[name].append(phone.timed(LIST)[0])
                if load_:
                    load_.result()
    alone = seen["alone"]
    return {
        name: {
            **figures_of(times, median(alone)),
            "p95_vs_alone": round(percentile_95(times) / percentile_95(alone), 2),
        }
        for name, times in seen.items()
    }


def print_figures(found: dict[str, Any]) -> None:
    """Print the calls' figures as a table, and those that have a goal beside it."""
    columns = ("p50_ms", "p95_ms", "worst_ms", "p50_ratio", "p95_ratio", "worst_ratio")
    rows = found["calls"] | found["beside"]
    width = max(len(f"{name}, worst") for name in rows)
    print(f"{'':{width}}", *(f"{column:>12}" for column in columns))
    for name, figures in rows.items():
        print(f"{name:{width}}", *(f"{figures[column]:>12}" for column in columns))
    for name, figures in found["beside"].items():
        print(f"{f'{name}, p95 over p95 alone':{width}} {figures['p95_vs_alone']:>12}")
    for name, place, sign, goal in GOALS:
        value: Any = found
        for key in place:
            value = value[key]
        reached = value >= goal if sign == ">=" else value <= goal
        print(f"{name:{width}} {value:>12} {sign} {goal:<8} {'yes' if reached else 'NO'}")
