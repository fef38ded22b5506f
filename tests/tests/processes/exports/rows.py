"""Compares a Parquet file with the JSON Lines of the same rows, bit for bit, as pandas, polars and DuckDB read it.

Prints the number of values that were compared. Arguments: PARQUET JSONL.
"""

import json
import math
import struct
import sys

import duckdb
import pandas
import polars

parquet, lines = sys.argv[1:]
with open(lines, encoding="utf-8") as file:
    wanted = [json.loads(line) for line in file]


def bits(number):
    return struct.pack("<d", number)


def is_equal(found, value, row):
    """Whether a value of Parquet is the value of JSON Lines, which has null where Parquet has null or NaN."""
    if value is None:
        if found is None:
            return True
        diverged = row.get("status") in (None, "diverged")
        return isinstance(found, float) and math.isnan(found) and diverged
    if isinstance(value, float):
        return isinstance(found, float) and bits(found) == bits(value)
    if isinstance(value, list):
        return [int(number) for number in found] == value
    return type(found) is type(value) and found == value


def compare(reader, rows):
    assert len(rows) == len(wanted), f"{reader}: {len(rows)} rows, not {len(wanted)}"
    values = 0
    for index, (row, expected) in enumerate(zip(rows, wanted)):
        assert list(row) == list(expected), f"{reader}: the columns are {list(row)}"
        for column, value in expected.items():
            found = row[column]
            assert is_equal(found, value, expected), f"{reader}: column {column}, row {index + 1}: {found!r}, not {value!r}"
            values += 1
    return values


def of_pandas():
    # Arrow's types keep null apart from NaN and integers apart from real numbers.
    frame = pandas.read_parquet(parquet, dtype_backend="pyarrow")
    columns = {name: frame[name].array._pa_array.to_pylist() for name in frame.columns}
    return [dict(zip(columns, values)) for values in zip(*columns.values())]


def of_duckdb():
    found = duckdb.sql(f"SELECT * FROM read_parquet('{parquet}')")
    return [dict(zip(found.columns, row)) for row in found.fetchall()]


total = compare("pandas", of_pandas())
total += compare("polars", polars.read_parquet(parquet).to_dicts())
total += compare("duckdb", of_duckdb())
print(total)
