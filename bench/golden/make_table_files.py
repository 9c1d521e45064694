#!/usr/bin/env python3
"""Small tables as other programs write them: the files in crates/ganymede/src/table/test_files, which the readers' tests hold known values against.

Made with Python 3.11, pyarrow 26.0.1, pandas 3.1.1, polars 2.1.0, openpyxl 3.1.5, XlsxWriter 3.3.1:
    pip install pyarrow pandas polars openpyxl xlsxwriter
    python bench/golden/make_table_files.py
"""

import datetime as dt
import io
import re
import zipfile
from decimal import Decimal
from pathlib import Path

import openpyxl
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import xlsxwriter

HERE = Path(__file__).parents[2] / "crates/ganymede/src/table/test_files"
DAY, NOON = dt.date(2024, 2, 29), dt.datetime(2024, 2, 29, 12, 30, 15, 250000)
EARLY = dt.datetime(1969, 12, 31, 23, 59, 59)
UTC = dt.timezone.utc


def types():
    """(name, type, three values): the third row of every column is missing."""
    yield "i8", pa.int8(), [1, -128, 127]
    yield "i16", pa.int16(), [1, -2, 3]
    yield "i32", pa.int32(), [1, -2, 3]
    yield "i64", pa.int64(), [1, -2, 2**53]
    yield "i64_wide", pa.int64(), [1, -2, 2**53 + 1]
    yield "u8", pa.uint8(), [1, 2, 255]
    yield "u16", pa.uint16(), [1, 2, 65535]
    yield "u32", pa.uint32(), [1, 2, 2**32 - 1]
    yield "u64", pa.uint64(), [1, 2, 3]
    yield "u64_wide", pa.uint64(), [1, 2, 2**64 - 1]
    yield "f16", pa.float16(), [0.5, -2.0, 1.25]
    yield "f32", pa.float32(), [0.1, -2.5, float("nan")]
    yield "f64", pa.float64(), [0.1, 1e10, float("inf")]
    yield "flag", pa.bool_(), [True, False, True]
    yield "text", pa.string(), ["a", "ü, \"b\"", "NA"]
    yield "large", pa.large_string(), ["a", "b", "b"]
    yield "category", pa.dictionary(pa.int8(), pa.string()), ["x", "y", "x"]
    yield "date32", pa.date32(), [DAY, dt.date(1969, 12, 31), DAY]
    yield "date64", pa.date64(), [DAY, dt.date(1969, 12, 31), DAY]
    for unit in ["s", "ms", "us", "ns"]:
        yield f"moment_{unit}", pa.timestamp(unit), [NOON.replace(microsecond=0) if unit == "s" else NOON, EARLY, EARLY]
    yield "zone", pa.timestamp("us", "Europe/Berlin"), [NOON.replace(tzinfo=UTC), EARLY.replace(tzinfo=UTC), EARLY.replace(tzinfo=UTC)]
    yield "time32", pa.time32("ms"), [dt.time(1, 2, 3), dt.time(23, 59, 59, 500000), dt.time(0)]
    yield "time64", pa.time64("ns"), [dt.time(1, 2, 3), dt.time(23, 59, 59, 500000), dt.time(0)]
    yield "decimal", pa.decimal128(10, 2), [Decimal("123.45"), Decimal("-0.01"), Decimal("1")]
    yield "decimal_wide", pa.decimal128(38, 0), [Decimal(1), Decimal(10**37), Decimal(-3)]


def arrow_only():
    yield "view", pa.string_view(), ["a", "a text of more than twelve bytes", "a"]
    yield "decimal32", pa.decimal32(5, 2), [Decimal("1.5"), Decimal("-0.01"), Decimal("1")]
    yield "decimal256", pa.decimal256(60, 1), [Decimal("1.5"), Decimal(10**40), Decimal("1")]
    yield "duration", pa.duration("ms"), [dt.timedelta(seconds=1.5), dt.timedelta(days=-1), dt.timedelta()]
    yield "numbers", pa.dictionary(pa.uint32(), pa.float64()), [0.5, 1.5, 0.5]


def table(columns):
    columns = list(columns)
    arrays = []
    for _, kind, (first, second, last) in columns:
        values = [first, second, None, last]
        value_type = kind.value_type if pa.types.is_dictionary(kind) else kind
        array = pa.array(values, value_type)
        arrays.append(pa.DictionaryArray.from_arrays(*encoded(array, kind)) if pa.types.is_dictionary(kind) else array)
    arrays.append(pa.nulls(4))
    return pa.table(arrays, names=[name for name, _, _ in columns] + ["nothing"])


def encoded(array, kind):
    dictionary = array.dictionary_encode()
    return dictionary.indices.cast(kind.index_type), dictionary.dictionary


def arrow_file(name, data, **options):
    with pa.OSFile(str(HERE / name), "wb") as sink, pa.ipc.new_file(sink, data.schema, options=pa.ipc.IpcWriteOptions(**options)) as writer:
        writer.write_table(data)


def stream():
    """Two batches, compressed by zstd; the second has other words, so that its dictionary takes the place of the first."""
    schema = pa.schema([("n", pa.int32()), ("word", pa.dictionary(pa.int32(), pa.string())), ("day", pa.date32())])
    with pa.OSFile(str(HERE / "batches.arrows"), "wb") as sink, pa.ipc.new_stream(sink, schema, options=pa.ipc.IpcWriteOptions(compression="zstd")) as writer:
        for first, words in [(0, ["a", "b"]), (200, ["b", "c"])]:
            numbers = pa.array([(first + i * i) % 97 for i in range(200)], pa.int32())
            codes = pa.DictionaryArray.from_arrays(pa.array([i % 2 for i in range(200)], pa.int32()), words)
            days = pa.array([DAY if i % 3 else None for i in range(200)], pa.date32())
            writer.write_batch(pa.record_batch([numbers, codes, days], schema=schema))


