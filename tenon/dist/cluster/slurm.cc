// Slurm's variables of a job step.
#include <algorithm>

#include "tenon/dist/cluster/cluster.h"

namespace tenon::dist {
namespace {

constexpr int64_t kPortBase = 8888;  // SlurmClusterResolver's
constexpr size_t kMostHosts = 4096;

// "3-5" after `prefix`: n3, n4, n5, with the zeros that the first number has.
Status expand_range(std::string_view prefix, std::string_view range,
                    std::vector<std::string>& hosts) {
  const std::vector<std::string_view> ends = split(range, '-');
  int64_t first = 0, last = 0;
  const bool fits = ends.size() <= 2 && parse_number(ends[0], first) &&
                    parse_number(ends.back(), last) && first >= 0 && first <= last &&
                    last - first < static_cast<int64_t>(kMostHosts);
  if (!fits) return invalid_argument("'", range, "' is no range of numbers");
  for (int64_t number = first; number <= last; ++number) {
    std::string digits = std::to_string(number);
    if (digits.size() < ends[0].size()) digits.insert(0, ends[0].size() - digits.size(), '0');
    hosts.push_back(cat(prefix, digits));
  }
  return absl::OkStatus();
}

// "n[1-2,7],m5": n1, n2, n7, m5.
StatusOr<std::vector<std::string>> expand_hosts(std::string_view list) {
  std::vector<std::string> hosts;
  while (!list.empty()) {
    const size_t end = list.find_first_of(",[");
    const std::string_view prefix = list.substr(0, end);
    if (end == list.npos || list[end] == ',') {
      if (prefix.empty()) return invalid_argument("there is an empty name");
      hosts.emplace_back(prefix);
      list = end == list.npos ? "" : list.substr(end + 1);
      continue;
    }
    const size_t close = list.find(']', end);
    if (close == list.npos) return invalid_argument("a ] is missing");
    for (std::string_view range : split(list.substr(end + 1, close - end - 1), ',')) {
      TENON_RETURN_IF_ERROR(expand_range(prefix, range, hosts));
    }
    list = list.substr(close + 1);
    if (!list.empty() && list[0] != ',') return invalid_argument("text follows a ]");
    if (!list.empty()) list = list.substr(1);
    if (hosts.size() > kMostHosts) return invalid_argument("there are too many names");
  }
  return hosts;
}

// "3(x2),1": 3, 3, 1.
StatusOr<std::vector<int64_t>> expand_tasks(std::string_view list) {
  std::vector<int64_t> tasks;
  for (std::string_view part : split(list, ',')) {
    int64_t count = 0, times = 1;
    const size_t open = part.find("(x");
    const bool repeats = open != part.npos && part.ends_with(')');
    const bool fits =
        parse_number(part.substr(0, open), count) && count > 0 &&
        (open == part.npos ||
         (repeats && parse_number(part.substr(open + 2, part.size() - open - 3), times) &&
          times > 0 && times <= static_cast<int64_t>(kMostHosts)));
    if (!fits) return invalid_argument("'", part, "' is no number of tasks");
    tasks.insert(tasks.end(), static_cast<size_t>(times), count);
  }
  return tasks;
}

StatusOr<std::string> variable(const Environment& environment, const char* name) {
  const char* value = environment(name);
  if (!value) return invalid_argument(name, " is not set; is this no step of a Slurm job?");
  return std::string(value);
}

}  // namespace

StatusOr<Cluster> cluster_from_slurm(const Environment& environment) {
  TENON_ASSIGN_OR_RETURN(const std::string count, variable(environment, "SLURM_STEP_NUM_TASKS"));
  TENON_ASSIGN_OR_RETURN(const std::string rank, variable(environment, "SLURM_PROCID"));
  TENON_ASSIGN_OR_RETURN(const std::string list, variable(environment, "SLURM_STEP_NODELIST"));
  TENON_ASSIGN_OR_RETURN(const std::string each,
                         variable(environment, "SLURM_STEP_TASKS_PER_NODE"));
  const auto hosts = expand_hosts(list);
  if (!hosts.ok()) return with_context(hosts.status(), cat("SLURM_STEP_NODELIST=", list));
  const auto tasks = expand_tasks(each);
  if (!tasks.ok()) return with_context(tasks.status(), cat("SLURM_STEP_TASKS_PER_NODE=", each));
  // By name, as TensorFlow sorts them, so that the order is the same in every process.
  std::vector<std::pair<std::string, int64_t>> nodes;
  for (size_t i = 0; i < std::min(hosts->size(), tasks->size()); ++i) {
    nodes.emplace_back((*hosts)[i], (*tasks)[i]);
  }
  std::sort(nodes.begin(), nodes.end());
  Cluster made;
  for (const auto& [host, on_node] : nodes) {
    for (int64_t i = 0; i < std::min<int64_t>(on_node, kMostHosts); ++i) {
      made.workers.push_back(cat(host, ":", kPortBase + i));
    }
  }
  int64_t expected = 0, index = 0;
  if (!parse_number(count, expected) || expected != static_cast<int64_t>(made.workers.size())) {
    return invalid_argument("SLURM_STEP_NUM_TASKS is ", count, ", the nodes have ",
                            made.workers.size(), " tasks");
  }
  if (!parse_number(rank, index) || index < 0 || index >= expected) {
    return invalid_argument("SLURM_PROCID is ", rank, ", expected 0 to ", expected - 1);
  }
  made.rank = static_cast<int>(index);
  made.task = cat("worker ", index);
  return made;
}

}  // namespace tenon::dist
