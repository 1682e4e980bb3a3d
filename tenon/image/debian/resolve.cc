#include <algorithm>
#include <deque>
#include <set>

#include "tenon/image/debian/packages.h"
#include "tenon/image/debian/version.h"

namespace tenon::image {
namespace {

constexpr int kMostRestarts = 200;
constexpr size_t kMostPackages = 20'000;

bool version_fits(std::string_view version, const Alternative& wanted) {
  return wanted.op.empty() || debian_version_matches(version, wanted.op, wanted.version);
}

// Two packages that cannot be installed together.
struct Conflict {
  std::string breaker, broken, clause;
};

class Resolver {
 public:
  Resolver(const PackageIndex& index, const ResolveRequest& request)
      : index_(index), request_(request), waived_(request.waived.begin(), request.waived.end()) {
    for (const Package& package : request.present) present_[package.name] = &package;
  }

  StatusOr<std::vector<const Package*>> run() {
    for (int attempt = 0; attempt < kMostRestarts; ++attempt) {
      TENON_RETURN_IF_ERROR(select_all());
      Conflict conflict;
      TENON_ASSIGN_OR_RETURN(const bool found, find_conflict(conflict));
      if (!found) {
        std::vector<const Package*> result;
        for (const auto& [name, package] : chosen_) {
          if (!present_.contains(name)) result.push_back(package);
        }
        return result;
      }
      const std::string* victim = nullptr;
      if (avoidable(conflict.broken)) victim = &conflict.broken;
      if (avoidable(conflict.breaker)) victim = &conflict.breaker;
      if (victim == nullptr) {
        return failed_precondition("packages ", conflict.breaker, " and ", conflict.broken,
                                   " cannot be installed together: ", conflict.clause);
      }
      avoided_.insert(*victim);
    }
    return failed_precondition("no set of packages without conflicts was found in ", kMostRestarts,
                               " attempts");
  }

 private:
  bool avoidable(const std::string& name) const {
    return !present_.contains(name) && !asked_.contains(name) && !avoided_.contains(name);
  }

  Status select_all() {
    chosen_ = present_;
    reason_.clear();
    queue_.clear();
    asked_.clear();
    provided_.clear();
    for (const auto& [name, package] : present_) note_provides(*package);
    for (const std::string& word : request_.packages) {
      const size_t equals = word.find('=');
      Alternative wanted{word.substr(0, equals), "", ""};
      if (equals != std::string::npos) {
        wanted.op = "=";
        wanted.version = word.substr(equals + 1);
      }
      asked_.insert(wanted.name);
      if (const auto have = chosen_.find(wanted.name); have != chosen_.end()) {
        if (version_fits(have->second->version, wanted)) continue;
        return failed_precondition("package ", word, " is asked for, but ", have->second->version,
                                   " is already present");
      }
      const Package* package = best(wanted);
      if (package == nullptr) return missing({wanted}, "the declaration");
      choose(*package, "the declaration");
    }
    while (!queue_.empty()) {
      const Package* package = queue_.front();
      queue_.pop_front();
      for (const std::string* field : {&package->pre_depends, &package->depends}) {
        TENON_ASSIGN_OR_RETURN(const auto groups,
                               parse_dependencies(*field, index_.architecture()));
        for (const DependencyGroup& group : groups) {
          TENON_RETURN_IF_ERROR(satisfy(group, *package));
        }
      }
      if (chosen_.size() > kMostPackages) {
        return resource_exhausted("more than ", kMostPackages, " packages are needed");
      }
    }
    return {};
  }

  void note_provides(const Package& package) {
    const auto provided = parse_dependencies(package.provides, index_.architecture());
    if (!provided.ok()) return;
    for (const DependencyGroup& group : *provided) {
      provided_[group[0].name].push_back({&package, group[0].version});
    }
  }

  void choose(const Package& package, std::string_view why) {
    chosen_[package.name] = &package;
    reason_[package.name] = why;
    note_provides(package);
    queue_.push_back(&package);
  }