def pandas_feather():
    frame = pd.DataFrame(
        {
            "age": pd.array([31, None, 17, 45], dtype="Int64"),
            "job": pd.Categorical(["cook", "clerk", None, "cook"], categories=["clerk", "cook", "never"]),
            "name": ["Ann", "Bo", None, "Cy"],
            "income": [1.5, float("nan"), 2.25, -3.0],
            "since": pd.to_datetime(["2024-02-29 12:00", None, "1969-12-31", "2001-09-09 01:46:40.5"], format="mixed"),
            "seen": pd.to_datetime(["2024-02-29 12:00", None, "1969-12-31", "2001-09-09 01:46:40"], utc=True, format="mixed"),
            "ok": pd.array([True, None, False, True], dtype="boolean"),
        }
    )
    frame.to_feather(HERE / "pandas.feather")


def polars_arrow():
    frame = pl.DataFrame(
        {
            "n": [1, None, 3, 4],
            "text": ["short", None, "a text of more than twelve bytes", "short"],
            "category": pl.Series(["x", None, "y", "x"], dtype=pl.Categorical),
            "enum": pl.Series(["low", None, "high", "low"], dtype=pl.Enum(["low", "high"])),
            "moment": [NOON, None, EARLY, NOON],
            "clock": [dt.time(1, 2, 3), None, dt.time(23, 59), dt.time(0)],
        }
    )
    frame.write_ipc(HERE / "polars.arrow", compression="lz4")


def sheet():
    book = openpyxl.Workbook()
    people = book.active
    people.title = "People"
    people.append(["age", "name", "born", "seen", "at", "took", "ok", "code", "2024", None, "mixed", "sum"])
    rows = [
        [31, "Ann", DAY, NOON, dt.time(1, 2, 3), dt.timedelta(hours=30), True, "007", 1, "x", 1, "=A2+1"],
        [None, "  Bo ", dt.date(1900, 3, 1), NOON.replace(hour=0, minute=0, second=0, microsecond=0), dt.time(23, 59), dt.timedelta(minutes=1), False, "012", "2", None, "a", "=1/0"],
        [17.5, "ü & <b>", None, None, None, None, None, None, None, None, None, "#N/A"],
    ]  # fmt: skip
    for row in rows:
        people.append(row)
    # A gap, and a row in which there is nothing but a colour.
    people.append([])
    people["A6"].fill = openpyxl.styles.PatternFill("solid", fgColor="FF0000")
    people.append([-4, "Ann", DAY, NOON, dt.time(0), dt.timedelta(0), True, "007", 3, "y", DAY, "=A2+2"])
    for row in range(2, 8):
        people[f"A{row}"].number_format = "0.0%" if row == 4 else "General"
        people[f"F{row}"].number_format = "[h]:mm:ss"
    people["L4"].data_type = "e"
    save(book, "sheet.xlsx", {"L2": "32", "L3": "#DIV/0!", "L7": "33"})


def sheets():
    """Texts in a list of their own, as most programs write them; the dates of old Macintoshes."""
    book = xlsxwriter.Workbook(str(HERE / "sheets.xlsx"), {"date_1904": True})
    book.set_properties({"created": dt.datetime(2024, 2, 29, 12)})
    day = book.add_format({"num_format": "dd.mm.yyyy"})
    book.add_worksheet("Cover")
    for name in ["Hidden", "First", "Second"]:
        cells = book.add_worksheet(name)
        for row, (x, text, date) in enumerate([("x", "text", "day"), (1, name, DAY), (2.5, "a \u00fc", DAY), (3, name, DAY)]):
            cells.write(row + 2, 1, x)
            cells.write_string(row + 2, 2, text)
            cells.write(row + 2, 3, date, day)
    book.get_worksheet_by_name("Hidden").hide()
    chart = book.add_chart({"type": "bar"})
    chart.add_series({"values": "=First!$B$4:$B$6"})
    book.add_chartsheet("Chart").set_chart(chart)
    book.close()


def save(book, name, cached):
    """As a spreadsheet program saves: with the values of formulas, which openpyxl does not compute. Twice the same bytes."""
    buffer = io.BytesIO()
    book.save(buffer)
    with zipfile.ZipFile(buffer) as source, zipfile.ZipFile(HERE / name, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as out:
        for part in source.namelist():
            text = source.read(part)
            for cell, value in cached.items():
                kind = ' t="e"' if value.startswith("#") else ""
                pattern = rf'<c r="{cell}"([^>]*?)( t="\w+")?><f>([^<]*)</f><v ?/?>(</v>)?</c>'.encode()
                text = re.sub(pattern, rf'<c r="{cell}"\1{kind}><f>\3</f><v>{value}</v></c>'.encode(), text)
            if part == "docProps/core.xml":
                text = re.sub(rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", b"2024-02-29T12:00:00Z", text)
            out.writestr(zipfile.ZipInfo(part, (2024, 2, 29, 12, 0, 0)), text, zipfile.ZIP_DEFLATED, 9)


def main():
    HERE.mkdir(exist_ok=True)
    arrow_file("types.arrow", table([*types(), *arrow_only()]))
    pq.write_table(table(types()), HERE / "types.parquet", compression="zstd", use_dictionary=["category", "large"], store_schema=False)
    stream()
    pandas_feather()
    polars_arrow()
    sheet()
    sheets()


if __name__ == "__main__":
    main()
