// HostWork: what a device leaves to the host in a run, because it has no kernel for it.
#pragma once

#include <string>
#include <vector>

namespace tenon {

class Binding;

struct HostWork {
  struct Step {
    std::string op, node;
  };
  std::vector<Step> steps;  // in the order of the run; those that hand on references are no work
  // That each run copies between the memories beyond its arguments and results. Values whose shape
  // only a run knows are not in it.
  size_t copied_bytes = 0;

  // "Cumsum, Unique (3)": each op once, with how many nodes it is where that is not one.
  std::string ops() const;
};

// Empty where the device's memory is the host's.
HostWork host_work_of(const Binding& binding);

}  // namespace tenon
