// Clusters from TF_CONFIG, Slurm's variables and flags. What is expected of TF_CONFIG is what
// TensorFlow 2.21's TFConfigClusterResolver with multi_worker_util says of the same text, of
// Slurm's variables what its SlurmClusterResolver does.
#include "tenon/dist/cluster/cluster.h"

#include <gtest/gtest.h>

#include <map>

namespace tenon::dist {
namespace {

TEST(Cluster, TfConfigIsReadAsTensorFlowReadsIt) {
  const struct {
    const char* json;
    std::vector<std::string> workers;
    int rank;
    bool chief;
  } cases[] = {
      {R"({"cluster": {"worker": ["a:1", "b:2"]}, "task": {"type": "worker", "index": 0}})",
       {"a:1", "b:2"},
       0,
       true},
      {R"({"cluster": {"worker": ["a:1", "b:2"]}, "task": {"type": "worker", "index": "1"}})",
       {"a:1", "b:2"},
       1,
       false},
      {R"({"cluster": {"worker": ["a:1", "b:2"], "chief": ["c:3"]},
           "task": {"type": "worker", "index": 0}})",
       {"c:3", "a:1", "b:2"},
       1,
       false},
      {R"({"cluster": {"worker": ["a:1"], "chief": ["c:3"]}, "task": {"type": "chief", "index": 0},
           "environment": "cloud", "rpc_layer": "grpc"})",
       {"c:3", "a:1"},
       0,
       true},
      {R"({"cluster": {"worker": {"0": "a:1", "1": "b:2"}, "ps": ["p:1"]},
           "task": {"type": "worker", "index": 1}})",
       {"a:1", "b:2"},
       1,
       false},
  };
  for (const auto& c : cases) {
    const auto found = cluster_from_tf_config(c.json);
    ASSERT_TRUE(found.ok()) << c.json << ": " << found.status();
    EXPECT_EQ(found->workers, c.workers) << c.json;
    EXPECT_EQ(found->rank, c.rank) << c.json;
    EXPECT_EQ(found->is_chief(), c.chief) << c.json;
  }
}

TEST(Cluster, TheEvaluatorNeedNotStandInTheClusterAndIsNoWorker) {
  const auto found = cluster_from_tf_config(
      R"({"cluster": {"chief": ["c:1"], "worker": ["a:1"]}, "task": {"type": "evaluator", "index": 0}})");
  ASSERT_TRUE(found.ok()) << found.status();
  EXPECT_TRUE(found->evaluator);
  EXPECT_FALSE(found->is_chief());
  EXPECT_EQ(found->size(), 2);
}

TEST(Cluster, WithoutAClusterTheProcessTrainsAlone) {
  for (const char* json :
       {"{}", R"({"task": {"type": "worker", "index": 3}})", R"({"cluster": {}})"}) {
    const auto found = cluster_from_tf_config(json);
    ASSERT_TRUE(found.ok()) << json << ": " << found.status();
    EXPECT_EQ(found->size(), 1);
    EXPECT_TRUE(found->is_chief());
  }
}

TEST(Cluster, WhatIsWrongWithTfConfigIsSaid) {
  const std::pair<const char*, const char*> cases[] = {
      {"", "no JSON object"},
      {"[1]", "no JSON object"},
      {R"({"cluster": {"worker": ["a:1"]}})", "task.type"},
      {R"({"cluster": {"worker": ["a:1"]}, "task": {"type": "worker"}})", "task.index"},
      {R"({"cluster": {"worker": ["a:1"]}, "task": {"type": "worker", "index": 1}})",
       "task.index is 1, cluster.worker has 1"},
      {R"({"cluster": {"worker": ["a:1"]}, "task": {"type": "worker", "index": -1}})", "-1"},
      {R"({"cluster": {"worker": ["a:1"]}, "task": {"type": "chief", "index": 0}})", "'chief'"},
      {R"({"cluster": {"worker": ["a:1"]}, "task": {"type": "master", "index": 0}})", "'master'"},
      {R"({"cluster": {"boss": ["a:1"]}, "task": {"type": "worker", "index": 0}})", "'boss'"},
      {R"({"cluster": {"chief": ["a:1", "b:1"]}, "task": {"type": "chief", "index": 0}})",
       "at most one 'chief'"},
      {R"({"cluster": {"ps": ["a:1"], "worker": ["b:1"]}, "task": {"type": "ps", "index": 0}})",
       "ParameterServerStrategy"},
      {R"({"cluster": {"worker": "a:1"}, "task": {"type": "worker", "index": 0}})",
       "cluster.worker"},
      {R"({"cluster": {"worker": [1]}, "task": {"type": "worker", "index": 0}})", "cluster.worker"},
      {R"({"cluster": {"worker": {"1": "a:1"}}, "task": {"type": "worker", "index": 0}})",
       "task 0"},
      {R"({"cluster": {"worker": ["a"]}, "task": {"type": "worker", "index": 0}})", "'a'"},
      {R"({"cluster": {"worker": ["a:0"]}, "task": {"type": "worker", "index": 0}})", "'a:0'"},
      {R"({"cluster": {"worker": ["a:1", "a:1"]}, "task": {"type": "worker", "index": 0}})",
       "twice"},
      {R"({"cluster": [1], "task": {"type": "worker", "index": 0}})", "cluster is no JSON object"},
      {R"({"cluster": {"worker": ["a:1"]}, "task": "worker"})", "task.type"},
  };
  for (const auto& [json, mentions] : cases) {
    const auto found = cluster_from_tf_config(json);
    ASSERT_FALSE(found.ok()) << json;
    EXPECT_NE(message_of(found.status()).find(mentions), std::string_view::npos)
        << json << ": " << found.status();
  }
}