  bool satisfied(const Alternative& wanted) const {
    if (waived_.contains(wanted.name)) return true;
    const auto have = chosen_.find(wanted.name);
    if (have != chosen_.end() && version_fits(have->second->version, wanted)) return true;
    const auto provided = provided_.find(wanted.name);
    if (provided == provided_.end()) return false;
    return std::any_of(provided->second.begin(), provided->second.end(),
                       [&](const PackageIndex::Provider& p) { return provider_fits(p, wanted); });
  }

  static bool provider_fits(const PackageIndex::Provider& provider, const Alternative& wanted) {
    return wanted.op.empty() ||
           (!provider.version.empty() && version_fits(provider.version, wanted));
  }

  // The newest version of the named package that fits and may be chosen.
  const Package* best(const Alternative& wanted) const {
    if (avoided_.contains(wanted.name) || chosen_.contains(wanted.name)) return nullptr;
    for (const Package* package : index_.versions(wanted.name)) {
      if (version_fits(package->version, wanted)) return package;
    }
    return nullptr;
  }

  Status satisfy(const DependencyGroup& group, const Package& asker) {
    for (const Alternative& wanted : group) {
      if (satisfied(wanted)) return {};
    }
    for (const Alternative& wanted : group) {
      if (const Package* package = best(wanted)) {
        choose(*package, asker.name);
        return {};
      }
      for (const PackageIndex::Provider& provider : index_.providers(wanted.name)) {
        const std::string& name = provider.package->name;
        if (avoided_.contains(name) || chosen_.contains(name)) continue;
        if (!provider_fits(provider, wanted)) continue;
        choose(*provider.package, asker.name);
        return {};
      }
    }
    return missing(group, asker.name);
  }

  Status missing(const DependencyGroup& group, std::string_view asker) const {
    std::string chain(asker);
    const std::string* next = nullptr;
    std::string_view at = asker;
    for (int depth = 0; depth < 10; ++depth) {
      const auto found = reason_.find(at);
      if (found == reason_.end()) break;
      next = &found->second;
      chain += cat(" <- ", *next);
      at = *next;
    }
    std::string have;
    for (const Alternative& wanted : group) {
      for (const Package* package : index_.versions(wanted.name)) {
        have += cat(have.empty() ? "; there is " : ", ", package->name, " ", package->version);
      }
    }
    return not_found("no package satisfies '", to_string(group), "', needed by ", chain, have, " (",
                     index_.architecture(), ")");
  }

  StatusOr<bool> find_conflict(Conflict& conflict) const {
    for (const auto& [name, package] : chosen_) {
      for (const std::string* field : {&package->conflicts, &package->breaks}) {
        TENON_ASSIGN_OR_RETURN(const auto groups,
                               parse_dependencies(*field, index_.architecture()));
        for (const DependencyGroup& group : groups) {
          const std::string* broken = broken_by(name, group[0]);
          if (broken == nullptr) continue;
          conflict = {name, *broken,
                      cat(name, field == &package->breaks ? " breaks " : " conflicts with ",
                          to_string(group))};
          return true;
        }
      }
    }
    return false;
  }

  const std::string* broken_by(const std::string& breaker, const Alternative& clause) const {
    const auto have = chosen_.find(clause.name);
    if (have != chosen_.end() && have->first != breaker &&
        version_fits(have->second->version, clause)) {
      return &have->first;
    }
    const auto provided = provided_.find(clause.name);
    if (provided == provided_.end()) return nullptr;
    for (const PackageIndex::Provider& provider : provided->second) {
      if (provider.package->name != breaker && provider_fits(provider, clause)) {
        return &provider.package->name;
      }
    }
    return nullptr;
  }

  const PackageIndex& index_;
  const ResolveRequest& request_;
  std::set<std::string, std::less<>> waived_;
  std::map<std::string, const Package*, std::less<>> present_, chosen_;
  std::map<std::string, std::string, std::less<>> reason_;
  std::map<std::string, std::vector<PackageIndex::Provider>, std::less<>> provided_;
  std::set<std::string> asked_, avoided_;
  std::deque<const Package*> queue_;
};

}  // namespace

StatusOr<std::vector<const Package*>> resolve(const PackageIndex& index,
                                              const ResolveRequest& request) {
  return Resolver(index, request).run();
}

}  // namespace tenon::image
