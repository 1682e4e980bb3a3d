#include "tenon/runtime/bump_arena.h"

#include <gtest/gtest.h>

namespace tenon {
namespace {

Tensor allocated(BumpArena& arena, int64_t values) {
  return arena.allocate(DType::kFloat, Shape{values}).value();
}

// A loop holds the values of its last turn while the next one runs.
TEST(BumpArena, TheTurnsOfALoopShareTheirMemory) {
  BumpArena arena(cpu_device());
  Tensor carried = allocated(arena, 100);
  size_t bytes = 0;
  for (int turn = 0; turn < 10; ++turn) {
    arena.reset();
    Tensor next = allocated(arena, 100);
    EXPECT_NE(next.raw(), carried.raw());
    if (turn == 1) bytes = arena.bytes();
    if (turn > 1) {
      EXPECT_EQ(arena.bytes(), bytes);
    }
    carried = next;
  }
}

TEST(BumpArena, WhatIsHeldIsNeverGivenAgain) {
  BumpArena arena(cpu_device());
  std::vector<Tensor> held;
  for (int i = 0; i < 20; ++i) {
    held.push_back(allocated(arena, 1000));
    std::fill_n(held.back().mutable_data<float>(), 1000, static_cast<float>(i));
    arena.reset();
  }
  for (int i = 0; i < 20; ++i) {
    const float* const values = held[static_cast<size_t>(i)].data<float>();
    EXPECT_TRUE(
        std::all_of(values, values + 1000, [&](float v) { return v == static_cast<float>(i); }));
  }
}

// However many tensors are held, the arena itself keeps few chunks for them.
TEST(BumpArena, KeepsFewChunksThatOthersHold) {
  BumpArena arena(cpu_device());
  std::vector<Tensor> held;
  size_t bytes = 0;
  for (int i = 0; i < 20; ++i) {
    held.push_back(allocated(arena, 1000));
    arena.reset();
    if (i == 10) bytes = arena.bytes();
  }
  EXPECT_EQ(arena.bytes(), bytes);
}

}  // namespace
}  // namespace tenon
