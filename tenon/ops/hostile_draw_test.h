// For tests: nodes of any op whose attributes, dimensions and numbers nobody sends in good faith.
#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <random>

#include "tenon/core/host_memory.h"
#include "tenon/core/op.h"
#include "tenon/ops/register_all.h"

namespace tenon {

// Draws from a seed; equal seeds draw the same.
class HostileDraw {
 public:
  explicit HostileDraw(uint64_t seed) : random_(seed) {}

  uint64_t draw(uint64_t below) { return random_() % below; }
  int64_t hostile() {
    const int64_t value = kDims[draw(std::size(kDims))];
    return draw(8) == 0 ? value - 1 : value;
  }
  // Small more often than not, so that checks of ranks and ranges are passed.
  int64_t number() {
    constexpr int64_t kSmall[] = {0, 1, 1, 1, 2, 3, -1};
    if (draw(3) != 0) return kSmall[draw(std::size(kSmall))];
    return draw(4) == 0 ? -hostile() : hostile();
  }

  PartialShape shape_of_input() {
    for (;;) {
      std::vector<int64_t> dims;
      const uint64_t rank = draw(4) == 0 ? 4 : draw(6);
      for (uint64_t i = 0; i < rank; ++i) dims.push_back(std::max<int64_t>(0, hostile()));
      if (!Shape::make(dims).ok()) continue;
      PartialShape shape{std::span<const int64_t>(dims)};
      if (draw(16) == 0) return PartialShape();
      for (int i = 0; i < shape.rank(); ++i) {
        if (draw(12) == 0) shape.set(i, -1);
      }
      return shape;
    }
  }

  // False for an attribute of a kind that is not made up here and has no default.
  bool set_attribute(const AttrDef& attr, AttrMap& attrs) {
    if (attr.default_value && draw(2) == 0) return true;
    const auto integer = [&] {
      return std::max(attr.is_list ? -kMost : attr.minimum.value_or(-kMost), number());
    };
    switch (attr.kind) {
      case AttrKind::kInt:
        if (attr.is_list) {
          std::vector<int64_t> list(draw(3) == 0 ? draw(9) : 4);
          for (int64_t& one : list) one = draw(2) == 0 ? 1 : number();
          attrs.set(attr.name, std::move(list));
        } else {
          // Numbers of inputs stay few.
          attrs.set(attr.name, attr.minimum ? std::max(*attr.minimum, static_cast<int64_t>(draw(4)))
                                            : integer());
        }
        return true;
      case AttrKind::kFloat:
        if (!attr.is_list) attrs.set(attr.name, 0.5f);
        return !attr.is_list || attr.default_value.has_value();
      case AttrKind::kBool:
        if (!attr.is_list) attrs.set(attr.name, draw(2) == 0);
        return !attr.is_list || attr.default_value.has_value();
      case AttrKind::kString: {
        if (attr.is_list) return attr.default_value.has_value();
        const auto& allowed = attr.allowed_strings;
        attrs.set(attr.name, allowed.empty() ? std::string("SAME") : allowed[draw(allowed.size())]);
        return true;
      }
      case AttrKind::kType: {
        if (attr.is_list) {
          attrs.set(attr.name, std::vector<DType>(1 + draw(3), DType::kFloat));
          return true;
        }
        const auto& allowed = attr.allowed_types;
        attrs.set(attr.name, allowed.empty() ? DType::kFloat : allowed[draw(allowed.size())]);
        return true;
      }
      case AttrKind::kShape:
        if (!attr.is_list) attrs.set(attr.name, shape_of_input());
        return !attr.is_list || attr.default_value.has_value();
      default:
        return attr.default_value.has_value();
    }
  }

 private:
  static constexpr int64_t kMost = std::numeric_limits<int64_t>::max();
  static constexpr int64_t kDims[] = {
      0,        0,        1,        1,     2,        3,        1 << 20,   1 << 30,      kMost / 2,
      1L << 31, 1L << 40, 1L << 62, kMost, 3L << 40, 1L << 32, kMost - 1, 1099511627779};

  std::mt19937_64 random_;
};

// Trials an op: TENON_HOSTILE_TRIALS, or `count`.
inline int hostile_trials(int count) {
  const char* trials = std::getenv("TENON_HOSTILE_TRIALS");
  return trials ? std::atoi(trials) : count;
}

inline void register_hostile_ops() {
  if (OpRegistry::global().find("While")) return;
  set_host_memory_limit(size_t{1} << 28);  // tables of dimensions that no tensor has are refused
  ASSERT_TRUE(register_all_ops(OpRegistry::global()).ok());
}

// Ops that neither read nor write anything but tensors.
inline std::vector<std::string> pure_ops() {
  register_hostile_ops();
  std::vector<std::string> names;
  for (const OpDef* op : OpRegistry::global().all()) {
    if (op->decl().effect == Effect::kNone) names.push_back(op->name());
  }
  return names;
}

}  // namespace tenon
