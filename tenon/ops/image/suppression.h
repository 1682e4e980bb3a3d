// Non-maximum suppression: what its ops share.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

namespace tenon {

struct SuppressionLimits {
  int64_t most = 0;  // how many are selected at most
  float similarity = 0.5F;
  float score = 0;       // candidates must score above
  float soft_sigma = 0;  // above 0: scores decay instead of boxes being dropped
  bool as_lite = false;  // LiteRT drops boxes as alike as the limit, where scores decay too
};

struct Selected {
  int32_t index;
  float score;
};

// Greedy selection by falling score, the lower index first among equals, as TensorFlow's
// DoNonMaxSuppressionOp; `similarity(i, j)` of two candidates. Scores that are NaN are left out.
std::vector<Selected> select_candidates(std::span<const float> scores,
                                        const SuppressionLimits& limits,
                                        const std::function<float(int32_t, int32_t)>& similarity);

// Intersection over union of two boxes [y1, x1, y2, x2], corners in any order; 0 for empty ones.
float box_overlap(const float* a, const float* b);

}  // namespace tenon
