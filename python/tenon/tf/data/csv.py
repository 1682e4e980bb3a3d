"""Datasets of CSV files."""
from tenon import _tenon, raw_ops
from tenon.tf.data.dataset import AUTOTUNE, Dataset
from tenon.tf.data.files import FileDataset, TextLineDataset


class CsvDataset(FileDataset):
    """Rows of CSV files: a tuple of scalars each. A quoted field ends on its line."""

    def __init__(self, filenames, record_defaults, compression_type=None, buffer_size=None, header=False, field_delim=",",
                 use_quote_delim=True, na_value="", select_cols=None, exclude_cols=None):
        if exclude_cols is not None:
            raise NotImplementedError("exclude_cols: name the columns that are wanted by select_cols.")
        defaults = [default_of(each) for each in record_defaults]

        def lines(file):
            return TextLineDataset(file, compression_type).skip(1 if header else 0)

        def fields(line):
            return tuple(raw_ops.DecodeCSV(records=line, record_defaults=defaults, field_delim=field_delim,
                                           use_quote_delim=use_quote_delim, na_value=na_value,
                                           select_cols=select_cols or []))

        files = filenames if isinstance(filenames, Dataset) else Dataset.from_tensor_slices(
            filenames if isinstance(filenames, (list, tuple)) else [filenames])
        self._read(files.flat_map(lines).map(fields))


def default_of(given):
    """A default's tensor; of a dtype, which means that there is none, an empty one."""
    if isinstance(given, _tenon.DType):
        return _tenon.convert([], given)
    tensor = _tenon.convert(given)
    return raw_ops.Reshape(tensor=tensor, shape=[-1]) if tensor.shape.rank == 0 else tensor


def make_csv_dataset(file_pattern, batch_size, column_names=None, column_defaults=None, label_name=None,
                     select_columns=None, field_delim=",", use_quote_delim=True, na_value="", header=True, num_epochs=None,
                     shuffle=True, shuffle_buffer_size=10000, shuffle_seed=None, prefetch_buffer_size=None,
                     num_parallel_reads=None, sloppy=False, num_rows_for_inference=100, compression_type=None,
                     ignore_errors=False, encoding="utf-8"):
    """Batches of the rows of CSV files: a dictionary of columns, beside it the column `label_name`."""
    import glob
    if ignore_errors:
        raise NotImplementedError("ignore_errors: rows that are no CSV end the dataset.")
    patterns = [file_pattern] if isinstance(file_pattern, str) else list(file_pattern)
    files = sorted({path for pattern in patterns for path in glob.glob(pattern)})
    if not files:
        raise ValueError(f"No files match {file_pattern}.")
    if column_names is None:
        if not header:
            raise ValueError("Cannot infer column names without a header line.")
        column_names = next(_rows(files[:1], field_delim, use_quote_delim, encoding))
    wanted = list(range(len(column_names)))
    if select_columns is not None:
        wanted = sorted(column_names.index(c) if isinstance(c, str) else c for c in select_columns)
    names = [column_names[i] for i in wanted]
    if column_defaults is None:
        column_defaults = _infer_defaults(files, wanted, header, field_delim, use_quote_delim, na_value, encoding,
                                          num_rows_for_inference)
    if label_name is not None and label_name not in names:
        raise ValueError("`label_name` provided must be one of the columns.")
    rows = CsvDataset(files, column_defaults, compression_type, header=header, field_delim=field_delim,
                      use_quote_delim=use_quote_delim, na_value=na_value, select_cols=wanted)
    if shuffle:
        rows = rows.shuffle(shuffle_buffer_size, shuffle_seed)
    if num_epochs != 1:
        rows = rows.repeat(num_epochs)

    def features(*columns):
        columns = dict(zip(names, columns))
        if label_name is None:
            return columns
        label = columns.pop(label_name)
        return columns, label

    return rows.batch(batch_size, drop_remainder=num_epochs is None).map(features).prefetch(
        AUTOTUNE if prefetch_buffer_size is None else prefetch_buffer_size)


def _rows(files, field_delim, use_quote_delim, encoding):
    import csv
    for file in files:
        with open(file, newline="", encoding=encoding) as lines:
            yield from csv.reader(lines, delimiter=field_delim,
                                  quoting=csv.QUOTE_MINIMAL if use_quote_delim else csv.QUOTE_NONE)


def _infer_defaults(files, wanted, header, field_delim, use_quote_delim, na_value, encoding, most):
    """A default for each column: of the first of int32, int64, float32, float64 and string that holds its first fields."""
    kinds = [0] * len(wanted)
    for file in files:
        for number, row in enumerate(_rows([file], field_delim, use_quote_delim, encoding)):
            if header and number == 0:
                continue
            if most is not None and number > most:
                break
            for at, column in enumerate(wanted):
                while row[column] != na_value and not _KINDS[kinds[at]][1](row[column]):
                    kinds[at] += 1
    return [_tenon.convert([""] if _KINDS[kind][0] == "string" else [0], _KINDS[kind][0]) for kind in kinds]


def _is_integer(bits):
    def test(text):
        try:
            return -2 ** (bits - 1) <= int(text) < 2 ** (bits - 1)
        except ValueError:
            return False

    return test


def _is_float(largest):
    def test(text):
        try:
            value = abs(float(text))
            return value <= largest or value == float("inf") or value != value
        except ValueError:
            return False

    return test


_KINDS = [("int32", _is_integer(32)), ("int64", _is_integer(64)), ("float32", _is_float(3.4028234663852886e38)),
          ("float64", _is_float(1.7976931348623157e308)), ("string", lambda text: True)]
