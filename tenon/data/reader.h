// Reader: a dataset read pass after pass, from a position that checkpoints keep.
#pragma once

#include "tenon/data/dataset.h"

namespace tenon::data {

// Where a reader of a dataset stands: that many elements of a pass have been taken. A position
// outlives the process: an iterator of an equal dataset that passes over as many elements goes on
// with the same bits, whatever the threads of its maps and the depth of its prefetch.
struct Position {
  uint64_t epoch = 0;
  int64_t elements = 0;
  friend bool operator==(const Position&, const Position&) = default;
};

// "3:1280", for checkpoints, and back; DATA_LOSS for another text.
std::string to_string(const Position& position);
StatusOr<Position> parse_position(std::string_view text);

// Reads pass after pass and knows where it stands. Belongs to one thread.
class Reader {
 public:
  explicit Reader(DatasetPtr elements) : elements_(std::move(elements)) {}

  // The next element; false at the end of a pass, after which the next one begins.
  StatusOr<bool> next(Element& element);

  // Of the element that next() gives.
  const Position& position() const { return position_; }

  // Goes on from there. OUT_OF_RANGE when a pass has fewer elements.
  Status restore(const Position& position);

 private:
  DatasetPtr elements_;
  std::unique_ptr<Iterator> iterator_;  // null between passes
  Position position_;
};

}  // namespace tenon::data
