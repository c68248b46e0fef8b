"""`make bench`: how fast the server is, compared with FastAPI and with a minimal server."""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

import django

from bench import auth, catalog, compare, endurance, scale, sizing, sync, transfer
from bench.load import CONNECTIONS, BenchError, require_programs
from bench.servers import DATA_DIR, WORKERS, connect
from countonme.server import embedded, serve
from tests.helpers.nginx import NGINX

RESULTS = Path(__file__).with_name("results.json")
QUICK_RESULTS = DATA_DIR / "quick.json"
PACKAGES = ["django", "djangorestframework", "gunicorn", "psycopg", "orjson"]
VERBS = {
    "compare": "ours, FastAPI and the limit on every endpoint; authentication (about 10 minutes)",
    "quick": f"the same in one short round, into {QUICK_RESULTS.name}: does the bench work?",
    "scale": "latencies with 200 and with 200,000 devices, the triggers' cost (about 15 minutes)",
    "sizing": "what a call and a row cost, and what a million devices ask (a minute)",
    "sync": "a push of 5,000 entries, the same again, a pull of 20,000 rows, one with nothing new",
    "transfer": "an export of 40,000 entries, as JSON and CSVs, and an import of 100,000 rows",
    "memory": "a worker's memory after 10,000 and 100,000 requests",
    "sustain": "five minutes of mixed load",
    "catalog": "3,000,000 foods: their import, then searches, barcodes and copies",
}


def main() -> None:
    """Entry point. A failure ends with one sentence on stderr and exit status 1."""
    parser = argparse.ArgumentParser(
        prog="make bench ARGS=…",
        description="\n".join(f"{verb}: {what}" for verb, what in VERBS.items()),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("verb", nargs="?", choices=VERBS, default="compare")
    parser.add_argument("--rounds", type=int, default=5, help="of compare, scale and catalog")
    parser.add_argument("--seconds", type=int, default=3, help="of load on each, in each round")
    parser.add_argument("--foods", type=int, default=catalog.FOODS, help="of catalog")
    asked = parser.parse_args()
    serve.exit_on_signals()
    try:
        require_programs()
        prepare()
        with embedded.running(DATA_DIR):
            found = {"machine": machine(), **run(asked)}
    except (BenchError, embedded.EmbeddedError, serve.ServeError) as error:
        sys.exit(str(error))
    except KeyboardInterrupt:
        sys.exit(130)
    is_trial = asked.verb == "quick" or asked.foods != catalog.FOODS
    path = QUICK_RESULTS if is_trial else RESULTS
    results = json.loads(path.read_text()) if path.exists() else {}
    path.write_text(json.dumps(results | found, indent=2) + "\n")
    tables = {name: found.pop(name) for name in ("endpoints", "directly") if name in found}
    print(json.dumps(found, indent=2))
    for name, endpoints in tables.items():
        print_table(name, endpoints)
    if "catalog" in found:
        catalog.print_figures(found["catalog"])
    print(f"Written to {path}.")


def prepare() -> None:
    """Set the settings of a production server, whatever the shell or `.env` say."""
    os.environ.pop("SECRET_KEY", None)
    serve.ensure_secret_key(DATA_DIR)
    os.environ |= {
        "SECRET_KEY": (DATA_DIR / "secret_key").read_text().strip(),
        "DATABASE_URL": embedded.database_url(DATA_DIR),
        "DATA_DIR": str(DATA_DIR),
        "DJANGO_SETTINGS_MODULE": "countonme.settings",
    }
    django.setup()


def run(asked: argparse.Namespace) -> dict[str, Any]:
    """Run a verb, and return its results by the names that they have in `results.json`."""
    rounds, seconds = asked.rounds, asked.seconds
    match asked.verb:
        case "scale":
            return scale.measure(rounds, seconds)
        case "sizing":
            return sizing.measure(seconds)
        case "sync":
            return {"sync_ms": sync.measure()}
        case "transfer":
            return {"transfer": transfer.measure()}
        case "memory":
            return {"memory_mb_per_worker": endurance.memory()}
        case "sustain":
            return {"sustained": endurance.sustain()}
        case "catalog":
            return {"catalog": catalog.measure(rounds, seconds, asked.foods)}
    quick = asked.verb == "quick"
    rounds, seconds = (1, 1) if quick else (rounds, seconds)
    setup = {
        "workers": WORKERS,
        "connections": CONNECTIONS,
        "rounds": rounds,
        "seconds": seconds,
    }
    return {
        "setup": setup,
        "endpoints": compare.measure(rounds, seconds, behind_nginx=True),
        "directly": compare.measure(max(1, rounds // 2), seconds, behind_nginx=False),
        "auth": auth.measure(comparisons=10, many=10_000) if quick else auth.measure(),
    }


def machine() -> str:
    """Return what the figures depend on: processors, system and versions."""
    with connect(os.environ["DATABASE_URL"]) as connection:
        postgresql = connection.info.server_version // 10_000
    model = platform.processor() or platform.machine()
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            model = line.partition(":")[2].strip()
    nginx = subprocess.run([str(NGINX), "-v"], capture_output=True, text=True).stderr
    versions = (f"{name} {metadata.version(name)}" for name in PACKAGES)
    return ", ".join(
        [
            f"{os.cpu_count()} × {model}",
            f"Python {platform.python_version()}",
            f"PostgreSQL {postgresql}",
            f"nginx {nginx.strip().rpartition('/')[2]}",
            *versions,
        ]
    )


def print_table(title: str, endpoints: dict[str, dict[str, Any]]) -> None:
    """Print a table of the endpoints' figures."""
    columns = ("rps", "p50_ms", "p99_ms", "fastapi_p99_ms", "vs_fastapi", "vs_limit", "spread")
    width = max(map(len, endpoints))
    print(f"{title:{width}}", *(f"{column:>15}" for column in columns))
    for name, figures in endpoints.items():
        cells = ("–" if figures[column] is None else figures[column] for column in columns)
        print(f"{name:{width}}", *(f"{cell:>15}" for cell in cells))


if __name__ == "__main__":
    main()
