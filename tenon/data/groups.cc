// Steps that carry something from element to element (scan, group_by_window), and those that take
// elements of several datasets by choice.
#include "tenon/data/dataset_of.h"
#include "tenon/data/dataset_value.h"
#include "tenon/data/transforms.h"

namespace tenon::data {

namespace {

class ScanIterator final : public Iterator {
 public:
  ScanIterator(std::unique_ptr<Iterator> source, Element state, MapFunction step)
      : source_(std::move(source)), state_(std::move(state)), step_(std::move(step)) {}
  StatusOr<bool> next(Element& element) override {
    Element fresh;
    TENON_ASSIGN_OR_RETURN(const bool more, source_->next(fresh));
    if (!more) return false;
    Element given = state_;
    std::move(fresh.begin(), fresh.end(), std::back_inserter(given));
    TENON_ASSIGN_OR_RETURN(Element results, step_(std::move(given)));
    if (results.size() < state_.size()) {
      return invalid_argument("a scan's function gives ", results.size(),
                              " tensors, its state alone has ", state_.size());
    }
    const auto output = results.begin() + static_cast<std::ptrdiff_t>(state_.size());
    element.assign(output, results.end());
    state_.assign(results.begin(), output);
    for (Tensor& tensor : state_) tensor = tensor.keep();
    return true;
  }

 private:
  std::unique_ptr<Iterator> source_;
  Element state_;
  MapFunction step_;
};

class GroupIterator final : public Iterator {
 public:
  GroupIterator(std::unique_ptr<Iterator> source, GroupFunctions functions, uint64_t epoch)
      : source_(std::move(source)), functions_(std::move(functions)), epoch_(epoch) {}
  StatusOr<bool> next(Element& element) override {
    for (;;) {
      if (reduced_) {
        TENON_ASSIGN_OR_RETURN(const bool more, reduced_->next(element));
        if (more) return true;
        reduced_ = nullptr;
      }
      if (ended_ && groups_.empty()) return false;
      TENON_RETURN_IF_ERROR(ended_ ? reduce(groups_.begin()) : add());
    }
  }

 private:
  struct Group {
    int64_t size = 0;
    std::vector<Element> elements;
  };
  using Groups = std::map<int64_t, Group>;

  // Puts the next element to its group.
  Status add() {
    Element element;
    TENON_ASSIGN_OR_RETURN(const bool more, source_->next(element));
    ended_ = !more;
    if (ended_) return absl::OkStatus();
    TENON_ASSIGN_OR_RETURN(const int64_t key, functions_.key(element));
    const auto [group, added] = groups_.try_emplace(key);
    if (added) {
      TENON_ASSIGN_OR_RETURN(group->second.size, functions_.size({Tensor::scalar<int64_t>(key)}));
      if (group->second.size < 1) {
        return invalid_argument("Window size must be greater than zero, but got ",
                                group->second.size, ".");
      }
    }
    for (Tensor& tensor : element) tensor = tensor.keep();
    group->second.elements.push_back(std::move(element));
    const auto count = static_cast<int64_t>(group->second.elements.size());
    return count == group->second.size ? reduce(group) : absl::OkStatus();
  }

  Status reduce(Groups::iterator group) {
    const DatasetPtr window = dataset_of_elements(std::move(group->second.elements));
    const Element given = {Tensor::scalar<int64_t>(group->first), dataset_tensor(window)};
    groups_.erase(group);
    TENON_ASSIGN_OR_RETURN(const DatasetPtr dataset, functions_.reduce(given));
    TENON_ASSIGN_OR_RETURN(reduced_, dataset->iterate(epoch_));
    return absl::OkStatus();
  }

  std::unique_ptr<Iterator> source_;
  GroupFunctions functions_;
  uint64_t epoch_;
  Groups groups_;                      // in the order of their keys
  std::unique_ptr<Iterator> reduced_;  // of the last full group; or null
  bool ended_ = false;
};

class ChooseIterator final : public Iterator {
 public:
  ChooseIterator(std::vector<std::unique_ptr<Iterator>> sources, std::unique_ptr<Iterator> choices,
                 bool stop)
      : sources_(std::move(sources)),
        choices_(std::move(choices)),
        stop_(stop),
        left_(sources_.size()) {}
  StatusOr<bool> next(Element& element) override {
    while (left_ > 0) {
      Element choice;
      TENON_ASSIGN_OR_RETURN(const bool chosen, choices_->next(choice));
      if (!chosen) break;
      const bool is_number =
          choice.size() == 1 && choice[0].dtype() == DType::kInt64 && choice[0].rank() == 0;
      const int64_t at = is_number ? *choice[0].data<int64_t>() : -1;
      if (at < 0 || at >= static_cast<int64_t>(sources_.size())) {
        return invalid_argument("a choice is an int64 scalar from 0 to ", sources_.size() - 1,
                                is_number ? cat(", not ", at) : "");
      }
      std::unique_ptr<Iterator>& source = sources_[static_cast<size_t>(at)];
      if (!source) continue;
      TENON_ASSIGN_OR_RETURN(const bool more, source->next(element));
      if (more) return true;
      source = nullptr;
      left_ = stop_ ? 0 : left_ - 1;
    }
    left_ = 0;
    return false;
  }

 private:
  std::vector<std::unique_ptr<Iterator>> sources_;  // null where one has ended
  std::unique_ptr<Iterator> choices_;
  bool stop_;
  size_t left_;  // sources that have not ended; 0 at the end
};

}  // namespace

DatasetPtr scan(DatasetPtr elements, Element initial_state, MapFunction step) {
  return dataset_of(
      [elements, state = std::move(initial_state),
       step = std::move(step)](uint64_t epoch) -> IteratorOr {
        TENON_ASSIGN_OR_RETURN(std::unique_ptr<Iterator> source, elements->iterate(epoch));
        return std::make_unique<ScanIterator>(std::move(source), state, step);
      },
      [elements] { return elements->size(); });
}

DatasetPtr group_by_window(DatasetPtr elements, GroupFunctions functions) {
  return dataset_of(
      [elements, functions = std::move(functions)](uint64_t epoch) -> IteratorOr {
        TENON_ASSIGN_OR_RETURN(std::unique_ptr<Iterator> source, elements->iterate(epoch));
        return std::make_unique<GroupIterator>(std::move(source), functions, epoch);
      },
      []() -> int64_t { return -1; });
}

StatusOr<DatasetPtr> choose(std::vector<DatasetPtr> datasets, DatasetPtr choices,
                            bool stop_on_empty) {
  if (datasets.empty()) return invalid_argument("there are no datasets to choose from");
  return dataset_of(
      [datasets = std::move(datasets), choices = std::move(choices),
       stop_on_empty](uint64_t epoch) -> IteratorOr {
        std::vector<std::unique_ptr<Iterator>> sources;
        for (const DatasetPtr& dataset : datasets) {
          TENON_ASSIGN_OR_RETURN(sources.emplace_back(), dataset->iterate(epoch));
        }
        TENON_ASSIGN_OR_RETURN(std::unique_ptr<Iterator> numbers, choices->iterate(epoch));
        return std::make_unique<ChooseIterator>(std::move(sources), std::move(numbers),
                                                stop_on_empty);
      },
      []() -> int64_t { return -1; });
}

}  // namespace tenon::data
