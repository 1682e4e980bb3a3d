"""tf.data: input pipelines."""
from tenon.tf import missing as _missing
from tenon.tf.data import csv as _csv
from tenon.tf.data import options as _options
from tenon.tf.data.dataset import AUTOTUNE, INFINITE_CARDINALITY, UNKNOWN_CARDINALITY, Dataset  # noqa: F401
from tenon.tf.data import further as _further
from tenon.tf.data.files import TextLineDataset, TFRecordDataset  # noqa: F401
from tenon.tf.data.iterator import Iterator, NumpyIterator, Optional as _Optional  # noqa: F401
from tenon.tf.data.options import Options, ThreadingOptions  # noqa: F401
from tenon.tf.data.structure import DatasetSpec, NoneTensorSpec  # noqa: F401

FixedLengthRecordDataset = _further.FixedLengthRecordDataset


def _cardinality(dataset):
    return dataset.cardinality()


def _get_structure(dataset_or_iterator):
    return dataset_or_iterator.element_spec


def _unbatch():
    return lambda dataset: dataset.unbatch()


def _assert_cardinality(expected_cardinality):
    """The dataset, of which it is said how many elements it has."""
    def apply(dataset):
        return Dataset(dataset.pipeline, dataset.element_spec, int(expected_cardinality), [dataset], kind="AssertCardinality")

    return apply


experimental = _missing.namespace(
    "tf.data.experimental", _further.EXPERIMENTAL, AUTOTUNE=AUTOTUNE, INFINITE_CARDINALITY=INFINITE_CARDINALITY,
    UNKNOWN_CARDINALITY=UNKNOWN_CARDINALITY, AutoShardPolicy=_options.AutoShardPolicy,
    AutotuneOptions=_options.AutotuneOptions, DistributeOptions=_options.DistributeOptions,
    ExternalStatePolicy=_options.ExternalStatePolicy, OptimizationOptions=_options.OptimizationOptions,
    ThreadingOptions=ThreadingOptions, CsvDataset=_csv.CsvDataset, make_csv_dataset=_csv.make_csv_dataset,
    Optional=_Optional, cardinality=_cardinality, assert_cardinality=_assert_cardinality, get_structure=_get_structure,
    get_single_element=Dataset.get_single_element, unbatch=_unbatch,
    get_next_as_optional=lambda iterator: iterator.get_next_as_optional())


def __getattr__(name):
    if name.startswith("__"):
        raise AttributeError(name)
    raise AttributeError(_missing.message("tf.data", name, globals()))
