#pragma once

#include <string>
#include <vector>

#include "operator/offline_environments.hpp"

namespace CLI {
class App;
}

/// Flags that render, inject and explain share.
namespace gobuildenv::cli {

struct OfflineFlags {
  std::vector<std::string> files;         ///< -f
  std::vector<std::string> environments;  ///< -e
  std::string ns = "default";
  std::vector<std::string> toolchain_versions;
  std::string module_proxy;
  std::string sum_db;
  bool csi = false;
  std::string output;
};

/// Declares -f, -n, --toolchain-version, --module-proxy, --sum-db and -o with `formats` (the first
/// is the default) on `command`; with `environments` also -e and --csi.
void add_offline_flags(CLI::App& command, OfflineFlags& flags, std::vector<std::string> formats,
                       bool environments);

/// The options that the flags stand for. Error: a sentence naming the flag.
tl::expected<OfflineOptions, std::string> offline_options(const OfflineFlags& flags);

/// "gobuildenv COMMAND: text" on standard error.
void complain(const char* command, const std::string& text);

}  // namespace gobuildenv::cli
