// Dataset: elements (rows, later batches) one after the other, as often as asked for; and the steps
// that every training takes: shuffle, batch, cache, prefetch. transforms.h has the other steps,
// sources.h what elements come from. All follow tf.data.
//
//   auto rows = data::from_tensors({x, y});
//   auto batches = data::prefetch(data::batch(data::shuffle(rows, 60000, seed), 64));
//
// A Dataset is immutable and thread-safe; an Iterator belongs to one thread. The threads that steps
// start never enter OpenMP. Equal seeds give equal orders, and no number of threads changes them.
// Where memory runs out, iterating throws std::bad_alloc on the caller's thread as containers do,
// and is RESOURCE_EXHAUSTED where a step's own thread runs out.
#pragma once

#include "tenon/core/tensor.h"

namespace tenon::data {

// The components of a row or a batch: features, labels, weights.
using Element = std::vector<Tensor>;

class Iterator {
 public:
  virtual ~Iterator() = default;

  // An iterator that has failed is of no more use.
  //
  // The next element; false at the end. Tensors of `element` that nobody else holds and that have
  // the right dtype and size are written in place, so that a caller who keeps `element` makes
  // batches allocate nothing.
  virtual StatusOr<bool> next(Element& element) = 0;

  // Passes over `count` (0 or more) elements and returns over how many: fewer only at the end. What
  // can be counted without being made (a map's elements, a batch's rows) is not made.
  virtual StatusOr<int64_t> skip(int64_t count);
};

// Rows in memory: each column has the rows in dimension 0; `order` lists the rows to take.
struct Columns {
  const Element* values = nullptr;
  std::vector<int64_t> order;  // empty: 0, 1, 2, ...
};

class Dataset {
 public:
  virtual ~Dataset() = default;

  // `epoch` counts the passes: a shuffled dataset comes in another order in each.
  virtual StatusOr<std::unique_ptr<Iterator>> iterate(uint64_t epoch) const = 0;

  // Number of elements; -1 when that is not known beforehand.
  virtual int64_t size() const = 0;

  // The rows as columns, when they are in memory: batch() then copies rows straight out of them.
  virtual std::optional<Columns> columns(uint64_t epoch) const {
    (void)epoch;
    return std::nullopt;
  }
};

using DatasetPtr = std::shared_ptr<const Dataset>;

// The rows of tensors of equal dimension 0. INVALID_ARGUMENT when they differ.
StatusOr<DatasetPtr> from_tensors(Element columns);

// The attributes `seed` and `seed2` of TensorFlow's op.
struct ShuffleSeeds {
  ShuffleSeeds(uint64_t first = 0, uint64_t second = 0) : seed(first), seed2(second) {}
  uint64_t seed, seed2;
};

// Fills a buffer of `buffer_size` elements and draws from it at random; uniform when it holds all.
// Unless `reshuffle`, each pass has the same order. The orders are tf.data's (ShuffleDatasetV3 in
// shuffle_dataset_op.cc): pass `epoch` is the one of the iterator that TensorFlow makes then.
DatasetPtr shuffle(DatasetPtr rows, int64_t buffer_size, ShuffleSeeds seeds, bool reshuffle = true);

// As repeat(shuffle(...), count), but while elements of a pass wait in the buffer those of the next
// already come into it, as in tf.data, which fuses the two.
DatasetPtr shuffle_and_repeat(DatasetPtr rows, int64_t buffer_size, ShuffleSeeds seeds,
                              int64_t count);

// `size` rows stacked in a new dimension 0; the last batch may be smaller unless it is dropped.
// Iterating fails with INVALID_ARGUMENT on rows of different dtype or shape.
DatasetPtr batch(DatasetPtr rows, int64_t size, bool drop_remainder = false);

// Keeps what the first full pass gives and serves later passes from memory. Shuffle after it.
DatasetPtr cache(DatasetPtr elements);

// As cache() by the file `path`, which appears when a pass has come to its end and which later
// processes read too: remove it when the data have changed. Numbers and texts only. A file that is
// damaged or none of ours is DATA_LOSS, naming file and offset.
DatasetPtr cache(DatasetPtr elements, std::string path);

// A thread makes up to `depth` elements ahead. With kAutotune it begins with two and makes twice as
// many ahead whenever the reader found none ready although all had been, as tf.data does; up to 512
// elements of together 64 MiB, or two.
inline constexpr int kAutotune = -1;
DatasetPtr prefetch(DatasetPtr elements, int depth = kAutotune);

// The order of 0 ... count-1 in pass `epoch` of a shuffle whose buffer holds all; without it, of
// one that does not reshuffle.
std::vector<int64_t> permutation(int64_t count, ShuffleSeeds seeds, std::optional<uint64_t> epoch);

}  // namespace tenon::data