Environment environment_of(std::map<std::string, std::string> variables) {
  return [variables = std::move(variables)](const char* name) {
    const auto it = variables.find(name);
    return it == variables.end() ? nullptr : it->second.c_str();
  };
}

Environment slurm(const char* nodes, const char* each, const char* tasks, const char* rank) {
  return environment_of({{"SLURM_STEP_NODELIST", nodes},
                         {"SLURM_STEP_TASKS_PER_NODE", each},
                         {"SLURM_STEP_NUM_TASKS", tasks},
                         {"SLURM_PROCID", rank}});
}

TEST(Cluster, SlurmsVariablesAreReadAsTensorFlowReadsThem) {
  const auto found = cluster_from_slurm(slurm("t2n[13,15-16],m5,o[08-10]", "2,1(x5),3", "10", "4"));
  ASSERT_TRUE(found.ok()) << found.status();
  const std::vector<std::string> expected = {"m5:8888",    "o08:8888",  "o09:8888",   "o10:8888",
                                             "o10:8889",   "o10:8890",  "t2n13:8888", "t2n13:8889",
                                             "t2n15:8888", "t2n16:8888"};
  EXPECT_EQ(found->workers, expected);
  EXPECT_EQ(found->rank, 4);
}

TEST(Cluster, WhatIsWrongWithSlurmsVariablesIsSaid) {
  const std::pair<Environment, const char*> cases[] = {
      {environment_of({{"SLURM_STEP_NUM_TASKS", "2"}}), "SLURM_PROCID is not set"},
      {slurm("n[1-2", "1(x2)", "2", "0"), "SLURM_STEP_NODELIST=n[1-2"},
      {slurm("n[2-1]", "1(x2)", "2", "0"), "'2-1'"},
      {slurm("n[1-999999999999]", "1(x2)", "2", "0"), "no range"},
      {slurm("n[1-2],,m", "1(x3)", "3", "0"), "empty name"},
      {slurm("n[1-2]", "x", "2", "0"), "SLURM_STEP_TASKS_PER_NODE=x"},
      {slurm("n[1-2]", "1(x99999999)", "2", "0"), "no number of tasks"},
      {slurm("n[1-2]", "1(x2)", "3", "0"), "SLURM_STEP_NUM_TASKS is 3"},
      {slurm("n[1-2]", "1(x2)", "2", "2"), "SLURM_PROCID is 2"},
  };
  for (const auto& [environment, mentions] : cases) {
    const auto found = cluster_from_slurm(environment);
    ASSERT_FALSE(found.ok()) << mentions;
    EXPECT_NE(message_of(found.status()).find(mentions), std::string_view::npos) << found.status();
  }
}

TEST(Cluster, FlagsComeBeforeTfConfigAndThatBeforeSlurm) {
  const std::string config =
      R"({"cluster": {"worker": ["t:1"]}, "task": {"type": "worker", "index": 0}})";
  const std::map<std::string, std::string> both = {{"TF_CONFIG", config},
                                                   {"SLURM_STEP_NODELIST", "s"},
                                                   {"SLURM_STEP_TASKS_PER_NODE", "1"},
                                                   {"SLURM_STEP_NUM_TASKS", "1"},
                                                   {"SLURM_PROCID", "0"}};
  const std::string flags[] = {"f:1", "f:2"};
  EXPECT_EQ(find_cluster(flags, 1, environment_of(both))->workers[1], "f:2");
  EXPECT_EQ(find_cluster({}, -1, environment_of(both))->workers[0], "t:1");
  std::map<std::string, std::string> slurm_alone = both;
  slurm_alone.erase("TF_CONFIG");
  EXPECT_EQ(find_cluster({}, -1, environment_of(slurm_alone))->workers[0], "s:8888");
  EXPECT_EQ(find_cluster({}, -1, environment_of({}))->size(), 1);
  EXPECT_FALSE(find_cluster(flags, 2, environment_of({})).ok());
  EXPECT_FALSE(find_cluster(flags, -1, environment_of({})).ok());
  EXPECT_FALSE(find_cluster({}, 0, environment_of({})).ok());
}

}  // namespace
}  // namespace tenon::dist
