from __future__ import annotations

from argparse import ArgumentParser, FileType
from typing import Any

import orjson
from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError
from django.db import DataError, IntegrityError

from countonme.scope.exceptions import Conflict
from devices import transfer


class Command(BaseCommand):
    help = (
        "Create the device of an export_device file with all its rows, or nothing on an error. "
        "Prints only a new token for its first phone, which is shown this once. Old tokens are not "
        "valid here: other phones pair anew."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "file", type=FileType("rb"), metavar="FILE", help="the file; - is standard input"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            with options["file"] as file:
                exported = orjson.loads(file.read())
            _, token = transfer.load(exported)
        except orjson.JSONDecodeError as error:
            raise CommandError("The file is not JSON.") from error
        except ValidationError as error:
            raise CommandError(" ".join(error.messages)) from error
        except Conflict as error:
            raise CommandError(f"{error}.") from error
        except (DataError, IntegrityError) as error:
            raise CommandError(f"Nothing was imported: {error}".strip()) from error
        self.stdout.write(token)
