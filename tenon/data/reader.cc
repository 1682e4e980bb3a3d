#include "tenon/data/reader.h"

namespace tenon::data {

std::string to_string(const Position& position) {
  return cat(position.epoch, ":", position.elements);
}

StatusOr<Position> parse_position(std::string_view text) {
  const std::vector<std::string_view> parts = split(text, ':');
  int64_t epoch = 0, elements = 0;
  if (parts.size() != 2 || !parse_number(parts[0], epoch) || !parse_number(parts[1], elements) ||
      epoch < 0 || elements < 0) {
    return data_loss("'", text, "' is no position in a dataset; expected EPOCH:ELEMENTS");
  }
  return Position{static_cast<uint64_t>(epoch), elements};
}

StatusOr<bool> Reader::next(Element& element) {
  if (!iterator_) {
    TENON_ASSIGN_OR_RETURN(iterator_, elements_->iterate(position_.epoch));
  }
  TENON_ASSIGN_OR_RETURN(const bool more, iterator_->next(element));
  if (more) {
    ++position_.elements;
  } else {
    iterator_ = nullptr;
    position_ = {position_.epoch + 1, 0};
  }
  return more;
}

Status Reader::restore(const Position& position) {
  TENON_ASSIGN_OR_RETURN(std::unique_ptr<Iterator> iterator, elements_->iterate(position.epoch));
  TENON_ASSIGN_OR_RETURN(const int64_t passed, iterator->skip(position.elements));
  if (passed < position.elements) {
    return out_of_range("the data have ", passed, " elements, the position is after ",
                        position.elements, ": they are not those of the checkpoint");
  }
  iterator_ = std::move(iterator);
  position_ = position;
  return absl::OkStatus();
}

}  // namespace tenon::data
