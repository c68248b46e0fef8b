"""The peer: FastAPI, async SQLAlchemy 2, asyncpg and pydantic, as a good engineer would write it.

It has the same tables, the same JSON and the same effects as ours. A read is two queries without
BEGIN and ROLLBACK. A write is one transaction that locks the device's row.
"""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import AsyncIterator, Iterable
from decimal import ROUND_HALF_UP, Decimal
from typing import Annotated, Literal
from uuid import UUID, uuid4

from fastapi import Depends, FastAPI, HTTPException, Query, Request
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StrictInt,
    StringConstraints,
    create_model,
)
from sqlalchemy import DateTime, ForeignKey, Numeric, func, make_url, select
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship

from bench.contestants.common import (
    MAX_ENTRIES_PER_DAY,
    MAX_PRODUCTS,
    NUTRIENTS,
    OPTIONAL,
    device_of,
    folded,
    is_signed,
    words,
)

# Tables


class Base(DeclarativeBase):
    type_annotation_map = {dt.datetime: DateTime(timezone=True), Decimal: Numeric}


class Device(Base):
    __tablename__ = "devices"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    blocked_at: Mapped[dt.datetime | None]
    erased_at: Mapped[dt.datetime | None]


class Phone(Base):
    __tablename__ = "phones"

    device_id: Mapped[UUID] = mapped_column(ForeignKey("devices.id"), primary_key=True)
    id: Mapped[UUID] = mapped_column(primary_key=True)
    token_hmac: Mapped[str | None]
    device: Mapped[Device] = relationship(lazy="joined", innerjoin=True)


class Owned(Base):
    __abstract__ = True

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    device_id: Mapped[UUID] = mapped_column(ForeignKey("devices.id"), deferred=True)
    revision: Mapped[int] = mapped_column(default=0, deferred=True)
    created_at: Mapped[dt.datetime] = mapped_column(default=lambda: dt.datetime.now(dt.UTC))
    updated_at: Mapped[dt.datetime | None]
    deleted_at: Mapped[dt.datetime | None] = mapped_column(deferred=True)


class Product(Owned):
    __tablename__ = "products"

    name: Mapped[str]
    name_folded: Mapped[str] = mapped_column(deferred=True)
    name_words: Mapped[str] = mapped_column(deferred=True)
    brand: Mapped[str | None]
    brand_words: Mapped[str | None] = mapped_column(deferred=True)
    unit: Mapped[str]
    kcal_100g: Mapped[int]
    barcode: Mapped[str | None]
    gtin_14: Mapped[str | None] = mapped_column(deferred=True)
    catalog_id: Mapped[UUID | None]
    servings: Mapped[Decimal | None]
    cooked_grams: Mapped[Decimal | None]
    portions: Mapped[list[Portion]] = relationship(lazy="raise")


class Portion(Owned):
    __tablename__ = "portions"

    product_id: Mapped[UUID] = mapped_column(ForeignKey("products.id"))
    name: Mapped[str]
    name_folded: Mapped[str] = mapped_column(deferred=True)
    grams: Mapped[Decimal]
    is_default: Mapped[bool]


class FoodEntry(Owned):
    __tablename__ = "food_entries"

    product_id: Mapped[UUID | None] = mapped_column(ForeignKey("products.id"))
    portion_id: Mapped[UUID | None]
    date: Mapped[dt.date]
    meal_type: Mapped[str]
    name: Mapped[str]
    name_folded: Mapped[str] = mapped_column(deferred=True)
    unit: Mapped[str]
    grams: Mapped[Decimal | None]
    quantity: Mapped[Decimal | None]
    kcal: Mapped[Decimal]
    eaten_at: Mapped[dt.datetime | None]


for name in OPTIONAL:
    setattr(Product, f"{name}_100g", mapped_column(Numeric))
    setattr(FoodEntry, name, mapped_column(Numeric))


# Schemas


def has_check_digit(code: str) -> str:
    digits = [int(digit) for digit in code.zfill(14)]
    if len(code) not in (8, 12, 13, 14) or (3 * sum(digits[0::2]) + sum(digits[1::2])) % 10:
        raise ValueError("not a GTIN")
    return code


Amount = Annotated[Decimal, Field(ge=0, le=100, decimal_places=2)]
Name = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=100)]
Barcode = Annotated[str, Field(pattern=r"^[0-9]+$"), AfterValidator(has_check_digit)]


Unit = Literal["g", "ml"]
Sent100g = create_model("Sent100g", **{f"{name}_100g": (Amount | None, None) for name in OPTIONAL})
# In the order in which an answer has its fields.
Named = create_model(
    "Named",
    __config__=ConfigDict(from_attributes=True),
    id=UUID,
    name=str,
    brand=(str | None, ...),
    unit=Unit,
    kcal_100g=int,
    **{f"{name}_100g": (float | None, ...) for name in OPTIONAL},
)
Logged = create_model(
    "Logged",
    __config__=ConfigDict(from_attributes=True),
    id=UUID,
    product_id=(UUID | None, ...),
    portion_id=(UUID | None, ...),
    date=dt.date,
    meal_type=str,
    name=str,
    unit=Unit,
    grams=(float | None, ...),
    quantity=(float | None, ...),
    kcal=float,
    **dict.fromkeys(OPTIONAL, (float | None, ...)),
)
Totals = create_model("Totals", **dict.fromkeys(NUTRIENTS, (float, 0)))


