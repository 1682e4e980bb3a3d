#include "tenon/ops/image/suppression.h"

#include <algorithm>
#include <cmath>
#include <queue>

namespace tenon {

float box_overlap(const float* a, const float* b) {
  const float a_top = std::min(a[0], a[2]), a_left = std::min(a[1], a[3]);
  const float a_bottom = std::max(a[0], a[2]), a_right = std::max(a[1], a[3]);
  const float b_top = std::min(b[0], b[2]), b_left = std::min(b[1], b[3]);
  const float b_bottom = std::max(b[0], b[2]), b_right = std::max(b[1], b[3]);
  const float a_area = (a_bottom - a_top) * (a_right - a_left);
  const float b_area = (b_bottom - b_top) * (b_right - b_left);
  if (a_area <= 0 || b_area <= 0) return 0;
  const float height = std::max(std::min(a_bottom, b_bottom) - std::max(a_top, b_top), 0.0F);
  const float width = std::max(std::min(a_right, b_right) - std::max(a_left, b_left), 0.0F);
  const float both = height * width;
  return both / (a_area + b_area - both);
}

std::vector<Selected> select_candidates(std::span<const float> scores,
                                        const SuppressionLimits& limits,
                                        const std::function<float(int32_t, int32_t)>& similarity) {
  struct Candidate {
    int32_t index;
    float score;
    size_t compared;  // the first of the selected that it was not compared with yet
    bool operator<(const Candidate& other) const {
      return score < other.score || (score == other.score && index > other.index);
    }
  };
  std::priority_queue<Candidate> queue;
  for (size_t i = 0; i < scores.size(); ++i) {
    if (scores[i] > limits.score) queue.push({static_cast<int32_t>(i), scores[i], 0});
  }
  const float scale = limits.soft_sigma > 0 ? -0.5F / limits.soft_sigma : 0;
  std::vector<Selected> selected;
  while (static_cast<int64_t>(selected.size()) < limits.most && !queue.empty()) {
    Candidate next = queue.top();
    queue.pop();
    const float original = next.score;
    bool dropped = false;
    // The latest selected is the likeliest to be close.
    for (size_t i = selected.size(); i-- > next.compared;) {
      const float alike = similarity(next.index, selected[i].index);
      const bool too_alike = limits.as_lite ? alike >= limits.similarity
                                            : limits.soft_sigma <= 0 && alike > limits.similarity;
      if (too_alike) {
        dropped = true;
        break;
      }
      if (limits.soft_sigma > 0) {
        next.score *= std::exp(scale * alike * alike);
      }
      if (next.score <= limits.score) break;
    }
    next.compared = selected.size();
    if (dropped) continue;
    if (next.score == original) {
      selected.push_back({next.index, next.score});
    } else if (next.score > limits.score) {
      queue.push(next);
    }
  }
  return selected;
}

}  // namespace tenon
