#include "tenon/image/trust/licence.h"

#include <algorithm>
#include <set>

namespace tenon::image {
namespace {

struct ShortName {
  std::string_view debian, spdx;
};
// Debian's short names (copyright-format 1.0, "License specification") that SPDX spells otherwise.
constexpr ShortName kShortNames[] = {{"apache-2.0", "Apache-2.0"},
                                     {"artistic", "Artistic-1.0"},
                                     {"artistic-1.0", "Artistic-1.0"},
                                     {"artistic-2.0", "Artistic-2.0"},
                                     {"bsd-2-clause", "BSD-2-Clause"},
                                     {"bsd-3-clause", "BSD-3-Clause"},
                                     {"bsd-4-clause", "BSD-4-Clause"},
                                     {"bsl-1.0", "BSL-1.0"},
                                     {"cc0", "CC0-1.0"},
                                     {"cc0-1.0", "CC0-1.0"},
                                     {"expat", "MIT"},
                                     {"mit", "MIT"},
                                     {"ftl", "FTL"},
                                     {"gfdl-1.2", "GFDL-1.2-only"},
                                     {"gfdl-1.2+", "GFDL-1.2-or-later"},
                                     {"gfdl-1.3", "GFDL-1.3-only"},
                                     {"gfdl-1.3+", "GFDL-1.3-or-later"},
                                     {"gpl-1", "GPL-1.0-only"},
                                     {"gpl-1+", "GPL-1.0-or-later"},
                                     {"gpl-2", "GPL-2.0-only"},
                                     {"gpl-2.0", "GPL-2.0-only"},
                                     {"gpl-2+", "GPL-2.0-or-later"},
                                     {"gpl-2.0+", "GPL-2.0-or-later"},
                                     {"gpl-3", "GPL-3.0-only"},
                                     {"gpl-3.0", "GPL-3.0-only"},
                                     {"gpl-3+", "GPL-3.0-or-later"},
                                     {"gpl-3.0+", "GPL-3.0-or-later"},
                                     {"ijg", "IJG"},
                                     {"isc", "ISC"},
                                     {"lgpl-2", "LGPL-2.0-only"},
                                     {"lgpl-2+", "LGPL-2.0-or-later"},
                                     {"lgpl-2.1", "LGPL-2.1-only"},
                                     {"lgpl-2.1+", "LGPL-2.1-or-later"},
                                     {"lgpl-3", "LGPL-3.0-only"},
                                     {"lgpl-3+", "LGPL-3.0-or-later"},
                                     {"libpng", "Libpng"},
                                     {"mpl-1.1", "MPL-1.1"},
                                     {"mpl-2.0", "MPL-2.0"},
                                     {"openssl", "OpenSSL"},
                                     {"psf-2", "PSF-2.0"},
                                     {"unlicense", "Unlicense"},
                                     {"x11", "X11"},
                                     {"zlib", "Zlib"}};
constexpr ShortName kClassifiers[] = {{"Apache Software License", "Apache-2.0"},
                                      {"MIT License", "MIT"},
                                      {"ISC License", "ISC"},
                                      {"Mozilla Public License 2.0", "MPL-2.0"},
                                      {"Python Software Foundation License", "PSF-2.0"},
                                      {"The Unlicense", "Unlicense"}};

std::string_view spdx_of(std::string_view debian) {
  const std::string lower = to_lower(debian);
  const auto found = std::find_if(std::begin(kShortNames), std::end(kShortNames),
                                  [&](const ShortName& name) { return name.debian == lower; });
  return found == std::end(kShortNames) ? std::string_view() : found->spdx;
}

std::string reference_of(std::string_view name) {
  std::string out = "LicenseRef-";
  for (const char c : name) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       c == '-' || c == '.';
    out += plain ? c : '-';
  }
  return out;
}

// A name of a licence that SPDX does not know, in SPDX's form.
bool is_reference(std::string_view name) {
  return name.starts_with("LicenseRef-") && reference_of(name.substr(11)) == name;
}

// The parts of "GPL-2+ or Artistic, and BSD-3-clause" between `word`s.
std::vector<std::string> parts_between(std::string_view text, std::string_view word) {
  std::vector<std::string> parts;
  const std::string separator = cat(" ", word, " ");
  for (size_t at = text.find(separator); at != std::string_view::npos; at = text.find(separator)) {
    parts.emplace_back(trim(text.substr(0, at)));
    text = text.substr(at + separator.size());
  }
  parts.emplace_back(trim(text));
  return parts;
}

// One "License:" synopsis as an expression; unknown names go to `unknown`, by reference.
std::string expression_of(std::string_view synopsis, std::map<std::string, std::string>& unknown) {
  std::string text(synopsis);
  std::replace(text.begin(), text.end(), ',', ' ');
  std::vector<std::string> all;
  for (const std::string& both : parts_between(text, "and")) {
    std::vector<std::string> any;
    for (const std::string& name : parts_between(both, "or")) {
      if (name.empty()) continue;
      std::string spdx(spdx_of(name));
      if (spdx.empty()) {
        spdx = reference_of(name);
        unknown.emplace(spdx, name);
      }
      any.push_back(std::move(spdx));
    }
    if (!any.empty()) all.push_back(any.size() == 1 ? any[0] : cat("(", join(any, " OR "), ")"));
  }
  return join(all, " AND ");
}

// The fields "License" of a machine-readable file: synopsis and the text below it.
struct LicenceField {
  std::string synopsis, text;
};
std::vector<LicenceField> licence_fields(std::string_view copyright) {
  std::vector<LicenceField> fields;
  bool inside = false;
  for (std::string_view line : split(copyright, '\n')) {
    if (line.starts_with(' ') || line.starts_with('\t')) {
      if (inside) fields.back().text += cat(line.substr(1), "\n");
      continue;
    }
    inside = to_lower(line.substr(0, 8)) == "license:";
    if (inside) fields.push_back({std::string(trim(line.substr(8))), ""});
  }
  return fields;
}

}  // namespace