class ProductCreate(Sent100g):
    name: Name
    brand: Name | None = None
    unit: Unit = "g"
    kcal_100g: Annotated[StrictInt, Field(ge=0, le=1000)]
    barcode: Barcode | None = None
    catalog_id: UUID | None = None


class ProductRead(Named):
    barcode: str | None
    catalog_id: UUID | None
    servings: float | None
    cooked_grams: float | None
    created_at: dt.datetime
    updated_at: dt.datetime | None


class EntryCreate(BaseModel):
    product_id: UUID
    grams: Annotated[Decimal, Field(gt=0, le=10_000, decimal_places=2)]
    date: Annotated[dt.date, Field(ge=dt.date(2000, 1, 1), le=dt.date(2100, 12, 31))]
    meal_type: Literal["breakfast", "lunch", "dinner", "snacks"]


class EntryRead(Logged):
    eaten_at: dt.datetime | None
    created_at: dt.datetime
    updated_at: dt.datetime | None


class DayTotals(BaseModel):
    date: dt.date
    entries: int
    totals: Totals


class Day(DayTotals):
    unknown: dict[str, int]
    by_meal_type: dict[str, Totals]


class Daily(BaseModel):
    first: dt.date = Field(serialization_alias="from")
    last: dt.date = Field(serialization_alias="to")
    days: list[DayTotals]
    average: Totals


# Sessions and authentication

engine = create_async_engine(
    make_url(os.environ["DATABASE_URL"]).set(drivername="postgresql+asyncpg"), pool_size=8
)
writing = async_sessionmaker(engine, expire_on_commit=False)
reading = async_sessionmaker(
    engine.execution_options(isolation_level="AUTOCOMMIT"), expire_on_commit=False
)


async def read_session() -> AsyncIterator[AsyncSession]:
    async with reading() as session:
        yield session


async def write_session() -> AsyncIterator[AsyncSession]:
    async with writing() as session:
        yield session


Reading = Annotated[AsyncSession, Depends(read_session)]
Writing = Annotated[AsyncSession, Depends(write_session)]


async def authenticate(request: Request, session: AsyncSession) -> UUID:
    authorization = request.headers.get("authorization", "")
    device_id = device_of(authorization)
    phone = await session.get(Phone, (device_id, device_id)) if device_id else None
    if (
        phone is None
        or phone.token_hmac is None
        or phone.device.blocked_at is not None
        or phone.device.erased_at is not None
        or not is_signed(authorization, phone.token_hmac)
    ):
        raise HTTPException(401, "Invalid or expired token", {"WWW-Authenticate": "Bearer"})
    return phone.device_id


async def lock(session: AsyncSession, device_id: UUID) -> None:
    statement = select(Device.id).where(Device.id == device_id)
    await session.execute(statement.with_for_update(key_share=True))


# Calls

app = FastAPI()
SUMS = [func.coalesce(func.sum(getattr(FoodEntry, name)), 0).label(name) for name in NUTRIENTS]
UNKNOWN = [
    (func.count() - func.count(getattr(FoodEntry, name))).label(f"unknown_{name}")
    for name in OPTIONAL
]
Limit = Annotated[int, Query(ge=1, le=200)]
Offset = Annotated[int, Query(ge=0, le=1_000_000)]


def rounded(value: Decimal) -> Decimal:
    return value.quantize(Decimal("0.01"), ROUND_HALF_UP)


def totals(sums: Iterable[object]) -> dict[str, object]:
    # Empty if there are no sums: the schema has zeros as defaults.
    return dict(zip(NUTRIENTS, sums, strict=False))


@app.get("/v1/products", response_model=list[ProductRead])
async def list_products(
    request: Request, session: Reading, limit: Limit = 50, offset: Offset = 0
) -> object:
    device_id = await authenticate(request, session)
    rows = await session.scalars(
        select(Product)
        .where(Product.device_id == device_id, Product.deleted_at.is_(None))
        .order_by(Product.name_folded, Product.id)
        .limit(limit)
        .offset(offset)
    )
    return rows.all()


@app.get("/v1/food-entries", response_model=list[EntryRead])
async def list_entries(
    request: Request, session: Reading, date: dt.date, limit: Limit = 50, offset: Offset = 0
) -> object:
    device_id = await authenticate(request, session)
    rows = await session.scalars(
        select(FoodEntry)
        .where(
            FoodEntry.device_id == device_id,
            FoodEntry.date == date,
            FoodEntry.deleted_at.is_(None),
        )
        .order_by(FoodEntry.date.desc(), FoodEntry.created_at, FoodEntry.id)
        .limit(limit)
        .offset(offset)
    )
    return rows.all()


