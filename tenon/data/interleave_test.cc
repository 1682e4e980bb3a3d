// interleave() on several threads.
#include <atomic>
#include <thread>

#include "tenon/data/pipeline_test.h"
#include "tenon/data/sources.h"
#include "tenon/data/transforms.h"

namespace tenon::data {
namespace {

int64_t number_in(const Element& element) { return integer_at(element[0], 0); }

// 10 x, 10 x + 1, ..., of them x.
StatusOr<DatasetPtr> tens_of(const Element& element) {
  const int64_t x = number_in(element);
  return range(10 * x, 10 * x + x);
}

// Datasets of 0 to 4 elements, which take very different times.
StatusOr<DatasetPtr> uneven(const Element& element) {
  const int64_t x = number_in(element);
  return map(range(10 * x, 10 * x + x * x % 5), [](Element row) -> StatusOr<Element> {
    for (int64_t i = 0; i < (number_in(row) * 37) % 11; ++i) std::this_thread::yield();
    return row;
  });
}

TEST(Interleave, ParallelInterleaveHasTheOrderOfASingleThread) {
  EXPECT_EQ(text_of(interleave(range(0, 5), tens_of, 3, 2, 3)), "10|20|21|30|31|40|41|32|42|43");
  for (int64_t cycle : {1, 2, 5, 40}) {
    for (int64_t block : {1, 3, 100}) {
      const DatasetPtr one = interleave(range(0, 23), uneven, cycle, block);
      const std::string expected = text_of(one);
      for (int threads : {2, 3, 32}) {
        const DatasetPtr many = interleave(range(0, 23), uneven, cycle, block, threads);
        EXPECT_EQ(text_of(many), expected) << cycle << " " << block << " " << threads;
        auto iterator = *many->iterate(0);
        EXPECT_EQ(*iterator->skip(7), 7);
        EXPECT_EQ(text_of(*iterator), text_of(skip(one, 7)));
      }
    }
  }
}

TEST(Interleave, InterleaveWithoutOrderLosesNothing) {
  const std::string expected = text_of(interleave(range(0, 23), uneven, 1));
  const auto sorted_parts = [](const std::string& text) {
    std::vector<std::string_view> parts = split(text, '|');
    std::sort(parts.begin(), parts.end());
    return join(parts, "|");
  };
  for (int64_t cycle : {2, 40}) {
    const std::string found = text_of(interleave(range(0, 23), uneven, cycle, 2, 3, false));
    EXPECT_EQ(sorted_parts(found), sorted_parts(expected)) << cycle;
  }
}

// One dataset gives nothing until the others have given all: only where order is not kept do they.
TEST(Interleave, InterleaveWithoutOrderDoesNotWaitForOne) {
  std::atomic<int> taken = 0;
  const auto waits = [&](const Element& element) -> StatusOr<DatasetPtr> {
    if (number_in(element) != 0) return range(1, 4);
    return map(range(0, 1), [&](Element row) -> StatusOr<Element> {
      while (taken < 6) std::this_thread::yield();
      return row;
    });
  };
  auto iterator = *interleave(range(0, 3), waits, 3, 1, 2, false)->iterate(0);
  Element element;
  for (; taken < 6; ++taken) {
    ASSERT_TRUE(*iterator->next(element));
    EXPECT_NE(number_in(element), 0);
  }
  EXPECT_EQ(text_of(*iterator), "0");
}

TEST(Interleave, ParallelInterleaveEndsItsThreadsAndFailsAtItsPlace) {
  const auto fails = [](const Element& element) -> StatusOr<DatasetPtr> {
    const int64_t x = number_in(element);
    if (x == 3) return aborted("three");
    return range(x, x + 2);
  };
  const auto gone = from_generator([](uint64_t) -> StatusOr<Generator> {
    return [at = int64_t{0}](Element& element) mutable -> StatusOr<bool> {
      if (at == 2) return data_loss("gone");
      element.assign(1, Tensor::scalar<int64_t>(at++));
      return true;
    };
  });
  for (int threads : {1, 2, 8}) {
    EXPECT_EQ(text_of(interleave(range(0, 9), fails, 2, 2, threads)), "0|1|1|2|2|3|ABORTED");
    EXPECT_EQ(text_of(interleave(gone, tens_of, 3, 1, threads)), "10|DATA_LOSS");
    auto left = *interleave(repeat(range(0, 9)), tens_of, 3, 1, threads)->iterate(0);
    Element element;
    ASSERT_TRUE(*left->next(element));
  }
  const auto throws = [](const Element&) -> StatusOr<DatasetPtr> { throw std::bad_alloc(); };
  EXPECT_EQ(text_of(interleave(range(0, 9), throws, 2, 1, 3)), "RESOURCE_EXHAUSTED");
}

}  // namespace
}  // namespace tenon::data
