#include <utility>

#include "plugins/lazy/lazy_device.h"

namespace plugin::lazy {

void Graph::run_until(const Stream* stream, size_t until, bool works, Positions& positions,
                      Failure& failure) const {
  const auto of_stream = steps.find(stream);
  if (of_stream == steps.end()) return;
  size_t& position = positions[stream];
  while (position < until) {
    const Step& step = of_stream->second[position++];
    if (step.awaited) {
      run_until(step.awaited, step.until, works, positions, failure);
    } else if (works) {
      Failure of_work = step.work();
      if (failure.code == 0) failure = std::move(of_work);
    }
  }
}

Failure Graph::run() const {
  Positions positions;
  Failure failure;
  const auto all = steps.find(first);
  if (all != steps.end()) run_until(first, all->second.size(), true, positions, failure);
  return failure;
}

bool Graph::leaves_work() const {
  Positions positions;
  Failure failure;
  const auto all = steps.find(first);
  if (all != steps.end()) run_until(first, all->second.size(), false, positions, failure);
  for (const auto& [stream, of_stream] : steps) {
    if (positions[stream] < of_stream.size()) return true;
  }
  return false;
}

}  // namespace plugin::lazy