Licence read_copyright(std::string_view copyright, std::string_view package) {
  Licence licence;
  if (trim(copyright).empty()) return licence;
  const std::string head = to_lower(copyright.substr(0, 200));
  const bool readable =
      head.find("format") < head.find('\n') && head.find("copyright-format") != std::string::npos;
  const auto fields = readable ? licence_fields(copyright) : std::vector<LicenceField>();
  std::set<std::string> expressions;
  for (const LicenceField& field : fields) {
    std::map<std::string, std::string> unknown;
    const std::string expression = expression_of(field.synopsis, unknown);
    if (!expression.empty()) expressions.insert(expression);
    for (auto& [reference, name] : unknown) {
      std::string& text = licence.texts.try_emplace(reference, name).first->second;
      if (unknown.size() == 1 && !trim(field.text).empty()) text = field.text;
    }
  }
  if (expressions.empty()) {
    const std::string reference = reference_of(cat(package, "-copyright"));
    licence.expression = reference;
    licence.texts.emplace(reference, copyright);
    return licence;
  }
  licence.expression = join(expressions, " AND ");
  return licence;
}

std::string wheel_licence(std::string_view metadata) {
  std::set<std::string> found;
  std::string expression;
  for (std::string_view line : split(metadata, '\n')) {
    line = trim(line);
    if (line.empty()) break;
    if (line.starts_with("License-Expression:")) expression = trim(line.substr(19));
    if (line.starts_with("License:")) {
      const std::string_view name = trim(line.substr(8));
      const std::string_view spdx = spdx_of(name);
      if (!spdx.empty()) found.emplace(spdx);
      if (is_reference(name)) found.emplace(name);
    }
    if (!line.starts_with("Classifier: License ::")) continue;
    const std::string_view name = trim(line.substr(line.rfind("::") + 2));
    for (const ShortName& classifier : kClassifiers) {
      if (name == classifier.debian) found.emplace(classifier.spdx);
    }
  }
  return expression.empty() ? join(found, " AND ") : expression;
}

}  // namespace tenon::image