@app.get("/v1/stats/day/{date}", response_model=Day)
async def day(request: Request, session: Reading, date: dt.date) -> object:
    device_id = await authenticate(request, session)
    found = await session.execute(
        select(FoodEntry.meal_type, func.count().label("entries"), *SUMS, *UNKNOWN)
        .where(
            FoodEntry.device_id == device_id,
            FoodEntry.date == date,
            FoodEntry.deleted_at.is_(None),
        )
        .group_by(FoodEntry.meal_type)
        .order_by(FoodEntry.meal_type)
    )
    rows = found.all()
    # The counts come after the nutrients, so `totals()` ignores them.
    by_meal_type = {meal_type: totals(sums) for meal_type, _, *sums in rows}
    sums = list(map(sum, zip(*(row[2:] for row in rows), strict=True)))
    unknown = zip(OPTIONAL, sums[len(NUTRIENTS) :], strict=False)
    return {
        "date": date,
        "entries": sum(row.entries for row in rows),
        "totals": totals(sums),
        "unknown": {name: count for name, count in unknown if count},
        "by_meal_type": by_meal_type,
    }


@app.get("/v1/stats/daily", response_model=Daily)
async def daily(
    request: Request,
    session: Reading,
    first: Annotated[dt.date, Query(alias="from")],
    last: Annotated[dt.date, Query(alias="to")],
) -> object:
    device_id = await authenticate(request, session)
    if not 0 <= (last - first).days < 366:
        raise HTTPException(422, "The range must be at most 366 days.")
    found = await session.execute(
        select(FoodEntry.date, func.count().label("entries"), *SUMS)
        .where(
            FoodEntry.device_id == device_id,
            FoodEntry.date.between(first, last),
            FoodEntry.deleted_at.is_(None),
        )
        .group_by(FoodEntry.date)
    )
    rows = {row[0]: row for row in found}
    whole = (
        sum(sums, Decimal(0)) for sums in zip(*(row[2:] for row in rows.values()), strict=True)
    )
    every_day = (first + dt.timedelta(n) for n in range((last - first).days + 1))
    return {
        "first": first,
        "last": last,
        "days": [
            {"date": when, "entries": rows[when][1], "totals": totals(rows[when][2:])}
            if when in rows
            else {"date": when, "entries": 0, "totals": {}}
            for when in every_day
        ],
        "average": totals(rounded(total / len(rows)) for total in whole),
    }


@app.post("/v1/products", response_model=ProductRead, status_code=201)
async def create_product(request: Request, session: Writing, body: ProductCreate) -> object:
    device_id = await authenticate(request, session)
    if sum(macro or 0 for macro in (body.protein_100g, body.carbs_100g, body.fat_100g)) > 105:
        raise HTTPException(422, "protein_100g, carbs_100g and fat_100g must not exceed 105.")
    await lock(session, device_id)
    owned = await session.scalar(
        select(func.count()).where(Product.device_id == device_id, Product.deleted_at.is_(None))
    )
    if (owned or 0) >= MAX_PRODUCTS:
        raise HTTPException(409, f"A device has at most {MAX_PRODUCTS} products")
    measure = f"100{body.unit}"
    first = Portion(
        device_id=device_id, name=measure, name_folded=measure, grams=Decimal(100), is_default=True
    )
    product = Product(
        device_id=device_id,
        name_folded=folded(body.name),
        name_words=words(body.name),
        brand_words=words(body.brand) if body.brand else None,
        gtin_14=body.barcode.zfill(14) if body.barcode else None,
        updated_at=None,
        portions=[first],
        **body.model_dump(),
    )
    session.add(product)
    await session.commit()
    return product


@app.post("/v1/food-entries", response_model=EntryRead, status_code=201)
async def create_entry(request: Request, session: Writing, body: EntryCreate) -> object:
    device_id = await authenticate(request, session)
    await lock(session, device_id)
    logged = select(func.count()).where(
        FoodEntry.device_id == device_id,
        FoodEntry.date == body.date,
        FoodEntry.deleted_at.is_(None),
    )
    found = await session.execute(
        select(Product, logged.scalar_subquery()).where(
            Product.device_id == device_id,
            Product.id == body.product_id,
            Product.deleted_at.is_(None),
        )
    )
    row = found.one_or_none()
    if row is None:
        raise HTTPException(404, "Product not found")
    product, count = row
    if count >= MAX_ENTRIES_PER_DAY:
        raise HTTPException(409, f"A day has at most {MAX_ENTRIES_PER_DAY} food entries")

    def share(per_100g: Decimal | int | None) -> Decimal | None:
        return None if per_100g is None else rounded(per_100g * body.grams / 100)

    entry = FoodEntry(
        device_id=device_id,
        name=product.name,
        name_folded=folded(product.name),
        unit=product.unit,
        **{name: share(getattr(product, f"{name}_100g")) for name in NUTRIENTS},
        portion_id=None,
        quantity=None,
        eaten_at=None,
        updated_at=None,
        **body.model_dump(),
    )
    session.add(entry)
    await session.commit()
    return entry
