#include "tenon/dist/cluster/cluster.h"

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>

namespace tenon::dist {
namespace {

using nlohmann::ordered_json;

constexpr size_t kMostWorkers = 1024;
constexpr std::string_view kTaskTypes[] = {"chief", "worker", "evaluator", "ps"};

Status check_addresses(std::span<const std::string> workers) {
  if (workers.size() > kMostWorkers) {
    return invalid_argument("there are ", workers.size(), " workers, ", kMostWorkers,
                            " are the most");
  }
  for (const std::string& address : workers) {
    const size_t colon = address.rfind(':');
    int64_t port = 0;
    const bool fits = colon != std::string::npos && colon > 0 &&
                      parse_number(std::string_view(address).substr(colon + 1), port) && port > 0 &&
                      port < 65536;
    if (!fits) return invalid_argument("'", address, "' is no HOST:PORT");
    if (std::count(workers.begin(), workers.end(), address) > 1) {
      return invalid_argument("'", address, "' stands there twice");
    }
  }
  return absl::OkStatus();
}

// A list of addresses; an object of them by index, as ClusterSpec takes it too, must have them all.
StatusOr<std::vector<std::string>> addresses_of(const std::string& job, const ordered_json& tasks) {
  std::vector<std::string> addresses;
  if (!tasks.is_array() && !tasks.is_object()) {
    return invalid_argument("cluster.", job, " is no list of HOST:PORT");
  }
  for (size_t i = 0; i < tasks.size(); ++i) {
    const std::string key = std::to_string(i);
    const bool missing = tasks.is_object() && !tasks.contains(key);
    if (missing) return invalid_argument("cluster.", job, " has no task ", i);
    const ordered_json& task = tasks.is_object() ? tasks[key] : tasks[i];
    if (!task.is_string()) return invalid_argument("cluster.", job, "[", i, "] is no HOST:PORT");
    addresses.push_back(task.get<std::string>());
  }
  return addresses;
}

// As Python's int() of it.
std::optional<int64_t> index_of(const ordered_json& json) {
  int64_t index = 0;
  if (json.is_number_integer()) return json.get<int64_t>();
  if (json.is_string() && parse_number(trim(json.get_ref<const std::string&>()), index)) {
    return index;
  }
  return std::nullopt;
}

using Jobs = std::map<std::string, std::vector<std::string>, std::less<>>;

StatusOr<Jobs> jobs_of(const ordered_json& cluster) {
  Jobs jobs;
  if (cluster.is_null()) return jobs;
  if (!cluster.is_object()) return invalid_argument("cluster is no JSON object");
  for (const auto& [job, tasks] : cluster.items()) {
    if (std::find(std::begin(kTaskTypes), std::end(kTaskTypes), job) == std::end(kTaskTypes)) {
      return invalid_argument("cluster has the task type '", job, "'; allowed are ",
                              join(kTaskTypes, ", "));
    }
    TENON_ASSIGN_OR_RETURN(jobs[job], addresses_of(job, tasks));
  }
  for (const char* single : {"chief", "evaluator"}) {
    if (jobs.contains(single) && jobs[single].size() > 1) {
      return invalid_argument("there must be at most one '", single, "'");
    }
  }
  return jobs;
}

StatusOr<Cluster> cluster_of(const Jobs& jobs, const std::string& type, int64_t index) {
  const auto count = [&](std::string_view job) {
    const auto it = jobs.find(job);
    return it == jobs.end() ? int64_t{0} : static_cast<int64_t>(it->second.size());
  };
  if (type == "ps") return invalid_argument("a task 'ps' is for ParameterServerStrategy");
  if (std::find(std::begin(kTaskTypes), std::end(kTaskTypes), type) == std::end(kTaskTypes)) {
    return invalid_argument("task.type is '", type, "'; allowed are ", join(kTaskTypes, ", "));
  }
  if (type != "evaluator" && count(type) == 0) {
    return invalid_argument("task.type is '", type, "', which cluster has not");
  }
  // The evaluator need not stand in the cluster.
  if (index < 0 || (count(type) > 0 && index >= count(type))) {
    return invalid_argument("task.index is ", index, ", cluster.", type, " has ", count(type));
  }
  Cluster made;
  for (const char* job : {"chief", "worker"}) {
    const auto it = jobs.find(job);
    if (it != jobs.end()) {
      made.workers.insert(made.workers.end(), it->second.begin(), it->second.end());
    }
  }
  if (made.workers.empty()) return invalid_argument("cluster has no 'worker' and no 'chief'");
  TENON_RETURN_IF_ERROR(check_addresses(made.workers));
  made.evaluator = type == "evaluator";
  made.rank = static_cast<int>(type == "worker" ? count("chief") + index : 0);
  made.task = cat(type, " ", index);
  return made;
}

StatusOr<Cluster> read_tf_config(std::string_view text) {
  if (text.size() > size_t{1} << 20) return invalid_argument("it is longer than 1 MiB");
  const ordered_json json = ordered_json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object()) return invalid_argument("it is no JSON object");
  const auto member = [](const ordered_json& of, const char* name) {
    const auto it = of.find(name);
    return it == of.end() ? ordered_json() : *it;
  };
  TENON_ASSIGN_OR_RETURN(const Jobs jobs, jobs_of(member(json, "cluster")));
  if (jobs.empty()) return Cluster();
  const ordered_json task = member(json, "task");
  const ordered_json type = member(task, "type");
  const std::optional<int64_t> index = index_of(member(task, "index"));
  if (!type.is_string() || !index) {
    return invalid_argument(
        "where there is a cluster, task.type (a text) and task.index (a number) say which task of "
        "it this process is");
  }
  return cluster_of(jobs, type.get<std::string>(), *index);
}

}  // namespace

std::string Cluster::name_of(int of) const {
  const auto at = static_cast<size_t>(of);
  return at < workers.size() ? cat("worker ", of, " (", workers[at], ")") : cat("worker ", of);
}

StatusOr<Cluster> cluster_from_tf_config(std::string_view json) {
  StatusOr<Cluster> cluster = read_tf_config(json);
  if (!cluster.ok()) return with_context(cluster.status(), "TF_CONFIG");
  return cluster;
}

StatusOr<Cluster> find_cluster(std::span<const std::string> workers, int64_t index,
                               const Environment& environment) {
  if (!workers.empty()) {
    Cluster made;
    made.workers.assign(workers.begin(), workers.end());
    TENON_RETURN_IF_ERROR(with_context(check_addresses(workers), "--workers"));
    if (index < 0 || index >= made.size()) {
      return invalid_argument("--task_index: expected 0 to ", made.size() - 1,
                              ", which of --workers this process is");
    }
    made.rank = static_cast<int>(index);
    made.task = cat("worker ", index);
    return made;
  }
  if (index >= 0) return invalid_argument("--task_index needs --workers");
  if (const char* config = environment("TF_CONFIG"); config && !trim(config).empty()) {
    return cluster_from_tf_config(config);
  }
  if (environment("SLURM_STEP_NUM_TASKS")) return cluster_from_slurm(environment);
  return Cluster();
}

}  // namespace tenon::dist
